"""The largest load at which something still holds: which load to measure next, from what was measured so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Trials = Sequence[tuple[float, bool]]
"""Each load that was measured, in that order, and whether it held."""


@dataclass(frozen=True)
class Search:
    """Doubles until it does not hold, halves the gap on a logarithmic scale, and measures what it found once more.

    A gap is small enough where its ends are `precision` apart, as a share; `whole` loads have nothing between two
    neighbours. There are at most so many `probes`, the last of which is kept for measuring again.
    """

    lowest: float
    highest: float
    precision: float
    probes: int
    whole: bool

    def next(self, trials: Trials) -> float | None:
        """The load to measure next; None where the search is over."""
        left = self.probes - len(trials)
        low, high = self.boundary(trials)
        if left == 0:
            return None
        if low is None:
            return self.lowest if len(trials) < 2 else None
        if left > 1 and (further := self._further(low, high)):
            return further
        return None if self.confirmed(trials) else low

    def boundary(self, trials: Trials) -> tuple[float | None, float]:
        """The largest load that held with none below that did not, or None; and the smallest that did not, or ∞.

        A first miss does not count if the second one held: the first requests that a server gets are slow.
        """
        trials = trials[1:] if len(trials) > 1 and not trials[0][1] else trials
        high = min((load for load, held in trials if not held), default=math.inf)
        return max((load for load, held in trials if held and load < high), default=None), high

    def confirmed(self, trials: Trials) -> bool:
        """Whether what was found held twice."""
        low, _ = self.boundary(trials)
        return sum(held and load == low for load, held in trials) > 1

    def _further(self, low: float, high: float) -> float | None:
        """A load above `low` that would tell more, if there is one."""
        if high == math.inf:
            return min(2 * low, self.highest) if low < self.highest else None
        if high <= low * (1 + self.precision):
            return None
        middle = math.sqrt(low * high)
        middle = round(middle) if self.whole else float(f"{middle:.4g}")
        return middle if low < middle < high else None
