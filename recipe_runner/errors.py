"""Everything a person may meet as an error.

    RecipeError            bad input; exit code 2
    └── ServerError        the server did not get ready, or died; exit code 3
    Interrupted            Ctrl-C, SIGTERM, SIGHUP or SIGQUIT; exit code 130

`cli.main` is the only place that catches them. Anything else is a bug and keeps its traceback.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where it stands, what it is, what to do about it."""

    where: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.where} — {self.what}; {self.do}"


class RecipeError(Exception):
    """Input that cannot be run, with every fault that was found."""

    exit_code = 2

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class ServerError(RecipeError):
    """A server that did not get ready, or died."""

    exit_code = 3


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM, SIGHUP or SIGQUIT. Not an `Exception`, so that no check can swallow it."""

    exit_code = 130


def choose(name: str, existing: Iterable[str]) -> str:
    """What to do about an unknown `name`: the nearest one that exists, and the list of all."""
    names = sorted(existing)
    near = difflib.get_close_matches(name, names, n=1)
    listing = ", ".join(names) if names else "none"
    return f"did you mean {near[0]}? There are: {listing}" if near else f"choose one of: {listing}"
