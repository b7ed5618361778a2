from typing import Any

import pytest

from recipe_runner.benchmarks.judging import judge

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
