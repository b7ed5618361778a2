"""What becomes of metrics that have no ratio any more, and of what a search found."""

from collections.abc import Sequence
from typing import Any

import pytest

from recipe_runner.figures.changes import Change
from recipe_runner.figures.differences import Comparison
from tests.figures.test_differences import compared, verdicts
from tests.figures.test_runs import STEADY, benchmark, report


def changed(
    metric: str, before: Sequence[float], after: Sequence[float], min_change: float = 0
) -> tuple[Comparison, Change]:
    """Two runs that are alike but for one metric."""
    sides = []
    for values in (before, after):
        item = benchmark()
        item["metrics"][metric] = sum(values) / len(values)
        for one, value in zip(item["measurements"][1:], values, strict=True):
            one["metrics"][metric] = value
        sides.append(report(item))
    found = compared(*sides, min_change=min_change)
    return found, next(one for one in found.changes if one.metric == metric)


@pytest.mark.parametrize(("min_change", "verdict"), [(0, "regression"), (100, "regression"), (101, "no regression")])
def test_a_rate_that_falls_to_0_is_a_regression(min_change: float, verdict: str) -> None:
    found, rate = changed("output_throughput", STEADY, [0.0] * 5, min_change)
    assert (rate.percent, rate.p, rate.verdict) == (-100, None, "fell to 0")
    assert (rate.regression, found.verdict) == (verdict == "regression", verdict)


@pytest.mark.parametrize(
    ("metric", "after"), [("median_ttft_ms", [0.0] * 5), ("output_throughput", [100.0, 101.0, 0.0, 99.0, 100.0])]
)
def test_what_b_cannot_say_any_more_is_no_pass(metric: str, after: list[float]) -> None:
    found, change = changed(metric, STEADY, after)
    assert (change.verdict, change.regression, change.p) == ("not judged: 0 in B", False, None)
    assert {one.verdict for one in found.changes if one.metric != metric} == {"no difference seen"}
    assert found.verdict == "not all judged"


def test_what_a_could_not_say_either_is_not_missed() -> None:
    for before, after in (([0.0] * 5, STEADY), ([0.0] * 5, [0.0] * 5), ([0.0, *STEADY[1:]], [0.0] * 5)):
        found, change = changed("median_ttft_ms", before, after)
        assert (change.verdict, change.p, found.verdict) == ("not judged", None, "no regression")


def searched(*loads: float) -> dict[str, Any]:
    """A search that was repeated, and what it found each time."""
    item = benchmark([50.0 * load for load in loads]) | {"fields": {"precision": 0.1, "slo": {"p95_ttft_ms": 500}}}
    item["metrics"]["slo_max_concurrency"] = sum(loads) / len(loads)
    for one, load in zip(item["measurements"][1:], loads, strict=True):
        one["metrics"]["slo_max_concurrency"] = load
    return item


def test_of_a_search_what_it_found_is_judged_and_nothing_else() -> None:
    found = compared(report(searched(40, 41, 40)), report(searched(30, 30, 31)))
    assert verdicts(found) == {"slo_max_concurrency": "slower"}
    assert found.verdict == "regression"
    assert found.benchmarks[0].others == ("output_throughput", "median_tpot_ms")


def test_one_step_of_a_search_is_no_difference() -> None:
    (change,) = compared(report(searched(40, 40, 40)), report(searched(37, 37, 37))).changes
    assert (change.verdict, change.p) == ("no difference seen", 1)
    assert change.smallest_percent == pytest.approx(10)
    assert change.low_percent is not None
    assert change.high_percent is not None
    assert change.low_percent < 0 < change.high_percent
