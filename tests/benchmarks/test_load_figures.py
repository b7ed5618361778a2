import json
from typing import Any

import pytest

from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.load_figures import Stream, arrays, figures


def event(**said: Any) -> bytes:
    return b"data: " + json.dumps(said).encode()


def stream(times: list[float], completion: int | None = None, prompt: int | None = None) -> Stream:
    made = Stream()
    for time in times:
        made.take(event(choices=[{"text": "x"}]), time)
    counts = {"completion_tokens": completion, "prompt_tokens": prompt}
    made.take(event(choices=[], usage={name: count for name, count in counts.items() if count is not None}), 99)
    made.take(b"data: [DONE]", 99)
    return made


def test_only_events_with_a_choice_have_a_time() -> None:
    made = Stream()
    for line in (b": ping", b"", b"event: x", event(choices=[{}]), event(choices=[]), event(usage=None)):
        made.take(line, 1.0)
    assert (made.times, made.ended, made.tokens, made.prompt_tokens) == ([1.0], False, 1, 0)
    made.take(b"data:[DONE]\r", 2.0)
    assert made.ended


def test_an_error_in_a_stream() -> None:
    with pytest.raises(ValueError, match=r"an error in the stream: \{'message': 'out'\}"):
        Stream().take(event(error={"message": "out"}), 1.0)


def test_the_figures_are_those_that_vllm_computes() -> None:
    done = [stream([1.0, 1.1, 1.3], 5, 10), stream([2.0], 1, 20), stream([3.0, 3.2])]
    assert figures(done, 2, 4.0) == pytest.approx(
        {
            **{"completed": 3, "failed": 2, "duration": 4.0, "total_input_tokens": 30, "total_output_tokens": 8},
            **{"request_throughput": 0.75, "output_throughput": 2.0, "total_token_throughput": 9.5},
            **{"mean_ttft_ms": 2000, "median_ttft_ms": 2000},
            **{"p90_ttft_ms": 2800, "p95_ttft_ms": 2900, "p99_ttft_ms": 2980},
            **{"mean_tpot_ms": 137.5, "median_tpot_ms": 137.5},
            **{"p90_tpot_ms": 187.5, "p95_tpot_ms": 193.75, "p99_tpot_ms": 198.75},
            **{"mean_itl_ms": 500 / 3, "median_itl_ms": 200},
            **{"p90_itl_ms": 200, "p95_itl_ms": 200, "p99_itl_ms": 200},
            **{"mean_e2el_ms": 6500 / 3, "median_e2el_ms": 2000},
            **{"p90_e2el_ms": 2960, "p95_e2el_ms": 3080, "p99_e2el_ms": 3176},
        }
    )


def test_every_single_value_is_kept() -> None:
    begun = Stream(70.5)
    begun.take(event(choices=[{}]), 0.5)
    begun.take(event(choices=[{}]), 0.75)
    assert arrays([begun, stream([2.0], 1)]) == {
        "output_lens": [2, 1],
        "ttfts": [0.5, 2.0],
        "itls": [[0.25], []],
        "start_times": [70.5, 0.0],
    }


def test_of_nothing_the_times_are_0() -> None:
    assert figures([], 3, 1.0) == dict.fromkeys(METRICS, 0) | {"failed": 3, "duration": 1.0}


def test_a_server_that_counts_no_tokens_is_believed() -> None:
    assert stream([1.0], 0).tokens == 0
