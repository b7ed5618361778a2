"""How the metrics of a benchmark changed from A to B, and which of the changes are more than noise."""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from recipe_runner.figures import family
from recipe_runner.figures.best import better_of, step
from recipe_runner.figures.noise import ALPHA, FEWEST, Difference, difference, smallest
from recipe_runner.figures.runs import Measured

GONE: Final = "fell to 0"
SILENT: Final = "not judged: 0 in B"


@dataclass(frozen=True)
class Change:
    """One metric from A to B, each a geometric mean where there is one; None is what cannot be said.

    `percent` is the change of what is shown. `p` is adjusted for all metrics of the comparison; the interval is of
    1 − `level`, at which this metric was judged, and has no 0 in it exactly where the verdict is a difference.
    `smallest_percent` is the difference that would have been seen 9 times in 10, if no other metric differs.
    """

    metric: str
    a: float
    b: float
    percent: float | None
    low_percent: float | None = None
    high_percent: float | None = None
    p: float | None = None
    level: float | None = None
    smallest_percent: float | None = None
    verdict: str = "not judged"
    regression: bool = False

    @property
    def silent(self) -> bool:
        """Whether B cannot say any more what A could."""
        return self.verdict == SILENT


@dataclass(frozen=True)
class Pair:
    """A benchmark in A and in B, and whether anything speaks against judging it."""

    a: Measured
    b: Measured
    judge: bool

    def values(self, metric: str) -> tuple[list[float], list[float]]:
        before, after = (one.values(metric) or [one.metrics[metric]] for one in (self.a, self.b))
        return before, after

    def step(self, metric: str) -> float:
        return step(metric, self.a.fields, min(min(values) for values in self.values(metric)))

    def difference(self, metric: str, level: float) -> Difference | None:
        if not self.judge or min(map(len, self.values(metric))) < FEWEST:
            return None
        return difference(*self.values(metric), level, self.step(metric))

    def smallest(self, metric: str, level: float) -> float:
        return smallest(*self.values(metric), level, self.step(metric))


def judged(pairs: Sequence[tuple[Pair, Sequence[str]]], min_change: float) -> Iterator[tuple[Change, ...]]:
    """The metrics of each benchmark, with a verdict on each: all of them are one family.

    Less than `min_change` percent is no regression.
    """
    differ = {
        (place, metric): found
        for place, (pair, metrics) in enumerate(pairs)
        for metric in metrics
        if (found := pair.difference(metric, ALPHA))
    }
    weight = _weights(differ)
    verdicts = dict(zip(differ, family.holm([one.p for one in differ.values()], [*weight.values()]), strict=True))
    for place, (pair, metrics) in enumerate(pairs):
        keys = ((place, metric) for metric in metrics)
        yield tuple(_change(pair, key[1], verdicts.get(key), weight.get(key, 0), min_change) for key in keys)


def _weights(judged: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], float]:
    """The share of the level that each metric has before it is known what differs."""
    of: dict[int, list[str]] = {}
    for place, metric in judged:
        of.setdefault(place, []).append(metric)
    return {
        (place, metric): share / len(of)
        for place, metrics in of.items()
        for metric, share in zip(metrics, family.weights(len(metrics)), strict=True)
    }


def _change(pair: Pair, metric: str, verdict: family.Judged | None, weight: float, min_change: float) -> Change:
    before, after = pair.values(metric)
    a, b = map(_mean, (before, after))
    change = Change(metric, a, b, 100 * (b / a - 1) if a > 0 else None)
    if not pair.judge:
        return change
    if min(len(before), len(after)) < FEWEST:
        return replace(change, verdict="too few repeats")
    if verdict is None:
        return _without_ratio(change, before, after, min_change)
    found = pair.difference(metric, verdict.level)
    assert found is not None
    worse = (found.percent > 0) == (better_of(metric) == "lower")
    return replace(
        change,
        percent=found.percent,
        low_percent=found.low_percent,
        high_percent=found.high_percent,
        p=verdict.p,
        level=verdict.level,
        smallest_percent=pair.smallest(metric, ALPHA * weight),
        verdict=("slower" if worse else "faster") if verdict.differs else "no difference seen",
        regression=verdict.differs and worse and abs(found.percent) >= min_change,
    )


def _without_ratio(change: Change, before: Sequence[float], after: Sequence[float], min_change: float) -> Change:
    """What was there in all of A, and is 0 in B: gone, where more of it is better; else nobody can say."""
    if min(before) <= 0 or min(after) > 0:
        return change
    if better_of(change.metric) == "higher" and max(after) <= 0:
        return replace(change, verdict=GONE, regression=min_change <= 100)
    return replace(change, verdict=SILENT)


def _mean(values: Sequence[float]) -> float:
    """The mean of ratios, as everything is compared; of what has none, the sum's."""
    if len(values) > 1 and min(values) > 0:
        return statistics.geometric_mean(values)
    return statistics.fmean(values)
