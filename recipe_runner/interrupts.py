"""Ctrl-C, SIGTERM and SIGHUP become `Interrupted`, at most once, and never inside a `held` block."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, Self

from recipe_runner.errors import Interrupted

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Installed for the time of a run; counts the signals that came."""

    def __init__(self) -> None:
        self.count = 0
        self._held = 0
        self._raised = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What runs in here is not interrupted; a signal that came meanwhile is raised at the end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._raise()

    @contextlib.contextmanager
    def ignored(self) -> Iterator[None]:
        """As `held`, but a signal is only counted: for tearing down."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @property
    def again(self) -> bool:
        """Whether somebody insisted: a second signal came."""
        return self.count > 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.count += 1
        self._raise()

    def _raise(self) -> None:
        if self.count and not self._held and not self._raised:
            self._raised = True
            raise Interrupted
