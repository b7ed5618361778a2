from typing import Any

import pytest

from recipe_runner.benchmarks.samples import NAMES, Samples, samples, statistics_of

DETAILED: dict[str, Any] = {  # of three requests, the second of which failed
    "output_lens": [3, 0, 1],
    "ttfts": [0.1, 0.0, 0.2],
    "itls": [[0.02, 0.04], [], []],
    "start_times": [5.0, 4.0, 6.0],
    "latencies": [0.2, 0.0, 0.2],
}


def without(*names: str) -> dict[str, Any]:
    return {name: array for name, array in DETAILED.items() if name not in names}


def test_the_values_of_the_requests_that_generated_something() -> None:
    found = samples(DETAILED)
    assert found.ms == {
        "ttft": [100, 200],
        "tpot": [pytest.approx(50)],
        "itl": [20, 40],
        "e2el": [200, 200],
    }
    assert found.span == (5.0, 6.2)


def test_where_vllm_gives_no_latencies_they_are_the_sum_of_the_gaps() -> None:
    found = samples(without("latencies"))
    assert found.ms["e2el"] == [pytest.approx(160), 200]
    assert found.ms["tpot"] == [pytest.approx(30)]
    assert found.span == (5.0, 6.2)


def test_without_the_times_of_starts_there_is_no_span() -> None:
    assert samples(without("start_times")).span is None


@pytest.mark.parametrize("name", ["output_lens", "ttfts", "itls"])
def test_without_the_arrays_there_is_nothing(name: str) -> None:
    assert samples(without(name)) == Samples({}, None)
    assert samples({**DETAILED, name: 3}) == Samples({}, None)


def test_of_requests_that_all_failed_there_is_nothing() -> None:
    failed = {"output_lens": [0], "ttfts": [0.0], "itls": [[]], "start_times": [1.0]}
    assert samples(failed) == Samples({"ttft": [], "tpot": [], "itl": [], "e2el": []}, None)
    assert statistics_of(samples(failed).ms) == {}


def test_percentiles_are_those_of_numpy() -> None:
    found = statistics_of({"ttft": [float(value) for value in range(1, 22)], "itl": [3.0], "tpot": []})
    assert found == {
        **{"mean_ttft_ms": 11, "median_ttft_ms": 11, "p90_ttft_ms": 19, "p95_ttft_ms": 20, "p99_ttft_ms": 20.8},
        **{"mean_itl_ms": 3, "median_itl_ms": 3, "p90_itl_ms": 3, "p95_itl_ms": 3, "p99_itl_ms": 3},
    }
    assert found.keys() <= set(NAMES)
