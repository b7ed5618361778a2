"""Ctrl-C, SIGTERM and SIGHUP become `Interrupted`, once, and only where somebody listens; else they are counted."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, Self

from recipe_runner.errors import Interrupted

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Installed for the time of a run."""

    def __init__(self) -> None:
        self.count = 0
        self._listening = False
        self._raised = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heard = [number for number in SIGNALS if not (nohup and number == signal.SIGHUP)]
        self._before = {number: signal.signal(number, self._on_signal) for number in heard}
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
        """A signal in here waits until the block is done."""
        was, self._listening = self._listening, False
        try:
            yield
        finally:
            self._listening = was
            self._raise()

    @property
    def again(self) -> bool:
        """Whether somebody insisted: a second signal came."""
        return self.count > 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.count += 1
        self._raise()

    def _raise(self) -> None:
        if self.count and self._listening and not self._raised:
            self._raised = True
            raise Interrupted
