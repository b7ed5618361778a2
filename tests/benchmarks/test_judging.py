from typing import Any

import pytest

from recipe_runner.benchmarks.judging import METRICS, judge

GOOD = {"completed": 5, "failed": 0, "total_output_tokens": 20, "output_throughput": 10.0, "median_ttft_ms": 12.5}


@pytest.mark.parametrize(
    ("changed", "verdict", "detail"),
    [
        ({}, "measured", "5 requests, 10.00 tok/s out, median TTFT 12.5 ms"),
        ({"failed": 2, "completed": 3}, "failed", "2 of 5 requests failed"),
        ({"completed": 3}, "failed", "only 3 of 5 requests were completed"),
        ({"completed": None}, "failed", "only 0 of 5 requests were completed"),
        ({"completed": "5"}, "failed", "only 0 of 5 requests were completed"),
        ({"completed": float("inf")}, "failed", "only 0 of 5 requests were completed"),
        ({"total_output_tokens": 0}, "failed", "no tokens were generated"),
        ({"total_output_tokens": None}, "failed", "no tokens were generated"),
        ({"total_output_tokens": True}, "failed", "no tokens were generated"),
        (
            {"failed": None, "output_throughput": float("nan")},
            "measured",
            "5 requests, 0.00 tok/s out, median TTFT 12.5 ms",
        ),
    ],
)
def test_a_result_that_measured_something_else_is_refused(changed: dict[str, Any], verdict: str, detail: str) -> None:
    outcome = judge(GOOD | changed, 5)
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    finite = {k: v for k, v in (GOOD | changed).items() if type(v) in (int, float) and v in range(100)}
    assert outcome.metrics == finite | {k: v for k, v in GOOD.items() if k not in changed}
    assert (outcome.samples, outcome.spans) == ({}, ())


DETAILED = {
    "output_lens": [3, 3, 3, 3, 1],
    "ttfts": [0.1, 0.2, 0.3, 0.4, 0.5],
    "itls": [[0.01, 0.03]] * 4 + [[]],
    "start_times": [10.0, 10.5, 11.0, 11.5, 12.0],
    "generated_texts": ["secret"] * 5,
}


def test_what_the_tool_did_not_compute_comes_from_the_single_values() -> None:
    outcome = judge(GOOD | DETAILED, 5)
    assert outcome.metrics["median_ttft_ms"] == 12.5
    computed = {name: round(value, 3) for name, value in outcome.metrics.items() if name not in GOOD}
    assert computed.items() >= {"p95_ttft_ms": 480, "p90_tpot_ms": 20, "p99_itl_ms": 30, "p95_e2el_ms": 488}.items()
    assert list(outcome.metrics) == [name for name in METRICS if name in outcome.metrics]
    assert outcome.samples == {
        "ttft_ms": [100, 200, 300, 400, 500],
        "tpot_ms": [pytest.approx(20)] * 4,
        "itl_ms": [10, 30] * 4,
    }
    assert outcome.spans == ((10, 12.5),)


@pytest.mark.parametrize(
    ("errors", "refused", "told"),
    [
        (["", "", "Too Many Requests", "Service Unavailable"], 2, ""),
        (["ValueError: status 429: slow down", "ValueError: status 503: "], 2, ""),
        (["Traceback …\naiohttp.client_exceptions.ServerDisconnectedError: Server disconnected\n", ""], 1, ""),
        (["ReadError: ", "RemoteProtocolError: peer closed connection", "ConnectError: no"], 3, ""),
        (["Bad Request", "ConnectError: no"], 1, ", 1 with 'Bad Request'"),
    ],
)
def test_what_the_server_refused_for_load_is_counted(errors: list[str], refused: int, told: str) -> None:
    outcome = judge(GOOD | {"failed": 3, "errors": errors}, 5)
    assert outcome.detail == f"3 of 5 requests failed{told}; the server refused or dropped {refused} of them"
    assert outcome.metrics["refused"] == refused


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (None, ""),
        ([], ""),
        (["", "Internal Server Error", "ValueError: status 500: 503 tokens"], ", 1 with 'Internal Server Error'"),
        (["Bad Request", "", "Trace\nKeyError: 1", "Bad Request"], ", 2 with 'Bad Request'"),
        (["hf_" + "a" * 40], ", 1 with '***'"),
        (["x" * 999], f", 1 with '{'x' * 200}…'"),
    ],
)
def test_other_failures_are_not(errors: list[str] | None, told: str) -> None:
    """The commonest is quoted: it is often all that says what was wrong."""
    outcome = judge(GOOD | {"failed": 3, "errors": errors}, 5)
    assert outcome.detail == f"3 of 5 requests failed{told}"
    assert "refused" not in outcome.metrics


@pytest.mark.parametrize("changed", [{"failed": 5}, {"completed": 0}, {"total_output_tokens": 0}])
def test_where_nothing_was_answered_there_are_no_times(changed: dict[str, int]) -> None:
    outcome = judge(GOOD | changed | {"median_ttft_ms": 0.0, "p99_tpot_ms": 0, "output_throughput": 0.0}, 5)
    assert "output_throughput" in outcome.metrics
    assert not {"median_ttft_ms", "p99_tpot_ms"} & outcome.metrics.keys()
