"""Seeds for benchmarks: on one server no two measurements have the same prompts, or the cache would answer for it."""

import hashlib
from typing import Final

from recipe_runner.serving.server import Server

SPACE: Final = 1 << 30


class Seeds:
    """The seeds that were used on one server; `given` is the first that the measurement at hand asked for."""

    def __init__(self, server: Server) -> None:
        self._used: set[int] = set()
        self._before = _others(server)
        self.given: int | None = None

    def fresh(self, seed: int) -> int:
        """A seed that nobody used on this server: the one that was asked for, or the next; another, where others may
        have asked the server before us.
        """
        found = seed + self._before
        while found in self._used:
            found += 1
        self._used.add(found)
        self.given = found if self.given is None else self.given
        return found


def _others(server: Server) -> int:
    """How far from what others may have used: nothing on a server of our own; by the run's folder where we attached."""
    if not server.plan.attached:
        return 0
    return int.from_bytes(hashlib.sha256(str(server.log.parent).encode()).digest()[:4]) % SPACE
