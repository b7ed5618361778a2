"""What can be said of numbers that scatter: how often that is wrong, how much it finds, and what nothing is said of."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recipe_runner.figures.noise import ALPHA, FEWEST, POWER, Difference, Noise, against, difference, holm, noise

ROOT = Path(__file__).parents[2]
POSITIVE = st.floats(1e-300, 1e300)
SERIES = st.lists(POSITIVE, min_size=FEWEST, max_size=12)
USUAL = st.lists(st.floats(0.01, 1e6), min_size=FEWEST, max_size=12)
BUSY = settings(deadline=None, max_examples=60)
RATES = [2535.4, 2541.1, 2528.9, 2533.0, 2550.2]


@pytest.fixture(scope="module")
def verdict_error() -> Iterator[ModuleType]:
    """The benchmark that judges many trials at once, and asserts that it does as `difference` and `against` do."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import verdict_error

    yield verdict_error
    sys.path.remove(str(ROOT / "benchmarks"))


def test_the_noise_of_five_measurements() -> None:
    found = noise(RATES)
    assert found is not None
    assert (found.count, round(found.mean, 2)) == (5, 2537.71)
    logs = np.log(RATES)
    assert found.spread_percent == pytest.approx(100 * math.expm1(logs.std(ddof=1)))
    assert found.spread_percent == pytest.approx(100 * np.std(RATES, ddof=1) / np.mean(RATES), rel=0.01)
    low, high = stats.t.interval(1 - ALPHA, 4, logs.mean(), stats.sem(logs))
    assert found.half_width_percent == pytest.approx(100 * math.expm1((high - low) / 2))
    assert found.drift_percent == pytest.approx(0.3385, abs=0.0001)


def test_an_interval_is_at_least_half_the_drift() -> None:
    steady = noise([100 * 1.01 ** (number % 2) for number in range(60)])
    drifting = noise([100 * 1.01**number for number in range(60)])
    assert steady is not None
    assert drifting is not None
    assert steady.half_width_percent == pytest.approx(0.17, abs=0.01)
    assert drifting.drift_percent == pytest.approx(100 * (1.01**59 - 1))
    assert drifting.half_width_percent == pytest.approx(100 * (1.01 ** (59 / 2) - 1))


@BUSY
@given(USUAL, st.floats(0.001, 1000))
def test_noise_is_the_same_in_any_unit(values: list[float], unit: float) -> None:
    one, other = noise(values), noise([value * unit for value in values])
    assert one is not None
    assert other is not None
    for key in ("spread_percent", "drift_percent", "half_width_percent", "smallest_difference_percent"):
        assert getattr(other, key) == pytest.approx(getattr(one, key), rel=1e-6, abs=1e-6)


@BUSY
@given(SERIES)
def test_noise_is_of_numbers_that_json_can_hold(values: list[float]) -> None:
    found = noise(values)
    assert found is not None
    assert json.loads(json.dumps(vars(found), allow_nan=False))
    assert found.spread_percent >= 0
    assert found.half_width_percent >= 0


@BUSY
@given(st.floats(1e-300, 1e300), st.integers(FEWEST, 12), st.sampled_from(["higher", "lower"]))
def test_constant_values_are_taken_at_their_word(value: float, count: int, better: Any) -> None:
    values = [value] * count
    assert noise(values) == Noise(count, pytest.approx(value), 0, 0, 0, 0)
    assert against(values, value, better) == "passed"
    assert against(values, value * 0.99, better) == ("passed" if better == "higher" else "failed")
    assert against(values, value * 1.01, better) == ("passed" if better == "lower" else "failed")
    assert difference(values, [*values, value]) == Difference(0, 0, 0, 1)


def test_constant_values_beside_others() -> None:
    changed = difference([5, 5, 5], [6, 6, 6])
    assert changed is not None
    assert (changed.percent, changed.low_percent, changed.high_percent) == pytest.approx((20, 20, 20))
    assert changed.p < 1e-12
    for before, after in (([5, 5, 5], [6, 6.1, 6.2]), ([5.1, 5, 5.2], [6, 6, 6])):
        found = difference(before, after)
        assert found is not None
        assert found.low_percent < found.percent < found.high_percent
        assert found.p < ALPHA


@pytest.mark.parametrize("values", [[], [5], [5, 5], [5, 6], [5, 6, 0], [5, -6, 7], [0, 0, 0], [1, 2, math.inf]])
def test_nothing_is_said_of_too_few_or_of_what_has_no_ratio(values: list[float]) -> None:
    assert noise(values) is None
    for limit in (0.001, 1000):
        assert against(values, limit, "higher") == against(values, limit, "lower") == "inconclusive"
    for sides in ((values, RATES), (RATES, values)):
        assert difference(*sides) is None


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_a_limit_that_is_not_positive_judges_nothing(limit: float) -> None:
    assert against(RATES, limit, "higher") == against(RATES, limit, "lower") == "inconclusive"


@BUSY
@given(USUAL, st.floats(0.01, 1e6))
def test_one_way_is_the_other_upside_down(values: list[float], limit: float) -> None:
    turned = against([1 / value for value in values], 1 / limit, "lower")
    found = noise(values)
    assert found is not None
    way = abs(math.log(found.mean / limit))
    if abs(way - math.log1p(found.half_width_percent / 100)) > 1e-9:  # else rounding decides
        assert against(values, limit, "higher") == turned


@BUSY
@given(USUAL, st.floats(0.01, 1e6))
def test_a_verdict_needs_the_whole_interval(values: list[float], limit: float) -> None:
    found = noise(values)
    assert found is not None
    share = 1 + found.half_width_percent / 100
    low, high = found.mean / share, found.mean * share
    said = against(values, limit, "higher")
    assert said != "passed" or low >= limit * (1 - 1e-9)
    assert said != "failed" or high < limit * (1 + 1e-9)
    assert said != "inconclusive" or low * (1 - 1e-9) < limit <= high * (1 + 1e-9)


@BUSY
@given(USUAL, USUAL)
def test_a_difference_turned_round_is_the_reverse(before: list[float], after: list[float]) -> None:
    there, back = difference(before, after), difference(after, before)
    assert there is not None
    assert back is not None
    assert there.p == pytest.approx(back.p, rel=1e-6, abs=1e-9)
    assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1, rel=1e-6)
    assert there.low_percent <= there.percent <= there.high_percent


@BUSY
@given(USUAL, USUAL)
def test_an_interval_without_zero_is_a_difference(before: list[float], after: list[float]) -> None:
    found = difference(before, after)
    assert found is not None
    if abs(found.p - ALPHA) > 1e-9 and max(abs(found.low_percent), abs(found.high_percent)) > 1e-9:
        assert (found.p < ALPHA) == (found.low_percent > 0 or found.high_percent < 0)


def test_holm_has_the_example_that_textbooks_have() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.6]) == [1, 1]


@BUSY
@given(st.lists(st.floats(0, 1), max_size=8), st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_never_makes_smaller(ps: list[float], chance: Any) -> None:
    adjusted = holm(ps)
    assert all(p <= more <= min(1, len(ps) * p) for p, more in zip(ps, adjusted, strict=True))
    assert [more for _, more in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)
    order = chance.sample(range(len(ps)), len(ps))
    assert holm([ps[index] for index in order]) == [adjusted[index] for index in order]


def test_the_error_of_a_comparison_and_what_it_finds(verdict_error: ModuleType) -> None:
    """Five against five at a spread of 3 %; three standard errors of the simulation below 1 %, and above 90 %."""
    trials = verdict_error.simulated(np.random.default_rng(1), 100_000)
    wrong = (verdict_error.found(trials) < ALPHA).mean()
    assert 0.005 < wrong < 0.01 - 3 * math.sqrt(wrong / len(trials))
    assert (verdict_error.found(trials, 0.10) < ALPHA).mean() > 0.92


def test_the_error_of_a_family_and_of_a_gate(verdict_error: ModuleType) -> None:
    rng = np.random.default_rng(2)
    ps = np.stack([verdict_error.found(verdict_error.simulated(rng, 50_000)) for _ in range(3)], axis=1)
    assert (ps < ALPHA).any(axis=1).mean() > 0.01
    for family in (ps, ps[:, [0, 0, 0]]):
        assert (verdict_error.together(family) < ALPHA).any(axis=1).mean() < 0.009
    shares = verdict_error.judged(verdict_error.simulated(rng, 50_000, 5), 100)
    assert 0.003 < shares["passed"] < 0.0065
    assert 0.003 < shares["failed"] < 0.0065


@pytest.mark.parametrize("count", [3, 5, 10])
def test_the_smallest_difference_is_found_nine_times_in_ten(count: int) -> None:
    alike = [math.exp(0.03 * place) for place in stats.norm.ppf((np.arange(count) + 0.5) / count)]
    found = noise(alike)
    assert found is not None
    spread, smallest = (math.log1p(x / 100) for x in (found.spread_percent, found.smallest_difference_percent))
    rng, trials = np.random.default_rng(3), 50_000
    before, after = (rng.normal(mean, spread, (trials, count)) for mean in (0, smallest))
    p = stats.ttest_ind(before, after, axis=1, equal_var=False).pvalue
    assert (p < ALPHA).mean() == pytest.approx(POWER, abs=0.006)


def test_the_documentation_says_what_repeats_are_worth() -> None:
    page = (ROOT / "docs" / "explanation" / "verdicts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) % \| ([\d.]+) % \|$", page, re.M)
    assert [int(count) for count, _, _ in rows] == [3, 5, 7, 10, 20]
    for count, half_width, smallest in rows:
        places = np.resize([1.0, -1.0], int(count))
        found = noise(list(1.03 ** (places / places.std(ddof=1))))
        assert found is not None
        assert (f"{found.half_width_percent:.1f}", f"{found.smallest_difference_percent:.1f}") == (half_width, smallest)


@BUSY
@given(st.integers(FEWEST, 1000))
def test_more_measurements_find_smaller_differences(count: int) -> None:
    fewer, more = (noise([1.0, 1.1] * (count // 2 + further)) for further in (2, 3))
    assert fewer is not None
    assert more is not None
    assert more.smallest_difference_percent < fewer.smallest_difference_percent


def test_the_statistics_are_loaded_where_they_are_needed() -> None:
    program = "import sys, recipe_runner.figures.gates; assert not {'scipy', 'numpy'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_benchmark_prints_its_tables(
    verdict_error: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--trials", "200"])
    monkeypatch.setattr(verdict_error, "SAMPLE", 2)
    monkeypatch.setattr(verdict_error, "RECORDED", tmp_path / "none.json")
    verdict_error.main()
    printed = capsys.readouterr().out
    assert printed.startswith(f"Nothing is recorded in {tmp_path}/none.json: see --record. Simulated only.\n")
    assert len([line for line in printed.splitlines() if "%" in line]) == 11 + 3 + 2 * 8
    monkeypatch.setattr(verdict_error, "RECORDED", tmp_path / "new" / "repeats.json")
    document = report([50.0 + number for number in range(12)])
    done = subprocess.CompletedProcess([], 0, json.dumps(document))
    monkeypatch.setattr(verdict_error.subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--record", "12"])
    verdict_error.main()
    told = capsys.readouterr()
    assert told.out == f"12 measurements in {tmp_path}/new/repeats.json\n"
    assert told.err == "small.1: somebody else used the server\n"
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--trials", "200"])
    verdict_error.main()
    heading, place, *table = capsys.readouterr().out.splitlines()
    assert heading == (
        "Recorded: 12 × `recipe-run recipe=internvl3-tiny hardware=cpu serve.port=0 benchmark.small.repeat=12`"
    )
    assert place == "on a CPU (2 cores), 8 GiB, vLLM 0.32.0, 2026-11-23"
    assert table[3].split() == ["slowdown", "simulated", "output_throughput", "median_ttft_ms", "median_tpot_ms"]


def test_the_benchmark_records_all_or_nothing(verdict_error: ModuleType) -> None:
    with pytest.raises(SystemExit) as ended:
        verdict_error.kept(report([50.0, 51.0]), "recipe-run", 3)
    assert ended.value.code == "only 2 of 3 were measured: measured, all well"


def report(rates: list[float]) -> dict[str, Any]:
    """What of report.json the benchmark reads."""
    measurements = [
        {
            "name": f"small.{number}" if number else "small.warmup",
            "counted": number > 0,
            "metrics": {"output_throughput": rate, "median_ttft_ms": 1 / rate, "median_tpot_ms": 2 / rate},
            "doubts": ["somebody else used the server"] if number == 1 else [],
        }
        for number, rate in enumerate([1.0, *rates])
    ]
    small = {"name": "small", "verdict": "measured", "detail": "all well", "measurements": measurements}
    environment = {"cpu": "a CPU (2 cores)", "memory_gib": 7.8, "vllm": "0.32.0"}
    return {"started": "2026-11-23T22:00:00+00:00", "environment": environment, "benchmarks": [small], "errors": []}
