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
    `half_width` how far the mean may be off, and never less than half the drift. `smallest_difference` is what a
    comparison with as many others of the same spread would find 9 times in 10.
    """

    count: int
    mean: float
    spread_percent: float
    drift_percent: float
    half_width_percent: float
    smallest_difference_percent: float


@dataclass(frozen=True)
class Difference:
    """How much more, or less, `after` is than `before`, and between what; `p` as Welch's test has it."""

    percent: float
    low_percent: float
    high_percent: float
    p: float


def noise(values: Sequence[float]) -> Noise | None:
    """The noise of measurements in the order made; None where nothing can be said."""
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
        smallest_difference_percent=_percent(spread * _smallest_effect(len(values))),
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


def difference(before: Sequence[float], after: Sequence[float]) -> Difference | None:
    """How two sets of measurements differ, by Welch's t-test (Welch 1947); None where nothing can be said of one."""
    if not (_tells(before) and _tells(after)):
        return None
    from scipy import stats

    old, new = _logs(before, before[0]), _logs(after, before[0])
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # that values are all the same
        test = stats.ttest_ind(new, old, equal_var=False)
        interval = test.confidence_interval(1 - ALPHA)
    p = 1.0 if math.isnan(test.pvalue) else float(test.pvalue)  # no spread and no difference
    return Difference(_percent(new.mean() - old.mean()), _percent(interval.low), _percent(interval.high), p)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p adjusted for that there are several (Holm 1979): below ALPHA, the error of all together is, too."""
    adjusted, worst = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = worst
    return adjusted


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


@cache
def _smallest_effect(count: int) -> float:
    """The difference, in standard deviations, that Welch's test of `count` against `count` finds with POWER.

    Its statistic is distributed as noncentral t with 2·(count − 1) degrees of freedom. Those by which it is judged are
    fewer, by how the two variances happen to share their sum: a share that follows a beta distribution, and does not
    depend on the statistic; so the power is the mean over that.
    """
    import numpy as np
    from scipy import optimize, stats

    free = count - 1
    shares = stats.beta.ppf((np.arange(200) + 0.5) / 200, free / 2, free / 2)
    critical = stats.t.ppf(1 - ALPHA / 2, free / (shares**2 + (1 - shares) ** 2))
    shift = optimize.brentq(lambda shift: stats.nct.sf(critical, 2 * free, shift).mean() - POWER, 0, 100)
    return float(shift * math.sqrt(2 / count))


def _percent(log: float) -> float:
    return 100 * math.expm1(min(float(log), HUGE))
