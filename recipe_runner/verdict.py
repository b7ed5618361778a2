"""From the verdicts of items to the verdict of a run, and from those to an exit code."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

RunVerdict = Literal["passed", "failed", "inconclusive", "error", "interrupted"]

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
SERVER: Final = 3
INCONCLUSIVE: Final = 4
BUG: Final = 70
INTERRUPTED: Final = 130
WORST_FIRST: Final = (INTERRUPTED, BUG, BAD_INPUT, SERVER, FAILED, INCONCLUSIVE, OK)
MEANINGS: Final[Mapping[int, str]] = {
    OK: "passed",
    FAILED: "a check failed, a threshold was missed, or a benchmark did not measure what was asked for",
    BAD_INPUT: "bad input: unknown names, wrong types, what does not fit, a missing command, a busy port; "
    "writes no run folder",
    SERVER: "the server did not get ready, or died",
    INCONCLUSIVE: "inconclusive, or nothing was judged",
    INTERRUPTED: "interrupted by Ctrl-C, SIGTERM, SIGHUP or SIGQUIT",
    BUG: "a bug in recipe-run or in a plugin",
}


def overall(items: Iterable[str], *, interrupted: bool = False, broken: bool = False) -> RunVerdict:
    """interrupted > error > failed > inconclusive > passed; items that judge nothing make a run inconclusive."""
    verdicts = set(items)
    if interrupted:
        return "interrupted"
    if broken or "error" in verdicts:
        return "error"
    if "failed" in verdicts:
        return "failed"
    return "passed" if "passed" in verdicts and "inconclusive" not in verdicts else "inconclusive"


def exit_code(verdict: RunVerdict, *, server_down: bool = False) -> int:
    """The exit code of one run; an error that is not the server's is a plugin's bug."""
    if verdict == "error":
        return SERVER if server_down else BUG
    return {"passed": OK, "failed": FAILED, "inconclusive": INCONCLUSIVE, "interrupted": INTERRUPTED}[verdict]


def worst(codes: Iterable[int]) -> int:
    """The exit code of several runs."""
    return min(codes, key=WORST_FIRST.index, default=OK)
