"""The folder of a run, or of a sweep: events as they come, reports at the end; what is done in it outlives its disk."""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recipe_runner.api import Outcome, Report
from recipe_runner.errors import Fault
from recipe_runner.paths import PACKAGE
from recipe_runner.secrets import mask
from recipe_runner.serialize import one_line, safe_line, to_json


class Folder:
    """What is written while something runs; `unwritten` is what was lost, and why."""

    folder: Path
    unwritten: dict[str, Fault]

    def event(self, event: str, **details: Any) -> None:
        """Add a line to events.jsonl."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **details}
        path = self.folder / "events.jsonl"
        with self.writing("events.jsonl"), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(to_json(line) + "\n")

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """A run outlives its disk: what cannot be written is told, once, and changes no verdict."""
        try:
            yield
        except (OSError, UnicodeError) as exc:
            why = one_line(getattr(exc, "strerror", None) or str(exc))
            do = "make room there, or name another folder with report.folder=…"
            loss = Fault("report.folder", f"{what} in {self.folder} cannot be written: {why}", do)
            self.unwritten.setdefault(what, loss)

    def report(
        self,
        writers: Mapping[str, Report],
        document: Callable[[], Mapping[str, Any]],
        write: Callable[[Report, Mapping[str, Any]], object],
    ) -> None:
        """Have every writer write the document; a writer's bug is told, and the others still write."""
        for name, writer in writers.items():
            told = document()
            try:
                with self.writing(f"the {name} report"):
                    write(writer, told)
            except (Exception, SystemExit) as exc:
                outcome, trace = outcome_of(exc)
                self.event("traceback", name=name, text=trace)
                what = f"the {name} report cannot be written: {safe_line(outcome.detail)}"
                self.unwritten[name] = Fault("report.formats", what, "mend what writes it; see events.jsonl")

    @property
    def losses(self) -> list[Fault]:
        """What could not be written, and why."""
        return list(self.unwritten.values())


def outcome_of(exc: BaseException) -> tuple[Outcome, str]:
    """What an exception in a plugin comes to, with the last line of the plugin in it; its traceback for the events."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(exc.__traceback__)]
    python = Path(traceback.__file__).parent
    theirs = [
        f" ({file.name}:{line})"
        for file, line in frames
        if file.is_file() and PACKAGE not in file.parents and file.parent != python
    ]
    trace = mask(traceback.format_exc(), os.environ)
    return Outcome("error", f"{type(exc).__name__}: {exc}{''.join(theirs[-1:])}"), trace
