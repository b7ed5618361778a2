"""Expected figures beside what was measured: every row, every reason and every refusal word for word."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe_runner.api import Benchmark
from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.load import Load
from recipe_runner.composition.schema import Expected, Figure
from recipe_runner.figures import gates

RATES = [2535.4, 2541.1, 2528.9, 2533.0, 2550.2]


def expected(hardware: str = "a100x2", workload: str | None = None, **figures: dict[str, Any]) -> Expected:
    metrics = {metric: Figure(**{"unit": "tok/s", **figure}) for metric, figure in figures.items()}
    return Expected(source="here", hardware=hardware, workload=workload, metrics=metrics)


def row(values: list[float], metric: str = "output_throughput", devices: int = 1, **figure: Any) -> dict[str, Any]:
    """The only row of one gate, measured so often."""
    said = {"guide": expected(**{metric: {"gate": True, **figure}})}
    (found,) = gates.figures(said, "guide", "a100x2", devices, [{metric: value} for value in values])
    return found


def test_a_gate_that_is_kept() -> None:
    assert row(RATES, value=271.37) == {
        "expected": "guide",
        "metric": "output_throughput",
        "unit": "tok/s",
        "per": "total",
        "value": 271.37,
        "measured": pytest.approx(2537.72),
        "tolerance_percent": 5,
        "gate": True,
        "limit": pytest.approx(257.8015),
        "verdict": "passed",
        "why": "2,538 tok/s is above 258 tok/s by more than the noise of 0.7 %",
    }


@pytest.mark.parametrize(
    ("values", "figure", "verdict", "why"),
    [
        (RATES, {"value": 3000}, "failed", "2,538 tok/s is below 2,850 tok/s by more than the noise of 0.7 %"),
        (
            RATES,
            {"value": 2660},
            "inconclusive",
            "2,538 tok/s is within the noise of 0.7 % of its limit, 2,527 tok/s",
        ),
        (
            RATES,
            {"value": 2537.9, "tolerance": 0},
            "inconclusive",
            "2,537.7 tok/s is within the noise of 0.7 % of its limit, 2,537.9 tok/s",
        ),
        (RATES[:1], {"value": 1}, "inconclusive", "1 measurement; a gate takes at least 3"),
        (RATES[:2], {"value": 1}, "inconclusive", "2 measurements; a gate takes at least 3"),
        ([], {"value": 1}, "inconclusive", "not measured"),
        (
            [*RATES, 0.0],
            {"value": 1},
            "inconclusive",
            "not all measurements are positive; a gate takes their ratio to its limit",
        ),
        ([50, 50, 50], {"value": 50, "tolerance": 0}, "passed", "50.0 tok/s is just its limit"),
        ([50, 50, 50], {"value": 60}, "failed", "50.0 tok/s is below 57.0 tok/s by more than the noise of 0.0 %"),
    ],
)
def test_verdicts_and_why(values: list[float], figure: dict[str, Any], verdict: str, why: str) -> None:
    found = row(values, **figure)
    assert (found["verdict"], found["why"]) == (verdict, why)


def test_a_time_may_be_longer_by_the_tolerance() -> None:
    times = [4.1, 4.2, 4.15]
    kept = row(times, "median_ttft_ms", value=5, unit="ms", tolerance=10)
    assert (kept["limit"], kept["verdict"]) == (pytest.approx(5.5), "passed")
    assert kept["why"] == "4.15 ms is below 5.50 ms by more than the noise of 7.1 %"
    missed = row(times, "median_ttft_ms", value=3, unit="ms", tolerance=10)
    assert (missed["limit"], missed["verdict"]) == (pytest.approx(3.3), "failed")
    assert missed["why"] == "4.15 ms is above 3.30 ms by more than the noise of 7.1 %"


def test_figures_that_are_no_gate_here() -> None:
    said = {"guide": expected(output_throughput={"value": 1, "gate": True}, completed={"value": 497})}
    measured = [{"output_throughput": 2535.4}, {"output_throughput": 2541.1, "completed": 50}]
    there, never = gates.figures(said, "guide", "h100x2", 2, measured)
    assert (there["gate"], there["limit"], there["verdict"], there["why"]) == (True, None, None, "for a100x2")
    assert (never["gate"], never["limit"], never["verdict"], never["why"]) == (False, None, None, "no gate")
    assert (there["measured"], never["measured"]) == (pytest.approx(2538.25), 50)
    assert [row["measured"] for row in gates.figures(said, "guide", "a100x2", 2, [])] == [None, None]


def test_what_is_per_gpu_is_divided_and_times_are_not() -> None:
    rate = row(RATES, devices=2, value=1000, per="gpu")
    assert (rate["measured"], rate["limit"], rate["unit"], rate["per"]) == (pytest.approx(1268.86), 950, "tok/s", "gpu")
    assert rate["why"] == "1,269 tok/s per GPU is above 950 tok/s per GPU by more than the noise of 0.7 %"
    assert row(RATES, devices=2, value=1000)["measured"] == pytest.approx(2537.72)
    for metric in ("median_ttft_ms", "startup_s", "duration"):
        assert row([4, 5, 6], metric, 2, value=5, per="gpu")["measured"] == 5
    assert row([4, 5, 6], "requests_per_s", 2, value=5, per="gpu")["measured"] == 2.5


def test_each_expected_figure_of_the_workload_has_a_row() -> None:
    said = {
        "guide": expected(output_throughput={"value": 1}, median_ttft_ms={"value": 1, "unit": "ms"}),
        "ours": expected("h100x2", "guide", output_throughput={"value": 2, "gate": True}),
        "other": expected(output_throughput={"value": 3, "gate": True}),
    }
    rows = gates.figures(said, "guide", "h100x2", 2, [])
    assert [(row["expected"], row["metric"], row["verdict"]) for row in rows] == [
        ("guide", "output_throughput", None),
        ("guide", "median_ttft_ms", None),
        ("ours", "output_throughput", "inconclusive"),
    ]
    asked = [("guide", "h100x2"), ("guide", "a100x2"), ("other", "a100x2"), ("ours", "h100x2"), ("other", "h100x2")]
    assert [gates.gated(said, *each) for each in asked] == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], None),
        ([None, None], None),
        ([None, "passed"], "passed"),
        (["passed", "inconclusive", None], "inconclusive"),
        (["inconclusive", "failed", "passed"], "failed"),
    ],
)
def test_the_verdict_of_all(verdicts: list[str | None], worst: str | None) -> None:
    assert gates.verdict([{"verdict": verdict} for verdict in verdicts]) == worst


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        *((name, "higher") for name in ("output_throughput", "total_token_throughput", "max_output_tokens_per_s")),
        *((name, "higher") for name in ("request_goodput", "throughput_s")),
        *((name, "lower") for name in ("duration", "mean_ttft_ms", "p99_itl_ms", "startup_s")),
        *((name, None) for name in ("completed", "total_input_tokens", "goodputs", "atoms", "durations")),
    ],
)
def test_which_way_is_better_follows_from_the_name(metric: str, better: str | None) -> None:
    assert gates.better_of(metric) == gates.better_of(metric, Figure(value=1, unit="")) == better
    assert gates.better_of(metric, Figure(value=1, unit="", better="higher")) == "higher"
    assert gates.better_of(metric, Figure(value=1, unit="", better="lower")) == "lower"


def test_a_gate_whose_direction_the_figure_says() -> None:
    assert row([50, 50, 50], "completed", value=50, better="higher", tolerance=0)["verdict"] == "passed"
    assert row([49, 49, 49], "completed", value=50, better="higher", tolerance=0)["verdict"] == "failed"
    assert row([3, 3, 3], "preemptions", value=2, better="lower", tolerance=0)["verdict"] == "failed"


@pytest.mark.parametrize(
    ("metric", "units", "wrong"),
    [
        ("output_throughput", ("tok/s", "tokens/s"), "furlongs"),
        ("total_token_throughput", ("tok/s", "tokens/s"), "req/s"),
        ("request_throughput", ("req/s", "requests/s"), "tok/s"),
        ("slo_request_rate", ("req/s", "requests/s"), "rps"),
        ("median_ttft_ms", ("ms",), "s"),
        ("p99_itl_ms", ("ms",), ""),
        ("startup_s", ("s",), "ms"),
        ("duration", ("s",), "min"),
    ],
)
@pytest.mark.parametrize("gate", [True, False])
def test_a_unit_is_the_metrics_own(metric: str, units: tuple[str, ...], wrong: str, gate: bool) -> None:
    def told(unit: str) -> list[str]:
        said = {"guide": expected(**{metric: {"value": 1, "unit": unit, "gate": gate}})}
        return [str(fault) for fault in gates.contradictions(said, lambda key: f"{key} (mine.yaml:7)")]

    assert [told(unit) for unit in units] == [[] for _ in units]
    assert told(wrong) == [
        f"expected.guide.metrics.{metric}.unit (mine.yaml:7) — {metric} is measured in {units[0]}, "
        f"not in {wrong or 'nothing'}; write `unit: {units[0]}`, and the value in that"
    ]


@pytest.mark.parametrize("metric", ["completed", "max_output_tokens_per_s", "slo_max_concurrency", "goodput"])
def test_a_name_that_says_no_unit_takes_any(metric: str) -> None:
    assert not [*gates.contradictions({"guide": expected(**{metric: {"value": 1, "unit": "any"}})}, str)]


def test_better_does_not_contradict_the_name() -> None:
    said = expected(
        output_throughput={"value": 1, "better": "lower", "gate": True},
        request_throughput={"value": 1, "better": "higher", "unit": "req/s"},
        median_ttft_ms={"value": 1, "better": "higher", "unit": "ms"},
        completed={"value": 1, "better": "lower"},
    )
    at = "expected.guide.metrics"
    assert [str(fault) for fault in gates.contradictions({"guide": said}, str)] == [
        f"{at}.output_throughput.better — output_throughput is better higher, as its name says; leave `better` out",
        f"{at}.median_ttft_ms.better — median_ttft_ms is better lower, as its name says; leave `better` out",
    ]


def faults(said: dict[str, Expected], **repeats: int | None) -> list[str]:
    benchmarks = {name: Benchmark(uses="load", repeat=repeat) for name, repeat in repeats.items()}
    return [str(fault) for fault in gates.faults(said, benchmarks, lambda key: f"{key} (mine.yaml:7)")]


def test_gates_that_can_be_judged_are_not_refused() -> None:
    said = {
        "guide": expected(output_throughput={"value": 1, "gate": True}, completed={"value": -1}),
        "second": expected(workload="guide", completed={"value": 1, "gate": True, "better": "higher"}),
        "gone": expected(output_throughput={"value": 1}),
        "reported": expected(workload="once", anything={"value": 0}),
    }
    assert faults(said, guide=None, once=1) == []
    assert faults(said, guide=3, once=2) == []


def test_a_gate_without_its_benchmark() -> None:
    said = {"guide": expected(output_throughput={"value": 1, "gate": True})}
    assert faults(said, guided=None, small=None) == [
        "expected.guide (mine.yaml:7) — it gates guide, and there is no such benchmark; "
        "did you mean guided? There are: guided, small"
    ]
    said = {"a100": expected(workload="guide", output_throughput={"value": 1, "gate": True})}
    assert faults(said, small=None) == [
        "expected.a100.workload (mine.yaml:7) — it gates guide, and there is no such benchmark; choose one of: small"
    ]


def test_a_gate_on_what_its_benchmark_never_gives() -> None:
    gate = {"value": 1, "gate": True}
    said = {"guide": expected(output_thruput=gate, nonsense={**gate, "better": "higher"}, also={"value": 1})}
    benchmark = Load(uses="load")
    found = [str(fault) for fault in gates.faults(said, {"guide": benchmark}, str)]
    assert found == [
        "expected.guide.metrics.output_thruput — load gives no output_thruput, so this gate could never be judged; "
        "did you mean output_throughput?",
        "expected.guide.metrics.nonsense — load gives no nonsense, so this gate could never be judged; "
        f"choose one of: {', '.join(sorted(METRICS))}",
    ]
    said = {"guide": expected(nonsense={**gate, "better": "higher"})}
    assert faults(said, guide=None) == []  # a benchmark that does not say what it gives may give anything


@pytest.mark.parametrize("repeat", [1, 2])
def test_a_gate_that_is_measured_too_seldom(repeat: int) -> None:
    gate = {"value": 1, "gate": True}
    said = {
        "guide": expected(output_throughput=gate, total_token_throughput=gate),
        "ours": expected(workload="guide", output_throughput=gate),
    }
    assert faults(said, guide=repeat) == [
        "benchmark.guide.repeat (mine.yaml:7) — fewer than 3 measurements cannot pass a gate; "
        "make it 3 or more, or set `gate: false`"
    ]


def test_gates_that_have_no_limit() -> None:
    said = {"guide": expected(output_throughput={"value": -2.5, "gate": True}, completed={"value": 0, "gate": True})}
    do = "give a positive value, or set `gate: false`"
    assert faults(said, guide=None) == [
        "expected.guide.metrics.output_throughput.value (mine.yaml:7) — "
        f"a gate of -2.5 has no tolerance in percent; {do}",
        f"expected.guide.metrics.completed.value (mine.yaml:7) — a gate of 0 has no tolerance in percent; {do}",
        "expected.guide.metrics.completed (mine.yaml:7) — whether more or less of completed is better does not "
        "follow from its name; say `better: higher` or `better: lower`",
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(1e-6, 1e9), max_size=6),
    st.floats(1e-6, 1e9),
    st.floats(0, 99),
    st.sampled_from(["output_throughput", "median_ttft_ms"]),
    st.sampled_from(["gpu", "total"]),
)
def test_rows_agree_with_themselves(values: list[float], value: float, tolerance: float, metric: str, per: str) -> None:
    found = row(values, metric, devices=2, value=value, tolerance=tolerance, per=per)
    assert (found["limit"] <= value) if metric == "output_throughput" else (found["limit"] >= value)
    assert found["verdict"] in ("passed", "failed", "inconclusive")
    assert len(values) >= 3 or found["verdict"] == "inconclusive"
    above = " is above " in found["why"]
    if " by more than the noise of " in found["why"]:
        assert above == ((metric == "output_throughput") == (found["verdict"] == "passed"))
