"""How busy the client of a benchmark is: one that has no time left measures itself."""

import bisect
import contextlib
import time
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

import psutil

LOOK_S: Final = 0.1  # which takes about 1 % of a core
TREE_S: Final = 2.0  # to see who belongs to a command takes a look at all processes
FEWEST: Final = 3  # looks, for a share that means something
Span = tuple[float, float]
Thread = tuple[int, int]


class ClientLoad:
    """CPU seconds of each thread of a command, as it runs; times are those of `time.perf_counter`."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._used: dict[Thread, list[tuple[int, float]]] = {}  # the looks at which it had used more, and how much
        self._tree: list[psutil.Process] = []
        self._tree_time = -TREE_S

    def look(self, pid: int) -> None:
        """Look, unless that was done just now."""
        now = time.perf_counter()
        if self._times and now < self._times[-1] + LOOK_S:
            return
        try:
            if now >= self._tree_time + TREE_S or self._tree[0].pid != pid:
                command = psutil.Process(pid)
                self._tree, self._tree_time = [command, *command.children(recursive=True)], now
        except psutil.Error:
            return
        for thread, used in (found for process in self._tree for found in _threads(process)):
            seen = self._used.setdefault(thread, [])
            if not seen or seen[-1][1] != used:
                seen.append((len(self._times), used))
        self._times.append(now)

    def busiest(self, span: Span | None) -> float | None:
        """The share of a core that the busiest thread took while it measured; None where that is not known."""
        if span is None:
            return None
        first, last = bisect.bisect_left(self._times, span[0]), bisect.bisect_right(self._times, span[1]) - 1
        if last - first + 1 < FEWEST:
            return None
        seconds = self._times[last] - self._times[first]
        grown = [_at(seen, last) - _at(seen, first) for seen in self._used.values() if seen[0][0] <= first]
        return max(grown) / seconds if grown else None


def _threads(process: psutil.Process) -> Iterator[tuple[Thread, float]]:
    with contextlib.suppress(psutil.Error):  # it has ended
        yield from (((process.pid, one.id), one.user_time + one.system_time) for one in process.threads())


def _at(seen: Sequence[tuple[int, float]], look: int) -> float:
    """What a thread had used at a look, which is not before the first that saw it."""
    return seen[bisect.bisect_right(seen, look, key=itemgetter(0)) - 1][1]
