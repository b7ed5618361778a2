"""What a person sees during a run: a live view on a terminal, plain lines elsewhere; all of it on stderr."""

import contextlib
import sys
import time
from pathlib import Path
from typing import IO, Any, Final, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from recipe_runner.api import Outcome
from recipe_runner.model.serving import GIB
from recipe_runner.paths import short
from recipe_runner.plan import Plan
from recipe_runner.report import Record
from recipe_runner.serialize import one_line
from recipe_runner.serving.serverlog import last_line

COLOURS: Final = {
    **dict.fromkeys(("passed", "measured"), "green"),
    **dict.fromkeys(("failed", "error", "interrupted"), "red"),
    **dict.fromkeys(("inconclusive", "skipped"), "yellow"),
}
WIDEST: Final = 10_000
SAID: Final = {"ready": "waiting until it is ready"}  # of phases whose name alone would say something else


class _Stream:
    """A stream that perhaps nobody reads any more, or that cannot say `→`: neither ends a run."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(sayable(text, self._stream))

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def sayable(text: str, stream: IO[str]) -> str:
    """A text as the stream can say it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def on(stream: IO[str]) -> Console:
    """What writes on a stream: text as it is, and colour on a terminal only."""
    return Console(file=cast(IO[str], _Stream(stream)), highlight=False, markup=False, emoji=False, soft_wrap=True)


def line(*parts: str | tuple[str, str]) -> Text:
    """Text from anywhere on one line, a part perhaps with its style: what is in it steers no terminal."""
    styled = (part if isinstance(part, tuple) else (part, "") for part in parts)
    return Text.assemble(*((one_line(text, WIDEST), style) for text, style in styled))


class Screen:
    """Shows one run after the other."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = on(stream or sys.stderr)
        self._live: Live | None = None
        self._start = self._phase_start = time.monotonic()
        self._ready_s = 0.0
        self._tenth = -1
        self._phase = self._doing = ""
        self._log: Path | None = None

    def begin(self, plan: Plan, folder: Path, log: Path) -> None:
        self._start, self._ready_s = time.monotonic(), plan.ready_s
        self.watch(log)
        if self.console.file.isatty() and not self.console.is_dumb_terminal and self._live is None:
            self._live = Live(get_renderable=self._view, console=self.console, refresh_per_second=8, transient=True)
            self._live.start()
        if plan.place:
            self._say((str(plan.place), "bold"))
        simulated = " (simulated)" if plan.simulated else ""
        place = plan.url if plan.attached else plan.request.hardware_name
        self._say((plan.request.recipe, "bold"), f" on {place}{simulated}, into {short(folder)}")
        for warning in plan.warnings:
            self._say((f"note: {warning}", "yellow"))

    def watch(self, log: Path) -> None:
        """Show the end of this file from now on."""
        self._log = log

    def phase(self, name: str) -> None:
        self._phase, self._doing, self._phase_start = name, "", time.monotonic()
        if self._live is None:
            self._say(f"{self._elapsed()}  {SAID.get(name, name)}")

    def doing(self, name: str) -> None:
        self._doing = name

    def item(self, name: str, outcome: Outcome) -> None:
        verdict = (f"{outcome.verdict:<11} ", COLOURS[outcome.verdict])
        self._say(f"{self._elapsed()}  ", verdict, f"{name}  ", (outcome.detail, "dim"))

    def fetched(self, done: int, total: int) -> None:
        """How much of the weights is here; on what is not a terminal, a line for each tenth."""
        self._doing = f"{done / GIB:.2f} of {total / GIB:.2f} GiB"
        tenth = 10 * done // total if total else 10
        if self._live is None and tenth != self._tenth:
            self._say(f"{self._elapsed()}  fetched {self._doing}")
        self._tenth = tenth

    def note(self, text: str) -> None:
        self._say((f"{self._elapsed()}  {text}", "yellow"))

    def end(self, record: Record) -> None:
        """Close the live view; say what went wrong, if anything did."""
        self.close()
        for fault in (*record.faults, *record.losses):
            self._say((str(fault), "red"))
        for line in record.log_excerpt:
            self._say((f"  | {line}", "dim"))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _view(self) -> RenderableType:
        what = f"{SAID.get(self._phase, self._phase)} {self._doing}".strip()
        seconds = time.monotonic() - self._phase_start
        limit = f" of at most {self._ready_s:.0f} s" if self._phase == "ready" else ""
        head = Spinner("dots", Text(f"{what}  {seconds:.0f} s{limit}  (all: {time.monotonic() - self._start:.0f} s)"))
        width = max(20, self.console.width - 4)
        return Group(head, Text("  " + last_line(self._log)[:width] if self._log else "", style="dim"))

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self.console.print(line(*parts))

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._start:7.1f} s"
