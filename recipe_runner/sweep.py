"""A sweep: its points, one folder, and `sweep.json`, which says how far it got, so that it can be gone on with."""

import contextlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.figures.comparable import differences
from recipe_runner.folder import Folder
from recipe_runner.host.leases import Holder, Lease, lease
from recipe_runner.paths import there
from recipe_runner.plan import Place, Plan
from recipe_runner.report import Record, sweep_folder
from recipe_runner.serialize import to_json, write_json
from recipe_runner.verdict import BAD_INPUT, INTERRUPTED, RunVerdict, exit_code, worst

FILE: Final = "sweep.json"
FORMAT: Final = 1
FINISHED: Final = ("passed", "failed", "inconclusive")
BEGIN: Final = "begin a new sweep"
ALIKE: Final = "its points could not be compared with those that have ended"


class Point(BaseModel):
    """One point: its run folder in that of the sweep, what is its own, and what it came to; None until it has ended."""

    number: int
    """Its number, from 0."""
    folder: str
    """Its run folder, in the sweep's."""
    overrides: dict[str, Any]
    """What is its own, by dotted key."""
    verdict: RunVerdict | None = None
    """What it came to."""


class Document(BaseModel):
    """The document `sweep.json`."""

    format: Literal[1] = FORMAT
    """The format of this document."""
    words: list[str]
    """What was typed."""
    config_dirs: list[Path]
    """The folders that were added."""
    trust: bool
    """Whether `--trust` was typed."""
    started: str
    """When, in UTC."""
    axes: dict[str, list[Any]]
    """Each swept key with its values."""
    points: list[Point]
    """The points, in order."""


class Sweep(Folder):
    """The points of a sweep, those that have ended with their reports, and why others did not begin."""

    def __init__(self, folder: Path, document: Document, plans: Sequence[Plan]) -> None:
        self.folder, self.document, self.plans = folder, document, plans
        self.unwritten: dict[str, Fault] = {}
        self.reports: dict[int, dict[str, Any]] = {}
        self.errors: dict[int, tuple[Fault, ...]] = {}
        self.interrupted = False

    @classmethod
    def of(cls, plans: Sequence[Plan], words: list[str], config_dirs: Iterable[Path], *, trust: bool) -> "Sweep":
        """A new one; its folder is made when its first point begins."""
        document = Document(
            words=words,
            config_dirs=list(config_dirs),
            trust=trust,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            axes=_axes(plans),
            points=[
                Point(number=place.number, folder=f"{place.number:03}", overrides=dict(place.swept))
                for place in map(_place, plans)
            ],
        )
        return cls(sweep_folder(plans[0]), document, plans)

    @classmethod
    def resumed(cls, folder: Path, document: Document, plans: Sequence[Plan]) -> "Sweep":
        """One that was begun before, with the reports of the points that have ended.

        Raises:
            RecipeError: the points that are left could not be compared with those.

        """
        sweep = cls(folder, document, plans)
        if _plain([place.swept for place in map(_place, plans)]) != [point.overrides for point in document.points]:
            raise RecipeError(Fault(str(folder), "its words come to other points now", BEGIN))
        for point in document.points:
            point.verdict = None
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                report = json.loads((folder / point.folder / "report.json").read_text(encoding="utf-8"))
                if report["verdict"] in FINISHED:
                    sweep.reports[point.number], point.verdict = report, report["verdict"]
        done = [(plan, point) for plan in plans if (point := sweep._point(plan)).verdict in FINISHED]
        found = differences((plan, folder / point.folder, sweep.reports[point.number]) for plan, point in done)
        if found:
            raise RecipeError(*(Fault(where, what, f"{BEGIN}: {ALIKE}") for what, where in found.items()))
        return sweep

    @property
    def left(self) -> list[Plan]:
        """The points that have no result."""
        return [plan for plan in self.plans if self._point(plan).verdict not in FINISHED]

    def groups(self) -> list[list[Plan]]:
        """The points that are left, grouped by the server that they share."""
        groups: dict[Any, list[Plan]] = {}
        for plan in self.left:
            groups.setdefault(plan.server_key(), []).append(plan)
        return list(groups.values())

    def held(self) -> Lease:
        """Have the sweep for ourselves: two that go on with the same one would lose what the other finds.

        Raises:
            RecipeError: another process is at it.

        """
        got = lease((f"sweep-{self.folder.name}",), self.folder)
        if isinstance(got, Holder):
            raise RecipeError(Fault(str(self.folder), got.told("this sweep"), "wait for it, or stop it"))
        return got

    def open(self, plan: Plan) -> Record:
        """Begin a point, in a folder that no earlier attempt has used.

        Raises:
            RecipeError: the folder cannot be written.

        """
        point = self._point(plan)
        names = itertools.chain([f"{point.number:03}"], (f"{point.number:03}.{n}" for n in itertools.count(2)))
        point.folder = next(name for name in names if not (self.folder / name).exists())
        point.verdict = None
        self.reports.pop(point.number, None)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / FILE, self.document.model_dump())
        except OSError as exc:
            what = f"{self.folder} cannot be written: {exc.strerror}"
            raise RecipeError(Fault("report.folder", what, "name another with report.folder=…")) from exc
        return Record.open(plan, self.folder / point.folder)

    def ended(self, record: Record) -> None:
        """Keep what a point came to. Its report is written whatever was asked for: to go on takes it."""
        point = self._point(record.plan)
        self.reports[point.number] = report = record.as_dict()
        point.verdict = record.verdict
        with record.writing("report.json"):
            write_json(record.folder / "report.json", report)
        with self.writing(FILE):
            write_json(self.folder / FILE, self.document.model_dump())

    def refused(self, plans: Iterable[Plan], faults: tuple[Fault, ...]) -> None:
        """Keep why points could not begin."""
        self.errors |= {point.number: faults for point in map(self._point, plans) if point.verdict is None}

    def write(self) -> None:
        """Have the report writers say what the points come to together."""
        writers = self.plans[0].request.reports
        self.report(writers, self.as_dict, lambda writer, document: writer.write_sweep(document, self.folder))

    def as_dict(self) -> dict[str, Any]:
        """`sweep.json` with each point's report, and why it did not begin."""
        document = self.document.model_dump()
        for point in document["points"]:
            point["report"] = self.reports.get(point["number"])
            point["errors"] = list(map(asdict, self.errors.get(point["number"], ())))
        return document

    @property
    def exit_code(self) -> int:
        """The worst of all points."""
        codes = [exit_code(report["verdict"], server_down=bool(report["errors"])) for report in self.reports.values()]
        return worst([*codes, *[BAD_INPUT] * bool(self.errors), *[INTERRUPTED] * self.interrupted])

    def _point(self, plan: Plan) -> Point:
        return self.document.points[_place(plan).number]


def newest(folder: Path) -> Path:
    """The sweep that a folder, or its document, is, or the newest of those in it; else what was named."""
    if folder.name == FILE and there(folder):
        return folder.parent
    if (folder / FILE).exists():
        return folder
    return max((file.parent for file in folder.glob(f"*/{FILE}")), default=folder)


def read(folder: Path) -> Document:
    """How far a sweep got.

    Raises:
        RecipeError: it is no sweep, or its document cannot be read.

    """
    file = folder / FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        newer = found["format"] > FORMAT
        if not newer:
            return Document.model_validate(found)
    except (FileNotFoundError, NotADirectoryError) as exc:
        what = f"this is no sweep: there is no {FILE} in it" if folder.is_dir() else "there is no such folder"
        raise RecipeError(Fault(str(folder), what, "name a folder of runs/sweeps/")) from exc
    except (OSError, ValueError, TypeError, KeyError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it was cut off, or edited"
        raise RecipeError(Fault(str(file), f"this cannot be read: {why}", BEGIN)) from exc
    what = f"this is of format {found['format']}, and this recipe-run reads up to {FORMAT}"
    raise RecipeError(Fault(str(file), what, "update recipe-runner"))


def _place(plan: Plan) -> Place:
    assert plan.place is not None, "a plan of a sweep has its place in it"
    return plan.place


def _axes(plans: Sequence[Plan]) -> dict[str, list[Any]]:
    """Each swept key with its values, in order and each once."""
    places = [_place(plan) for plan in plans]
    return {
        key: list({to_json(place.swept[key]): place.swept[key] for place in places}.values()) for key in places[0].swept
    }


def _plain(value: Any) -> Any:
    """As it comes back from a file."""
    return json.loads(to_json(value))
