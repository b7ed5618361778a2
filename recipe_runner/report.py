"""The record of one run, from its plan to its teardown; report writers turn it into files."""

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from recipe_runner.api import Outcome
from recipe_runner.errors import Fault, RecipeError, ServerError
from recipe_runner.evidence import lock
from recipe_runner.folder import Folder
from recipe_runner.host.environment import describe
from recipe_runner.plan import Plan
from recipe_runner.serialize import write_json
from recipe_runner.serving.diagnosis import Diagnosis, diagnose
from recipe_runner.serving.leftovers import Teardown
from recipe_runner.serving.serverlog import last_lines, logged_memory, telling_lines
from recipe_runner.verdict import RunVerdict, exit_code, overall

SERVER_LOG: Final = "server.log"
NOTHING: Final[Mapping[str, Any]] = {"measurements": [], "noise": {}, "figures": [], "distributions": {}, "curve": []}


@dataclass(eq=False)
class Record(Folder):
    """What happened so far in one run; its folder tells it in order, from plan.json to report.json."""

    plan: Plan
    folder: Path
    phases: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    benchmarks: list[dict[str, Any]] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()
    log_excerpt: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    server_log: Path | None = None
    interrupted: bool = False
    teardown: dict[str, Any] = field(default_factory=lambda: Teardown().as_dict())
    environment: dict[str, Any] = field(default_factory=dict)
    unwritten: dict[str, Fault] = field(default_factory=dict)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def open(cls, plan: Plan, folder: Path) -> "Record":
        """Make the run's folder and write its plan.

        Raises:
            RecipeError: the folder cannot be written.

        """
        try:
            folder = _made(folder)
            write_json(folder / "plan.json", plan.as_dict())
            lock.write(plan, environment := describe(plan), folder)
        except OSError as exc:
            what = f"{folder} cannot be written: {exc.strerror}"
            raise RecipeError(Fault("report.folder", what, "name another with report.folder=…")) from exc
        return cls(plan, folder, environment=environment)

    @property
    def verdict(self) -> RunVerdict:
        items = [item["verdict"] for item in (*self.checks, *self.benchmarks)]
        return overall(items, interrupted=self.interrupted, broken=bool(self.faults))

    @property
    def exit_code(self) -> int:
        return exit_code(self.verdict, server_down=bool(self.faults))

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; what ends it early is timed as well."""
        self.event("phase", name=name)
        start = time.monotonic()
        try:
            yield
        finally:
            self.phases.append({"name": name, "seconds": round(time.monotonic() - start, 3)})

    def check(self, name: str, uses: str, outcome: Outcome, seconds: float) -> None:
        item = {"name": name, "uses": uses, "verdict": outcome.verdict, "detail": outcome.detail}
        self.checks.append({**item, "seconds": round(seconds, 3)})
        self.event("check", **self.checks[-1])

    def benchmark(
        self, name: str, uses: str, outcome: Outcome, seconds: float, measured: Mapping[str, Any] = NOTHING
    ) -> None:
        """Keep what a benchmark came to, and what its measurements say."""
        outcome = self._with_cause(outcome, measured["measurements"][-1]["name"] if measured["measurements"] else name)
        item: dict[str, Any] = {"name": name, "uses": uses, "verdict": outcome.verdict, "detail": outcome.detail}
        item |= {"seconds": round(seconds, 3), "metrics": dict(outcome.metrics)}
        benchmark = self.plan.benchmarks[name]
        asked: dict[str, Any] = {"fields": benchmark.asked(), "argv": list(benchmark.argv(self.plan.target))}
        asked["times"] = self.plan.times(name)
        self.benchmarks.append({**item, **asked, **measured})
        self.event("benchmark", **item)

    def _with_cause(self, outcome: Outcome, name: str) -> Outcome:
        """A failed benchmark's outcome with its cause and cure, as far as the log of its last command tells them."""
        logs = [*self.folder.glob(f"{name}.log"), *self.folder.glob(f"{name}.*.log")]
        if outcome.verdict != "failed" or not logs:
            return outcome
        log = max(logs, key=lambda file: file.stat().st_mtime)
        found, _ = diagnose(log, self.plan.request.diagnosis, self.plan.facts.vllm)
        return outcome if found is None else replace(outcome, detail=f"{outcome.detail} — {found.cause}; {found.cure}")

    def skip_rest(self, reason: str, *, benchmarks: bool = True) -> None:
        """Whatever has no outcome yet is skipped."""
        outcome = Outcome("skipped", reason)
        for name, check in list(self.plan.checks.items())[len(self.checks) :]:
            self.check(name, check.uses, outcome, 0)
        for name, benchmark in list(self.plan.benchmarks.items())[len(self.benchmarks) :] if benchmarks else ():
            self.benchmark(name, benchmark.uses, outcome, 0)

    def torn_down(self, done: Teardown) -> None:
        """What a teardown leaves behind is an error of the run."""
        self.teardown = done.as_dict()
        self.faults += done.faults

    def explained(self, error: ServerError) -> ServerError:
        """The same error with its cause and cure, as far as the server's log tells them."""
        fault = error.faults[0]
        if self.server_log is None or fault.where != "server":
            return error
        self.diagnosis, faults = diagnose(self.server_log, self.plan.request.diagnosis, self.plan.facts.vllm)
        if self.diagnosis is None:
            self.log_excerpt = telling_lines(self.server_log)
            return ServerError(*error.faults, *faults)
        self.log_excerpt = (self.diagnosis.line,)
        self.event("diagnosis", **self.diagnosis.as_dict())
        return ServerError(Fault(fault.where, f"{fault.what}: {self.diagnosis.cause}", self.diagnosis.cure), *faults)

    def as_dict(self) -> dict[str, Any]:
        """The document `report.json`."""
        plan, request, planned = self.plan, self.plan.request, self.plan.as_dict()
        return {
            "format": 1,
            **({"simulated": True} if plan.simulated else {}),
            "verdict": self.verdict,
            "recipe": {"name": request.recipe, "summary": request.summary},
            "hardware": None if plan.attached else request.hardware_name,
            "engine": request.engine_name,
            "parallelism": request.parallelism.model_dump(),
            "url": plan.url,
            **{key: planned[key] for key in ("choices", "overrides", "processes", "provenance")},
            "started": self.started,
            "environment": self.environment,
            "memory": self._memory(),
            "phases": self.phases,
            "checks": self.checks,
            "benchmarks": self.benchmarks,
            "expected": {name: expected.model_dump() for name, expected in request.expected.items()},
            "errors": list(map(asdict, self.faults)),
            "diagnosis": self.diagnosis and self.diagnosis.as_dict(),
            "log_excerpt": list(self.log_excerpt),
            "log_tail": list(last_lines(self.server_log)) if self.server_log else [],
            "server_log": str(self.server_log) if self.server_log else None,
            "teardown": self.teardown,
            "warnings": [*plan.warnings, *map(str, self.losses)],
            "folder": str(self.folder),
        }

    def _memory(self) -> dict[str, Any] | None:
        """What was predicted of a device's memory beside what vLLM logged; None where nothing was launched."""
        if self.plan.spread is None or self.server_log is None:
            return None
        return {"predicted": self.plan.spread.chosen.memory.as_dict(), "logged": logged_memory(self.server_log)}

    def write(self) -> None:
        """Write every report that was asked for."""
        self.event("end", verdict=self.verdict)
        reports = self.plan.request.reports
        self.report(reports, self.as_dict, lambda writer, document: writer.write(document, self.folder))


def run_folder(plan: Plan) -> Path:
    """`runs/<recipe>/<hardware>/<UTC time>-<short id>`."""
    name = "attached" if plan.attached else plan.request.hardware_name
    return Path(plan.request.reporting.folder) / plan.request.recipe / name / _stamp()


def sweep_folder(plan: Plan) -> Path:
    """`runs/sweeps/<UTC time>-<id>`; no two may share it, and its points make it only as they begin."""
    return Path(plan.request.reporting.folder) / "sweeps" / _stamp(id_bytes=8)


def _made(folder: Path) -> Path:
    """The folder, made now; or one beside it, if another run made that one in the same second."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            folder = folder.with_name(_stamp())
        else:
            return folder


def _stamp(id_bytes: int = 2) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(id_bytes)}"
