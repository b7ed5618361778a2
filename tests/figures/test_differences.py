"""What differs between two runs, and what is judged."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.errors import RecipeError
from recipe_runner.figures.differences import Comparison, Setting, Turned, compare
from recipe_runner.figures.family import holm, weights
from recipe_runner.figures.noise import ALPHA, difference, smallest
from recipe_runner.figures.runs import Run, Source
from tests.figures.test_runs import CLIENT, STEADY, benchmark, report

SLOW = tuple(0.8 * rate for rate in STEADY)


def source(*documents: dict[str, Any], path: str = "a", unfinished: tuple[str, ...] = ()) -> Source:
    """A run, or a sweep over x."""
    runs = [Run.model_validate(document) for document in documents]
    points = {f"x={number}": run for number, run in enumerate(runs)} if len(runs) > 1 or unfinished else {"": runs[0]}
    return Source(path, points, unfinished)


def compared(a: dict[str, Any], b: dict[str, Any], *metrics: str, min_change: float = 0) -> Comparison:
    return compare(source(a), source(b, path="b"), metrics, min_change)


def verdicts(found: Comparison) -> dict[str, str]:
    return {change.metric: change.verdict for change in found.changes}


def against(found: Comparison) -> tuple[str, ...]:
    (one,) = found.benchmarks
    assert {change.verdict for change in one.metrics} <= {"not judged"}
    assert found.verdict == "nothing judged"
    return one.not_judged


@pytest.mark.parametrize("rates", [STEADY, (5.0, 5.0, 5.0), (1.0, 20.0, 400.0)])
def test_a_run_does_not_differ_from_itself(rates: tuple[float, ...]) -> None:
    same = report(benchmark(rates), checks={"capital": "passed", "broken": "failed"})
    found = compared(same, same)
    assert (found.notes, found.configuration, found.turned) == ((), (), ())
    assert verdicts(found) == dict.fromkeys(("output_throughput", "median_tpot_ms"), "no difference seen")
    assert [(change.percent, change.p) for change in found.changes] == [(0.0, 1.0), (0.0, 1.0)]
    assert found.verdict == "no regression"


def test_what_is_slower_is_a_regression_and_the_other_way_round_it_is_faster() -> None:
    before, after = report(benchmark()), report(benchmark(SLOW))
    there, back = compared(before, after), compared(after, before)
    assert verdicts(there) == dict.fromkeys(("output_throughput", "median_tpot_ms"), "slower")
    assert verdicts(back) == dict.fromkeys(("output_throughput", "median_tpot_ms"), "faster")
    assert (there.verdict, back.verdict) == ("regression", "no regression")
    assert [round(change.percent or 0, 6) for change in there.changes] == [-20, 25]
    assert [round(change.percent or 0, 6) for change in back.changes] == [25, -20]


@given(st.lists(st.floats(0.5, 200), min_size=6, max_size=6))
def test_the_order_only_turns_the_sign(rates: list[float]) -> None:
    before, after = report(benchmark(rates[:3])), report(benchmark(rates[3:]))
    turned = {"slower": "faster", "faster": "slower"}
    for there, back in zip(compared(before, after).changes, compared(after, before).changes, strict=True):
        assert back.verdict == turned.get(there.verdict, there.verdict)
        assert there.percent is not None
        assert back.percent is not None
        assert math.isclose((1 + there.percent / 100) * (1 + back.percent / 100), 1, rel_tol=1e-6)
        assert there.p == pytest.approx(back.p)
        assert there.smallest_percent == pytest.approx(back.smallest_percent)


def test_a_change_has_its_interval_and_what_would_have_been_seen() -> None:
    change = compared(report(benchmark()), report(benchmark(SLOW))).changes[0]
    assert change.level is not None
    found = difference(STEADY, SLOW, change.level)
    assert found is not None
    assert (round(change.a, 1), round(change.b, 1)) == (100, 80)
    assert (change.low_percent, change.high_percent) == (found.low_percent, found.high_percent)
    assert change.smallest_percent == pytest.approx(smallest(STEADY, SLOW, 0.008))
    assert change.smallest_percent == pytest.approx(2.7, abs=0.1)


def test_what_is_shown_changed_by_what_is_said() -> None:
    """Of 1, 1 and 8 the mean of ratios is 2, of 2, 2 and 2 too; that of sums fell from 3.3 to 2."""
    change = compared(report(benchmark((1.0, 1.0, 8.0))), report(benchmark((2.0, 2.0, 2.0)))).changes[0]
    assert (change.a, change.b) == pytest.approx((2, 2))
    assert change.percent == pytest.approx(0)
    few = compared(report(benchmark((1.0, 4.0))), report(benchmark((3.0,)))).changes[0]
    assert (few.a, few.b, few.percent) == (pytest.approx(2), 3, pytest.approx(50))


RATES = st.lists(st.floats(90, 110), min_size=5, max_size=9)


@given(RATES, RATES)
def test_an_interval_never_contradicts_its_verdict(old: list[float], new: list[float]) -> None:
    for change in compared(report(benchmark(old)), report(benchmark(new))).changes:
        assert change.percent is not None
        assert change.low_percent is not None
        assert change.high_percent is not None
        assert change.low_percent <= change.percent <= change.high_percent
        assert 100 * (change.b / change.a - 1) == pytest.approx(change.percent, abs=1e-6)
        differs = change.low_percent > 1e-9 or change.high_percent < -1e-9
        assert differs == (change.verdict in ("slower", "faster"))


def test_all_metrics_that_are_judged_are_one_family() -> None:
    """One p of 0.009 alone is significant; leading another it is not."""
    old, new = (100.0, 102.0, 98.0, 101.0, 99.0), (97.0, 95.5, 98.5, 94.0, 96.85)
    alone = compared(report(benchmark(old)), report(benchmark(new)), "output_throughput")
    (p,) = (change.p for change in alone.changes)
    assert p is not None
    assert 0.8 * ALPHA < p < ALPHA
    assert alone.verdict == "regression"
    both = compared(report(benchmark(old)), report(benchmark(new)))
    assert both.verdict == "no regression"
    raw = difference([1000 / rate for rate in old], [1000 / rate for rate in new])
    assert raw is not None
    assert [(change.p, change.level) for change in both.changes] == holm([p, raw.p], weights(2))


def test_points_of_a_sweep_and_benchmarks_are_in_the_same_family() -> None:
    pairs = [(report(benchmark(), benchmark(name="b")), report(benchmark(), benchmark(SLOW, name="b")))] * 2
    a, b = (source(*side) for side in zip(*pairs, strict=True))
    found = compare(a, b)
    assert [(one.point, one.name) for one in found.benchmarks] == [
        *(("x=0", "small"), ("x=0", "b")),
        *(("x=1", "small"), ("x=1", "b")),
    ]
    one = compare(source(pairs[0][0]), source(pairs[0][1])).changes[2].p
    several = found.changes[2].p
    assert one is not None
    assert several is not None
    assert several > one > 0


def test_less_than_the_least_change_is_no_regression() -> None:
    before, after = report(benchmark()), report(benchmark(SLOW))
    assert [change.regression for change in compared(before, after, min_change=19.9).changes] == [True, True]
    assert [change.regression for change in compared(before, after, min_change=22).changes] == [False, True]
    found = compared(before, after, min_change=26)
    assert (found.verdict, set(verdicts(found).values())) == ("no regression", {"slower"})


@pytest.mark.parametrize("few", [STEADY[:2], STEADY[:1]])
def test_fewer_than_three_show_a_change_and_are_not_judged(few: tuple[float, ...]) -> None:
    for found in (
        compared(report(benchmark()), report(benchmark([rate / 2 for rate in few]))),
        compared(report(benchmark(few)), report(benchmark([rate / 2 for rate in STEADY]))),
    ):
        assert set(verdicts(found).values()) == {"too few repeats"}
        assert found.verdict == "nothing judged"
        assert found.changes[0].percent == pytest.approx(-50, abs=1)
        assert found.changes[0].low_percent is found.changes[0].p is found.changes[0].smallest_percent is None


def test_doubtful_measurements_are_not_judged() -> None:
    doubtful = report(benchmark(SLOW, doubts=["the client took 97% of a core", "39% were in the prefix cache"]))
    doubts = ("the client took 97% of a core", "39% were in the prefix cache")
    assert against(compared(report(benchmark()), doubtful)) == tuple(f"B is in doubt: {doubt}" for doubt in doubts)
    assert against(compared(doubtful, report(benchmark()))) == tuple(f"A is in doubt: {doubt}" for doubt in doubts)


def test_simulated_against_real_is_not_judged() -> None:
    real, simulated = report(benchmark(), checks={"c": "passed"}), report(benchmark(SLOW), simulated=True)
    simulated["checks"] = [{"name": "c", "verdict": "failed"}]
    assert against(compared(real, simulated)) == ("B is simulated, and A is real",)
    assert against(compared(simulated, real)) == ("A is simulated, and B is real",)
    assert Setting("", "simulated", "false", "true") in compared(real, simulated).configuration
    assert compared(simulated, simulated).verdict == "no regression"


def test_another_workload_of_the_same_name_is_not_judged() -> None:
    other = benchmark(SLOW, argv=[*CLIENT[:-1], "9", "--ignore-eos"], verdict="failed")
    found = compared(report(benchmark()), report(other))
    assert against(found) == ("the workloads are not the same: --num-prompts, --ignore-eos",)
    assert found.turned == ()
    assert found.configuration == (
        Setting("", "small --num-prompts", "5", "9"),
        Setting("", "small --ignore-eos", None, "true"),
    )
    assert against(compared(report(benchmark()), report({**benchmark(), "uses": "load"}))) == (
        "the workloads are not the same: uses",
    )
    place = ("vllm", "bench", "serve", "--base-url", "http://elsewhere", "--num-prompts", "5", "--seed", "3")
    assert compared(report(benchmark()), report(benchmark(argv=place))).verdict == "no regression"


def test_a_workload_that_is_not_recorded_is_not_judged() -> None:
    unknown = report(benchmark(argv=None))
    assert against(compared(report(benchmark()), unknown)) == ("B does not say what was asked of the server",)
    assert against(compared(unknown, unknown)) == ("A does not say what was asked of the server",)


def test_other_hardware_is_shown_and_judged() -> None:
    before, after = report(benchmark()), report(benchmark(SLOW))
    after["environment"] = {**after["environment"], "gpus": ["H200"], "torch": "2.11.0"}
    after["processes"][0]["argv"] = ["vllm", "serve", "a/model", "--port", "9000"]
    found = compared(before, after)
    assert found.configuration == (
        Setting("", "--enforce-eager", "true", None),
        Setting("", "gpus", "H100, H100", "H200"),
        Setting("", "torch", None, "2.11.0"),
    )
    assert found.verdict == "regression"


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        *(("passed", "failed", True), ("passed", "error", True), ("measured", "failed", True)),
        *(("passed", "passed", False), ("passed", "inconclusive", False), ("passed", "skipped", False)),
        *(("failed", "failed", False), ("inconclusive", "failed", False), ("skipped", "failed", False)),
    ],
)
def test_a_verdict_that_turned_bad_is_a_regression(before: str, after: str, lost: bool) -> None:
    found = compared(report(benchmark(), checks={"c": before}), report(benchmark(), checks={"c": after}))
    assert found.turned == ((Turned("", "check c", before, after),) if lost else ())
    assert found.verdict == ("regression" if lost else "no regression")
    of = compared(report(benchmark(verdict=before)), report(benchmark(verdict=after)))
    assert of.turned == ((Turned("", "benchmark small", before, after),) if lost else ())


def test_a_benchmark_that_measures_nothing_any_more_is_a_regression() -> None:
    found = compared(report(benchmark()), report(benchmark((), verdict="failed")))
    assert found.turned == (Turned("", "benchmark small", "measured", "failed"),)
    assert found.benchmarks[0].metrics == ()
    assert found.verdict == "regression"


def test_a_run_whose_server_died_is_a_regression() -> None:
    dead = report(benchmark((), verdict="skipped"), checks={"c": "skipped"}, verdict="error")
    for verdict, lost in (("passed", 1), ("failed", 1), ("inconclusive", 1), ("error", 0), ("interrupted", 0)):
        found = compared(report(benchmark(), checks={"c": "passed"}, verdict=verdict), dead)
        assert found.turned == (Turned("", "run", verdict, "error"),) * lost


def test_a_flipped_check_counts_where_nothing_else_can_be_judged() -> None:
    found = compared(report(checks={"c": "passed"}), report(checks={"c": "failed"}))
    assert found.verdict == "regression"
    assert compared(report(checks={"c": "passed"}), report(checks={"c": "passed"})).verdict == "nothing judged"


def test_what_is_in_one_only_is_named() -> None:
    a, b = report(benchmark(), benchmark(name="mine"), checks={"c": "passed"}), report(benchmark(), processes=None)
    assert compared(a, b).notes == (
        "B does not say with which flags its server was started: an earlier release wrote it",
        "only in A: check c",
        "only in A: benchmark mine",
    )
    assert compared(b, a).notes[1:] == ("only in B: check c", "only in B: benchmark mine")


def test_points_without_a_partner_are_named() -> None:
    run = report(benchmark(), checks={"c": "passed"})
    a, b = source(run, run, report(benchmark()), unfinished=("x=7",)), source(run, unfinished=("x=2",), path="b")
    assert compare(a, b).notes == (
        "only in A: x=1",
        "A has no report of x=7",
        "B has no report of x=2",
    )
    c = source(report(benchmark()), run)
    assert compare(source(run, run), c).notes == ("only in A: x=0: check c",)


def test_what_differs_at_every_point_is_told_once() -> None:
    def point(vllm: str, tp: str) -> dict[str, Any]:
        return report(environment={"vllm": vllm, "tp": tp})

    found = compare(source(point("1", "1"), point("1", "2")), source(point("2", "1"), point("2", "9")))
    assert found.configuration == (Setting("", "vllm", "1", "2"), Setting("x=1", "tp", "2", "9"))


def test_nothing_in_common_is_nothing_judged() -> None:
    found = compared(report(benchmark()), report(benchmark(name="other")), "median_ttft_ms")
    assert (found.benchmarks, found.verdict) == ((), "nothing judged")


def test_a_sweep_and_a_run_are_not_of_a_kind() -> None:
    run, sweep = source(report()), source(report(), report(), path="s")
    told = "s — it is a sweep, and a is one run; compare two of a kind: two sweeps, or two runs, such as s/000"
    for pair in ((run, sweep), (sweep, run)):
        with pytest.raises(RecipeError) as caught:
            compare(*pair)
        assert str(caught.value) == told


def test_metrics_that_cannot_be_judged_are_refused_all_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        compared(report(benchmark()), report(benchmark()), "median_tpot", "completed", "output_throughput")
    there = "There are: median_tpot_ms, output_throughput"
    assert str(caught.value).splitlines() == [
        f"--metric — no benchmark has median_tpot in both; did you mean median_tpot_ms? {there}",
        "--metric — it is not known which way completed is better; choose one of: median_tpot_ms, output_throughput",
    ]


def test_benchmarks_without_a_command_are_told_apart_by_their_fields() -> None:
    def told(**fields: Any) -> tuple[str, ...]:
        sides = (report({**benchmark(argv=()), "fields": asked}) for asked in ({"size": 1, "seed": 0}, fields))
        return compared(*sides).benchmarks[0].not_judged

    assert told(size=1, seed=7) == ()
    assert told(size=2, more=[1]) == ("the workloads are not the same: size, more",)


def test_beside_a_run_of_an_earlier_release_the_commands_are_compared() -> None:
    before, after = report(benchmark()), report({**benchmark(), "fields": {"num_prompts": 5}})
    found = compared(before, after)
    assert (found.configuration, found.benchmarks[0].not_judged) == ((), ())
    after["benchmarks"][0]["argv"] = ["vllm", "bench", "serve", "--num-prompts", "6"]
    assert compared(before, after).benchmarks[0].not_judged == ("the workloads are not the same: --num-prompts",)
