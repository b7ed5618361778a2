"""What can be said of numbers that scatter: how often that is wrong, how much it finds, and what nothing is said of."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recipe_runner.figures.family import USUAL as USUAL_METRICS
from recipe_runner.figures.family import level
from recipe_runner.figures.noise import ALPHA, FEWEST, POWER, Difference, Noise, against, difference, noise, smallest
from recipe_runner.serialize import around

ROOT = Path(__file__).parents[2]
POSITIVE = st.floats(1e-300, 1e300)
SERIES = st.lists(POSITIVE, min_size=FEWEST, max_size=12)
USUAL = st.lists(st.floats(0.01, 1e6), min_size=FEWEST, max_size=12)
BUSY = settings(deadline=None, max_examples=60)
RATES = [2535.4, 2541.1, 2528.9, 2533.0, 2550.2]


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


@pytest.mark.parametrize(
    ("counts", "spreads", "level"),
    [
        *(((count, count), (0.03, 0.03), level) for count in (3, 5, 10) for level in (ALPHA, 0.8 * ALPHA, 0.1 * ALPHA)),
        *(((3, 10), (0.03, 0.03), ALPHA), ((10, 3), (0.01, 0.05), ALPHA), ((5, 5), (0.1, 0.01), 0.8 * ALPHA)),
    ],
)
def test_the_smallest_difference_is_found_nine_times_in_ten(
    counts: tuple[int, int], spreads: tuple[float, float], level: float
) -> None:
    sides = [scattered(count, spread) for count, spread in zip(counts, spreads, strict=True)]
    least = math.log1p(smallest(*sides, level) / 100)
    rng, trials = np.random.default_rng(3), 50_000
    drawn = (
        rng.normal(mean, np.log(side).std(ddof=1), (trials, len(side)))
        for side, mean in zip(sides, (0, least), strict=True)
    )
    p = stats.ttest_ind(*drawn, axis=1, equal_var=False).pvalue
    assert (p < level).mean() == pytest.approx(POWER, abs=0.006)
    alike = noise(sides[0], level)
    assert alike is not None
    assert alike.smallest_difference_percent == pytest.approx(smallest(sides[0], sides[0], level))


def scattered(count: int, spread: float) -> list[float]:
    return [math.exp(spread * place) for place in stats.norm.ppf((np.arange(count) + 0.5) / count)]


def test_a_level_makes_the_interval_and_the_smallest_difference_larger() -> None:
    after = [rate * 1.02 for rate in RATES]
    wide, narrow = difference(RATES, after, ALPHA / 10), difference(RATES, after)
    assert wide is not None
    assert narrow is not None
    assert wide.low_percent < narrow.low_percent < narrow.percent == wide.percent < narrow.high_percent
    assert (wide.p, narrow.p) == (narrow.p, narrow.p)
    assert smallest(RATES, after, ALPHA / 10) > smallest(RATES, after)


def test_values_with_steps_differ_by_more_than_a_step() -> None:
    """A search that halves a gap until its ends are 10 % apart may end at either of them."""
    one = difference([20, 20, 20], [22, 22, 22], step=0.1)
    assert one is not None
    assert (one.percent, one.p) == (pytest.approx(10), 1)
    assert one.low_percent == pytest.approx(0, abs=1e-9)
    assert one.high_percent == pytest.approx(21)
    more = difference([20, 20, 20], [25, 25, 25], step=0.1)
    assert more is not None
    assert more.p < ALPHA
    assert (more.low_percent, more.high_percent) == pytest.approx((100 * (1.25 / 1.1 - 1), 37.5))
    assert smallest([20, 20, 20], [20, 20, 20], step=0.1) == pytest.approx(10)


@BUSY
@given(USUAL, USUAL, st.floats(0, 0.5), st.floats(1e-4, 0.1))
def test_an_interval_agrees_with_its_p_at_any_level(
    before: list[float], after: list[float], step: float, level: float
) -> None:
    found = difference(before, after, level, step)
    assert found is not None
    if abs(found.p - level) > 1e-9 and max(abs(found.low_percent), abs(found.high_percent)) > 1e-9:
        assert (found.p < level) == (found.low_percent > 1e-9 or found.high_percent < -1e-9)


def test_the_documentation_says_what_repeats_are_worth() -> None:
    page = (ROOT / "docs" / "explanation" / "verdicts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (−[\d.]+ % to \+[\d.]+ %|± [\d.]+ %) \| ([\d.]+) % \| ([\d.]+) % \|$", page, re.M)
    assert [int(count) for count, *_ in rows] == [3, 5, 7, 10, 20]
    for count, off, *seen in rows:
        places = np.resize([1.0, -1.0], int(count))
        values = list(1.03 ** (places / places.std(ddof=1)))
        found = noise(values)
        assert found is not None
        assert around(found.half_width_percent) == off
        levels = (level(metric, USUAL_METRICS, 1) for metric in USUAL_METRICS[:2])
        assert [f"{smallest(values, values, each):.1f}" for each in levels] == seen


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
