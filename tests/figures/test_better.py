"""Which of several figures is better."""

import pytest

from recipe_runner.api import best_of, better_of, comparable


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        *(("output_throughput", "higher"), ("tokens_per_s", "higher"), ("request_goodput", "higher")),
        *(("slo_max_concurrency", "higher"), ("slo_wait_s", "higher")),
        *(("median_ttft_ms", "lower"), ("wait_s", "lower"), ("duration", "lower")),
        *(("completed", None), ("capacity", None)),
    ],
)
def test_which_way_a_metric_is_better_follows_from_its_name(metric: str, way: str | None) -> None:
    assert better_of(metric) == way
    assert best_of(metric, [1, 3, 2]) == {"higher": 3, "lower": 1, None: None}[way]
    assert best_of(metric, [2, 2]) is None


@pytest.mark.parametrize(
    ("verdict", "doubts", "is_one"),
    [
        *(("passed", [], True), ("measured", [], True), ("inconclusive", [], True), ("failed", [], False)),
        *(("inconclusive", ["the client was busy"], False), ("skipped", [], False)),
    ],
)
def test_what_is_in_doubt_or_broke_is_not_compared(verdict: str, doubts: list[str], *, is_one: bool) -> None:
    warmup = {"counted": False, "doubts": ["it only warms up"]}
    assert comparable({"verdict": verdict, "measurements": [warmup, {"counted": True, "doubts": doubts}]}) is is_one
