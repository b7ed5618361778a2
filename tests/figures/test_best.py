"""Which figure is the best: one that is better by more than noise, where noise is known."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.figures.best import (
    UNKNOWN,
    Figure,
    best_of,
    better_of,
    comparable,
    figure,
    statement,
    step,
    told_apart,
    usable,
)

RATE, TIME = "output_throughput", "median_tpot_ms"


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        *((RATE, [100, 120, 90], 120), (TIME, [100, 120, 80], 80)),
        *((RATE, [100, 109], None), (TIME, [100, 92], None)),  # each may be off by 5 %
        *((RATE, [120, 120, 90], None), (RATE, [120], None), (RATE, [], None)),
        *((TIME, [0, 5, 8], None), ("completed", [1, 9], None)),  # a time of 0 was not measured
    ],
)
def test_the_best_is_better_than_all_others_by_more_than_noise(
    metric: str, values: list[float], best: float | None
) -> None:
    assert best_of(metric, [Figure(value, 1.05) for value in values]) == best


def test_of_single_measurements_none_is_the_best() -> None:
    assert best_of(RATE, [Figure(1, None), Figure(1000, None)]) is None
    assert best_of(RATE, [Figure(1, 1.01), Figure(2, None), Figure(1000, 1.01)]) is None


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(1, 1.5)), min_size=2, max_size=8))
def test_what_is_the_best_is_told_apart_from_all_others(listed: list[tuple[float, float]]) -> None:
    figures = [Figure(*one) for one in listed]
    best, ratio = best_of(RATE, figures), told_apart(figures)
    assert ratio is not None
    first, second = sorted((one.value for one in figures), reverse=True)[:2]
    assert best in (None, first)
    if first / second > ratio * (1 + 1e-9):
        assert best == first
    if best is not None:
        (winner,) = (one for one in figures if one.value == best)
        others = [one for one in figures if one is not winner]
        assert all(winner.value / (winner.off or 0) > one.value * (one.off or 0) * (1 - 1e-9) for one in others)


def test_what_it_takes_is_said() -> None:
    rates, times = [Figure(1, 1.02), Figure(2, 1.05), Figure(3, 1.1)], [Figure(1, None), Figure(2, 1.5)]
    assert statement({"tok/s": rates}) == "two figures are told apart where they differ by more than 15.5 % (tok/s)"
    assert statement({"tok/s": rates, "TTFT": times}) == statement({"tok/s": rates})
    assert statement({"a": rates, "b": [Figure(1, 9.0)] * 2}).endswith("by more than 15.5 % (a), 1000 % (b)")
    assert statement({"TTFT": times}) == UNKNOWN
    assert statement({"TTFT": times[:1]}) == statement({}) == ""
    assert UNKNOWN == ("no figure is marked as the best: their noise is not known; benchmark.NAME.repeat=5 measures it")


def benchmark(verdict: str = "measured", **more: Any) -> dict[str, Any]:
    noise = {RATE: {"half_width_percent": 10.0}, "slo_max_concurrency": {"half_width_percent": 0.0}}
    return {"verdict": verdict, "metrics": {RATE: 50.0, TIME: 2.0, "slo_max_concurrency": 5.0}, "noise": noise, **more}


def test_what_a_report_says_of_a_figure() -> None:
    assert figure(benchmark(), RATE) == Figure(50, pytest.approx(1.1))
    assert figure(benchmark(), TIME) == Figure(2, None)
    assert figure(benchmark(), "completed") is figure(benchmark("failed"), RATE) is None
    doubted = [{"counted": True, "doubts": ["the client was busy"]}]
    assert figure(benchmark(measurements=doubted), RATE) is None
    assert figure(benchmark(fields={"precision": 0.1}), "slo_max_concurrency") == Figure(5, pytest.approx(1.2))


def test_the_steps_of_a_search() -> None:
    asked = {"precision": 0.1}
    assert step("slo_max_concurrency", asked, 40) == 0.1
    assert step("slo_max_concurrency", asked, 4) == 0.25  # 5 is the next whole number
    assert step("slo_request_rate", asked, 4) == 0.1
    assert step("output_throughput", asked, 4) == 0
    assert step("slo_request_rate", None, 4) == step("slo_request_rate", {}, 4) == 0


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
    assert best_of(metric, [Figure(value, 1.01) for value in (1, 3, 2)]) == {"higher": 3, "lower": 1, None: None}[way]


@pytest.mark.parametrize(
    ("verdict", "own", "is_usable"),
    [
        *(("passed", ["measured"], True), ("inconclusive", ["measured"], True), ("measured", [], True)),
        *(("failed", ["measured", "measured"], True), ("failed", ["measured", "failed"], False)),
        *(("failed", [], False), ("error", ["measured"], False), ("skipped", [], False)),
    ],
)
def test_what_missed_a_gate_has_figures_all_the_same(verdict: str, own: list[str], *, is_usable: bool) -> None:
    warmup = {"counted": False, "verdict": "measured"}
    counted = [{"counted": True, "verdict": each} for each in own]
    assert usable({"verdict": verdict, "measurements": [warmup, *counted]}) is is_usable


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
