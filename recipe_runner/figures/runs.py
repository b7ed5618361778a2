"""Runs that were made, as `compare` reads them: a run folder, its report, a sweep's folder, or recorded evidence."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.evidence.portable import as_kept, homeless
from recipe_runner.figures.commands import asked_by, served, settings
from recipe_runner.paths import short
from recipe_runner.serialize import to_json

FORMAT: Final = 1
REPORT: Final = "report.json"
SWEEP: Final = "sweep.json"
NAME: Final = "name a run folder, its report.json, a sweep's folder or a recorded evidence file"
PLACE: Final = {"--port", "serve.port", "--host", "serve.host"}  # where a server is, not what it is
NO_MATTER: Final = ("report.", "preflight.", "timeouts.")  # to any figure


class _Read(BaseModel):
    """Part of a document, of which more is not needed."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


_Document = TypeVar("_Document", bound=_Read)


class Measurement(_Read):
    """One time that a benchmark was measured."""

    counted: bool
    metrics: dict[str, float]
    doubts: tuple[str, ...] = ()


class Measured(_Read):
    """What came of one benchmark; `fields` and `argv` are None where they are not recorded."""

    name: str
    uses: str
    verdict: str
    detail: str = ""
    metrics: dict[str, float] = {}
    measurements: tuple[Measurement, ...] = ()
    fields: dict[str, Any] | None = None
    argv: tuple[str, ...] | None = None

    def values(self, metric: str) -> list[float]:
        """What the counted measurements showed; the one figure of a report that lists no measurements."""
        counted = [one.metrics for one in self.measurements if one.counted] or [self.metrics]
        return [metrics[metric] for metrics in counted if metric in metrics]

    @property
    def doubts(self) -> list[str]:
        """Reasons not to believe what was counted, each once."""
        return list(dict.fromkeys(doubt for one in self.measurements if one.counted for doubt in one.doubts))

    @property
    def workload(self) -> dict[str, str] | None:
        """What was asked of the server: its fields, or else its command; None where neither is recorded."""
        if self.fields is not None:
            asked = {key: _text(value) for key, value in self.fields.items() if key != "seed"}
        elif self.argv is not None:
            asked = asked_by(self.argv)
        else:
            return None
        return {f"{self.name} uses": self.uses} | {f"{self.name} {key}": value for key, value in asked.items()}


class Item(_Read):
    """What came of one check."""

    name: str
    verdict: str


class Process(_Read):
    """A process as it was launched."""

    role: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}


class Provenance(_Read):
    """A value and the layer that it comes from."""

    value: Any
    layer: str


class Run(_Read):
    """One run: how it was configured, what came of its checks and benchmarks. None is what is not recorded."""

    format: int = FORMAT
    kind: str = ""
    model: dict[str, Any] = {}
    simulated: bool = False
    verdict: str = ""
    environment: dict[str, Any]
    benchmarks: tuple[Measured, ...]
    checks: tuple[Item, ...] = ()
    choices: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    processes: tuple[Process, ...] | None = None
    provenance: dict[str, Provenance] = {}

    @property
    def items(self) -> dict[str, str]:
        """The verdict of each check and benchmark by its name, and of the run, which may have come to no end."""
        items = {f"check {check.name}": check.verdict for check in self.checks}
        items |= {f"benchmark {benchmark.name}": benchmark.verdict for benchmark in self.benchmarks}
        return items | {"run": self.verdict}

    @property
    def configuration(self) -> dict[str, str]:
        """What its figures may depend on, as text by name; the workloads too."""
        found: dict[str, str] = homeless(dict(self._configuration()))
        return found

    def _configuration(self) -> Iterator[tuple[str, str]]:
        yield "simulated", _text(self.simulated)
        for key, value in (*self.choices.items(), *self.overrides.items()):
            if key not in PLACE and not key.startswith(NO_MATTER):
                yield key, _text(value)
        for process in self.processes or ():
            role = "" if process.role == "server" else f"{process.role} "
            by_flag = settings(process.argv, served(self.model, (one.argv or () for one in self.benchmarks)))
            yield from ((role + key, value) for key, value in (by_flag | process.env).items() if key not in PLACE)
        inherited = ((key, found.value) for key, found in self.provenance.items() if found.layer == "environment")
        recorded = ((key, value) for key, value in self.environment.items() if value != [])  # as before it was recorded
        yield from ((key, _text(value)) for key, value in (*inherited, *recorded))
        for benchmark in self.benchmarks:
            yield from (benchmark.workload or {}).items()


class _Point(_Read):
    folder: str
    overrides: dict[str, Any]


class _Sweep(_Read):
    points: tuple[_Point, ...]


@dataclass(frozen=True)
class Source:
    """What was named, A or B: one run, whose point is empty, or the points of a sweep, each by its overrides.

    `unfinished` are points without a report; `note` says what was taken where that was not named, `file` what was read.
    """

    path: str
    runs: Mapping[str, Run]
    unfinished: tuple[str, ...] = ()
    note: str = ""
    file: Path = field(default=Path(), compare=False)

    @property
    def is_sweep(self) -> bool:
        return "" not in self.runs


def alike(a: Run, b: Run) -> tuple[Run, Run]:
    """The same two, without what differs only by how it is recorded.

    An earlier release wrote no fields of benchmarks; evidence has paths in the recipe's folder relative to it.
    """
    known = set.intersection(*({one.name for one in run.benchmarks if one.fields is not None} for run in (a, b)))

    def stripped(run: Run) -> Run:
        kept = (one if one.name in known else one.model_copy(update={"fields": None}) for one in run.benchmarks)
        return run.model_copy(update={"benchmarks": tuple(kept)})

    return _beside(stripped(a), b), _beside(stripped(b), a)


def _beside(run: Run, other: Run) -> Run:
    """A run with its paths as the evidence has them that it is compared with; a model of the hub has none."""
    if run.kind or not (other.kind and other.model.get("path")):
        return run
    told, kept = (each.model_dump(mode="json", include={"processes", "benchmarks"}) for each in (run, other))
    return Run.model_validate(run.model_dump() | {key: as_kept(told[key], kept[key]) for key in told})


def load(path: Path) -> Source:
    """What a person named.

    Raises:
        RecipeError: there is no such run, or it cannot be read.

    """
    if not path.exists():
        raise RecipeError(Fault(short(path), "there is no such file or folder", NAME))
    file = next((path / name for name in (SWEEP, REPORT) if (path / name).is_file()), path)
    if file.is_file():
        return _sweep(file) if file.name == SWEEP else Source(short(path), {"": _parsed(Run, file)}, file=file)
    if (path / "plan.json").is_file():
        what = "there is no report.json in it: the run was ended before it could write one, or was not to write one"
        raise RecipeError(Fault(short(path), what, "name another run; report.formats=[json] has it written"))
    inside = sorted(found.parent for name in (REPORT, SWEEP) for found in path.glob(f"*/{name}"))
    if not inside:
        raise RecipeError(Fault(short(path), "there is no run in it, nor right below it", NAME))
    note = f"the newest of {len(inside)} in {short(path)}" if len(inside) > 1 else f"the only one in {short(path)}"
    return replace(load(inside[-1]), note=note)  # their names begin with the time


def _sweep(file: Path) -> Source:
    runs: dict[str, Run] = {}
    unfinished = []
    for point in _parsed(_Sweep, file).points:
        label = ", ".join(f"{key}={_text(value)}" for key, value in sorted(point.overrides.items()))
        report = file.parent / point.folder / REPORT
        if report.is_file():
            runs[label] = _parsed(Run, report)
        else:
            unfinished.append(label)
    return Source(short(file.parent), runs, tuple(unfinished), file=file)


def _parsed(kind: type[_Document], file: Path) -> _Document:
    """The document in a file, as far as it is needed."""
    where = short(file)
    try:
        content = json.loads(file.read_bytes())
    except OSError as exc:
        raise RecipeError(Fault(where, f"it cannot be read: {exc.strerror}", NAME)) from exc
    except (ValueError, RecursionError) as exc:
        raise RecipeError(Fault(where, f"it holds no JSON: {exc}", NAME)) from exc
    made = content.get("format", FORMAT) if isinstance(content, dict) else FORMAT
    if isinstance(made, int) and made > FORMAT:
        what = f"its format is {made}, and this recipe-run reads {FORMAT}"
        raise RecipeError(Fault(where, what, "take the recipe-run that wrote it, or a later one"))
    try:
        return kind.model_validate(content)
    except ValidationError as exc:
        told = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'all of it'}: {error['msg']}" for error in exc.errors())
        raise RecipeError(Fault(where, f"it is no report: {told}", NAME)) from exc


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else to_json(value)
