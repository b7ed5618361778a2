"""What ends a run from outside of what it does: signals, and conditions that are looked at while it goes on.

Ctrl-C, SIGTERM, SIGHUP and SIGQUIT become `Interrupted`, once, and only where somebody listens; else they are counted.
SIGALRM beats while something is watched, and so reaches also a plugin's endless loop, or its wait for something else.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, Self, TypeVar

from recipe_runner.errors import Interrupted

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
BEAT_S: Final = 0.1
AGAIN_S: Final = 5.0  # for what was ended to clean up; if it went on instead, it is ended again
Check = Callable[[], object]
T = TypeVar("T")


class _Ended(BaseException):
    """Carries an error out of what is watched. Not an `Exception`, so that no check can swallow it."""

    def __init__(self, watch: "_Watch", error: Exception) -> None:
        self.watch, self.error = watch, error


class _Watch:
    """What must stay true; the first that raises ends what is watched."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks, self.quiet_until = checks, 0.0

    def look(self) -> None:
        try:
            for check in self.checks:
                check()
        except Exception as exc:
            now = time.monotonic()
            if now >= self.quiet_until:
                self.quiet_until = now + AGAIN_S
                raise _Ended(self, exc) from exc


class Interrupts:
    """Installed for the time of a run."""

    def __init__(self) -> None:
        self.count = 0
        self._listening = self._held = self._raised = self._looking = False
        self._watches: tuple[_Watch, ...] = ()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heard = [number for number in SIGNALS if not (nohup and number == signal.SIGHUP)]
        self._before = {number: signal.signal(number, self._on_signal) for number in heard}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_beat)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """A signal in here raises `Interrupted`, as does one that came before."""
        self._listening = True
        try:
            self._raise()
            yield
        finally:
            self._listening = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing ends what is in here; a signal waits until it is done."""
        was, self._held = self._held, True
        try:
            yield
        finally:
            self._held = was
            self._raise()

    def watched(self, work: Callable[[], T], *checks: Check) -> T:
        """Work, with an eye on `checks`: what the first of them raises ends it, whatever it does, and is raised here.

        A function, and no `with`: a beat on the way out of one would be raised past it.
        """
        watch = _Watch(checks)
        try:
            self._watch(*self._watches, watch)
            try:
                return work()
            finally:
                self._drop(watch)
        except _Ended as ended:
            self._drop(watch)
            if ended.watch is not watch:
                raise
            raise ended.error from None

    @property
    def again(self) -> bool:
        """Whether somebody insisted: a second signal came."""
        return self.count > 1

    def _watch(self, *watches: _Watch) -> None:
        self._watches = watches
        beat_s = BEAT_S if watches else 0
        signal.setitimer(signal.ITIMER_REAL, beat_s, beat_s)

    def _drop(self, watch: _Watch) -> None:
        self._watch(*(other for other in self._watches if other is not watch))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.count += 1
        self._raise()

    def _raise(self) -> None:
        if self.count and self._listening and not self._held and not self._raised:
            self._raised = True
            raise Interrupted

    def _on_beat(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._held or self._looking:
            return
        self._looking = True
        try:
            for watch in self._watches:
                watch.look()
        finally:
            self._looking = False


def limit(seconds: float, what: str) -> Check:
    """What raises `TimeoutError(what)` once so many seconds have passed."""
    deadline = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(what)

    return check
