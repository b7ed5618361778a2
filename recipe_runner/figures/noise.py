"""How far measurements scatter, and what can be said in spite of that. On logarithms: everything is a ratio.

Nothing can be said of fewer than three values, nor of values that are not all positive: those have no ratio. Values
that are all the same are taken at their word: their interval is a point, and any difference from it is one.

The formulas are scipy's, which comes with the extra `analysis`; it is imported where it is needed.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

ALPHA: Final = 0.01  # how often something may be seen that is not there; intervals are of 1 − ALPHA
POWER: Final = 0.9  # how often the smallest difference would be seen
FEWEST: Final = 3  # values that show noise
HUGE: Final = 700.0  # a logarithm whose ratio is still a number


@dataclass(frozen=True)
class Noise:
    """What several measurements of one thing tell of their noise, in percent of their geometric mean.

    `spread` is the standard deviation of a single one, `drift` the way from first to last along a straight line,
    `half_width` how far the mean may be off upwards (and as a ratio downwards: +100 % and −50 %), and never less than
    half the drift. `smallest_difference` is what a comparison with as many others of the same spread would find 9 times
    in 10.
    """

    count: int
    mean: float
    spread_percent: float
    drift_percent: float
    half_width_percent: float
    smallest_difference_percent: float


@dataclass(frozen=True)
class Difference:
    """How much more, or less, `after` is than `before`, and between what at a level; `p` as Welch's test has it.

    The interval is without 0 exactly where `p` is below the level.
    """

    percent: float
    low_percent: float
    high_percent: float
    p: float


def noise(values: Sequence[float], level: float = ALPHA) -> Noise | None:
    """The noise of measurements in the order made, compared at this `level`; None where nothing can be said."""
    if not _tells(values):
        return None
    from scipy import stats

    logs = _logs(values, values[0])
    spread = float(logs.std(ddof=1))
    return Noise(
        count=len(values),
        mean=float(stats.gmean(values)),
        spread_percent=_percent(spread),
        drift_percent=_percent(_drift(logs)),
        half_width_percent=_percent(_half_width(logs)),
        smallest_difference_percent=_percent(_smallest(logs, logs, level)),
    )


def against(
    values: Sequence[float], limit: float, better: Literal["higher", "lower"]
) -> Literal["passed", "failed", "inconclusive"]:
    """Passed if the whole interval of the mean is on the good side of the limit, failed if all of it is on the bad one.

    Inconclusive otherwise, and where nothing can be said. The limit itself is good.
    """
    if not _tells(values) or not limit > 0:
        return "inconclusive"
    above = _logs(values, limit) * (1 if better == "higher" else -1)
    mean, half = above.mean(), _half_width(above)
    if mean - half >= 0:
        return "passed"
    return "failed" if mean + half < 0 else "inconclusive"


def difference(
    before: Sequence[float], after: Sequence[float], level: float = ALPHA, step: float = 0.0
) -> Difference | None:
    """How two sets of measurements differ, by Welch's t-test (Welch 1947); None where nothing can be said of one.

    Where values have steps, a share of each, as those that a search may find, only more than a step is a difference.
    """
    if not (_tells(before) and _tells(after)):
        return None
    from scipy import stats

    old, new, least = _logs(before, before[0]), _logs(after, before[0]), math.log1p(step)
    gap = float(new.mean() - old.mean())
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # that values are all the same
        test = stats.ttest_ind(new, old, equal_var=False)
        interval = test.confidence_interval(1 - level)
        if least:
            test = stats.ttest_ind(new - math.copysign(least, gap), old, equal_var=False)
    p = 1.0 if abs(gap) <= least * (1 + 1e-9) else float(test.pvalue)  # 1e-9: what rounding makes of a step
    return Difference(_percent(gap), _percent(interval.low - least), _percent(interval.high + least), p)


def smallest(before: Sequence[float], after: Sequence[float], level: float = ALPHA, step: float = 0.0) -> float:
    """The difference, in percent, that would be found 9 times in 10 between sets that scatter like these."""
    return _percent(_smallest(_logs(before, before[0]), _logs(after, before[0]), level) + math.log1p(step))


def _tells(values: Sequence[float]) -> bool:
    return len(values) >= FEWEST and all(0 < value < math.inf for value in values)


def _logs(values: Sequence[float], one: float) -> Any:
    """Logarithms relative to `one`, which itself has exactly 0."""
    import numpy as np

    return np.log(np.asarray(values, float)) - np.log(float(one))


def _drift(logs: Any) -> float:
    from scipy import stats

    return float(stats.linregress(range(len(logs)), logs).slope * (len(logs) - 1))


def _half_width(logs: Any) -> float:
    from scipy import stats

    return max(float(stats.t.ppf(1 - ALPHA / 2, len(logs) - 1) * stats.sem(logs)), abs(_drift(logs)) / 2)


def _smallest(old: Any, new: Any, level: float) -> float:
    """The difference that Welch's test of two such sets of logarithms finds with POWER."""
    variances = [float(logs.var(ddof=1)) / len(logs) for logs in (old, new)]
    error = math.sqrt(sum(variances))
    return error * _errors(len(old), len(new), variances[0] / error**2, level) if error else 0.0


@cache
def _errors(count: int, other: int, share: float, level: float) -> float:
    """The same in standard errors of the difference, of whose square the first set has a `share`.

    The mean difference is normal. What it is held against depends on the two variances that happen to be measured, each
    distributed as chi-square; so the power is the mean over those.
    """
    import numpy as np
    from scipy import optimize, stats

    places = (np.arange(60) + 0.5) / 60
    one = share * stats.chi2.ppf(places, count - 1)[:, None] / (count - 1)
    two = (1 - share) * stats.chi2.ppf(places, other - 1)[None, :] / (other - 1)
    free = (one + two) ** 2 / (one**2 / (count - 1) + two**2 / (other - 1))
    critical = stats.t.ppf(1 - level / 2, free) * np.sqrt(one + two)
    return float(optimize.brentq(lambda shift: stats.norm.sf(critical - shift).mean() - POWER, 0, 1000))


def _percent(log: float) -> float:
    return 100 * math.expm1(min(float(log), HUGE))
