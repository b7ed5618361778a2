"""A sweep as a table: its columns, its best values, its Pareto front."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.reports.sweep_plots import of_sweep
from recipe_runner.reports.sweeps import front, table
from tests.reports.documents import FIGURES, GATE, GUIDE, RUN, SWEEP, TP, point

RATE, TTFT = ("guide", "output_throughput"), ("guide", "median_ttft_ms")


def swept(*points: dict[str, Any]) -> Any:
    return table(SWEEP | {"axes": {TP: []}, "points": list(points)})


def test_columns_are_what_leads() -> None:
    assert [metric for _, metric in table(SWEEP).columns()] == [
        *("output_throughput", "median_ttft_ms", "p99_ttft_ms", "median_tpot_ms")
    ]


def test_a_metric_that_gates_leads() -> None:
    gated = RUN | {"benchmarks": [GUIDE | {"figures": [GATE | {"metric": "duration"}]}]}
    assert swept(point(0, {TP: 1}, 1, 1, report=gated)).columns()[0] == ("guide", "duration")


def test_a_benchmark_of_which_nothing_leads_shows_what_it_has() -> None:
    own = RUN | {
        "benchmarks": [GUIDE | {"name": "own", "metrics": {"a": 1, "b": 2}, "measurements": [], "figures": []}]
    }
    assert swept(point(0, {TP: 1}, 1, 1, report=own)).columns() == [("own", "a"), ("own", "b")]


def test_the_best_of_a_column() -> None:
    assert (table(SWEEP).best(RATE), table(SWEEP).best(TTFT)) == (2400.0, 40.0)
    assert table(SWEEP).best(("guide", "p99_ttft_ms")) is None  # all are equal
    assert table(SWEEP).best(("guide", "completed")) is None  # its name does not say which way is better


def test_what_a_search_found_leads() -> None:
    found = GUIDE | {"metrics": {"output_throughput": 9, "slo_max_concurrency": 8}, "measurements": [], "figures": []}
    sweep = swept(point(0, {TP: 1}, 1, 1, report=RUN | {"benchmarks": [found]}))
    assert [metric for _, metric in sweep.columns()] == ["slo_max_concurrency", "output_throughput"]


def repeated(number: int, rate: float, half_width: float | None, ttft: float = 5) -> dict[str, Any]:
    """A point whose throughput may be off by so much; None is one that was measured once."""
    noise = {} if half_width is None else {metric: {"half_width_percent": half_width} for _, metric in (RATE, TTFT)}
    item = GUIDE | {"metrics": {RATE[1]: rate, TTFT[1]: ttft}, "noise": noise, "figures": []}
    return point(number, {TP: number}, rate, ttft, report=RUN | {"benchmarks": [item]})


def test_what_is_better_within_noise_is_not_the_best() -> None:
    sweep = swept(repeated(0, 100, 5), repeated(1, 109, 5))
    assert (sweep.best(RATE), sweep.marked) == (None, False)
    assert sweep.statements() == [
        "guide: two figures are told apart where they differ by more than 10.3 % (output_throughput), "
        "10.3 % (median_ttft_ms)."
    ]
    assert swept(repeated(0, 100, 5), repeated(1, 111, 5)).best(RATE) == 111


def test_of_single_measurements_none_is_the_best() -> None:
    sweep = swept(repeated(0, 100, None), repeated(1, 1000, None))
    assert (sweep.best(RATE), sweep.marked) == (None, False)
    assert sweep.statements() == [
        "guide: no figure is marked as the best: their noise is not known; benchmark.NAME.repeat=5 measures it."
    ]


def test_a_time_of_0_is_neither_the_best_nor_on_the_front() -> None:
    sweep = swept(repeated(0, 100, 1, ttft=0), repeated(1, 90, 1), repeated(2, 80, 1, ttft=3))
    assert (sweep.best(TTFT), sweep.best(RATE)) == (None, 100)
    (trade,) = (one for one in of_sweep(sweep) if one.title == "output_throughput against median_ttft_ms")
    assert trade.caption == "points that no other beats in both, as measured: 001 (90, 5); 002 (80, 3)"


def test_a_benchmark_that_failed_is_never_best() -> None:
    broken = RUN | {"benchmarks": [GUIDE | {"verdict": "failed", "metrics": {RATE[1]: 99.0, TTFT[1]: 1.0}}]}
    points = [point(0, {TP: 1}, 10, 10), point(1, {TP: 2}, 20, 20, verdict="failed")]  # a check of it failed
    sweep = swept(*points, point(2, {TP: 4}, 1, 1, verdict="failed", report=broken))
    assert (sweep.best(RATE), sweep.best(TTFT)) == (20.0, 10.0)
    assert [sweep.is_best(each, RATE) for each in sweep.points] == [False, True, False]
    assert [each.figure(RATE) for each in sweep.points] == [10.0, 20.0, None]


def test_of_a_benchmark_that_always_failed_there_is_no_column() -> None:
    broken = RUN | {"benchmarks": [GUIDE | {"verdict": "failed", "metrics": {RATE[1]: 99.0}}]}
    assert swept(point(0, {TP: 1}, 1, 1, verdict="failed", report=broken)).columns() == []


def test_a_benchmark_in_doubt_is_never_best() -> None:
    doubted = [{**GUIDE["measurements"][-1], "doubts": ["the client was busy"]}]
    metrics = {RATE[1]: 99.0, TTFT[1]: 1.0}
    item = GUIDE | {"verdict": "inconclusive", "metrics": metrics, "measurements": doubted}
    report = RUN | {"benchmarks": [item]}
    sweep = swept(
        point(0, {TP: 1}, 10, 10), point(1, {TP: 2}, 20, 20), point(2, {TP: 4}, 1, 1, verdict=None, report=report)
    )
    assert (sweep.best(RATE), sweep.best(TTFT)) == (20.0, 10.0)
    assert sweep.points[2].figure(RATE) == 99.0


def test_a_point_that_cannot_begin_is_an_error() -> None:
    errors = [{"where": "memory", "what": "it does not fit", "do": "use two GPUs"}]
    sweep = swept(point(0, {TP: 1}, 1, 1, verdict=None, report=None, errors=errors), point(1, {TP: 2}, 1, 1))
    assert (sweep.verdict, sweep.tally) == ("error", "1 cannot begin, 1 passed")
    assert sweep.points[0].errors == ("memory — it does not fit; use two GPUs",)


def test_the_verdict_of_a_sweep_is_its_worst() -> None:
    verdicts = ("passed", "inconclusive", "failed", "error", None)
    points = [point(i, {TP: i}, 1, 1, verdict=verdict) for i, verdict in enumerate(verdicts)]
    assert [swept(*points[:count]).verdict for count in range(1, 6)] == [*verdicts[:4], "interrupted"]
    assert swept(*points).tally == "1 passed, 1 inconclusive, 1 failed, 1 error, 1 not run"


def test_the_front_of_the_example() -> None:
    assert front([(rate, ttft) for _, _, rate, ttft in FIGURES]) == [5, 4, 3]


def test_equal_points_are_all_on_the_front() -> None:
    assert front([(1, 1), (1, 1), (1, 2), (0.5, 1)]) == [0, 1]
    assert front([]) == []


FEW = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(FEW, FEW), max_size=12))
def test_the_front_is_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    def beaten(one: tuple[float, float]) -> bool:
        return any(other != one and other[0] >= one[0] and other[1] <= one[1] for other in points)

    found = front(points)
    assert sorted(found) == [place for place, one in enumerate(points) if not beaten(one)]
    assert [points[place] for place in found] == sorted((points[place] for place in found), reverse=True)
