"""Which metrics are judged together, and at which level each: several chances to be wrong have to share one.

Every benchmark has an equal share of the level. The metric that leads it has most of that, so that it is found nearly
as often as if it were judged alone; the others share what is left, and get all of it where the leader differs.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from recipe_runner.figures.best import SEARCHED
from recipe_runner.figures.noise import ALPHA

USUAL: Final = ("output_throughput", "median_ttft_ms", "median_tpot_ms")
LEADER: Final = 0.8  # of a benchmark's share, if there are others


class Judged(NamedTuple):
    """A p adjusted for all of its family, and the level at which its metric was judged."""

    p: float
    level: float

    @property
    def differs(self) -> bool:
        return self.p < ALPHA


def judged_of(there: Collection[str]) -> tuple[str, ...]:
    """The metrics that are judged unless others are named, the leader first.

    Of a search only what it found: the rest was measured at that load, which may be another elsewhere.
    """
    found = [metric for metric in SEARCHED if metric in there]
    return tuple(found or (metric for metric in USUAL if metric in there))


def weights(count: int) -> list[float]:
    """The shares of the metrics of one benchmark, the leader's first."""
    return [1.0] if count == 1 else [LEADER, *[(1 - LEADER) / (count - 1)] * (count - 1)][:count]


def level(metric: str, there: Collection[str], benchmarks: int) -> float:
    """The level at which a metric alone must differ to be found; one that is not judged unless named, is so alone."""
    family = judged_of(there)
    share = weights(len(family))[family.index(metric)] if metric in family else 1.0
    return ALPHA * share / benchmarks


def holm(ps: Sequence[float], weight: Sequence[float]) -> list[Judged]:
    """Each p adjusted for that there are several, by Holm's method with weights (Holm 1979).

    The smallest p for its weight comes first; what differs leaves its weight to the others. The error of all together
    is at most ALPHA. A p is below its level exactly where the adjusted one is below ALPHA.
    """
    order = sorted(range(len(ps)), key=lambda index: ps[index] / weight[index])
    found: dict[int, Judged] = {}
    worst, rest = 0.0, math.nan  # the weight of what was left where the first did not differ
    for rank, index in enumerate(order):
        left = math.fsum(weight[other] for other in order[rank:])
        worst = max(worst, min(1.0, ps[index] * left / weight[index]))
        if worst >= ALPHA and math.isnan(rest):
            rest = left
        found[index] = Judged(worst, ALPHA * weight[index] / (left if math.isnan(rest) else rest))
    return [found[index] for index in range(len(ps))]
