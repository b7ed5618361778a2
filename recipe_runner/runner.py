"""Runs plans: launch, wait, check, measure, tear down, report. Plans that share a server share its launch."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from recipe_runner.client import Client
from recipe_runner.console import Screen
from recipe_runner.errors import Fault, Interrupted, RecipeError, ServerError
from recipe_runner.host.leases import Holder, lease
from recipe_runner.interrupts import Interrupts, limit
from recipe_runner.model.fetch import fetch
from recipe_runner.model.weights import Problem
from recipe_runner.plan import Plan
from recipe_runner.process import adopt_orphans
from recipe_runner.report import SERVER_LOG, Record, run_folder, sweep_folder
from recipe_runner.serialize import one_line
from recipe_runner.serving.items import Items, outgrown
from recipe_runner.serving.server import POLL_S, Server

WRITE_S: Final = 60.0  # for the writers of a report, which may be anybody's


def run(plans: Sequence[Plan], screen: Screen, *, stay: bool = False) -> tuple[list[Record], list[Fault]]:
    """Run each plan, and say what kept some from beginning.

    With `stay` there are no benchmarks: the server stays up until it is interrupted or dies.

    Raises:
        RecipeError: none could begin.

    """
    adopt_orphans()
    records: list[Record] = []
    faults: dict[Fault, None] = {}  # each once: what several groups wait for is the same
    with Interrupts() as interrupts:
        for group in _groups(plans):
            try:
                with _leased(group[0][0], group[0][1]):
                    records += (opened := [Record.open(plan, folder) for plan, folder in group])
                    _Group(opened, screen, interrupts, stay=stay).run()
            except RecipeError as exc:
                faults |= dict.fromkeys(exc.faults)
            if interrupts.count:
                break
    if not records:
        raise RecipeError(*faults)
    return sorted(records, key=lambda record: record.folder), list(faults)


def _groups(plans: Sequence[Plan]) -> list[list[tuple[Plan, Path]]]:
    """The plans with their run folders, grouped by the server that they share."""
    if len(plans) == 1:
        return [[(plans[0], run_folder(plans[0]))]]
    sweep = sweep_folder(plans[0])
    groups: dict[Any, list[tuple[Plan, Path]]] = {}
    for number, plan in enumerate(plans):
        groups.setdefault(plan.server_key(), []).append((plan, sweep / f"{number:03}"))
    return list(groups.values())


def _leased(plan: Plan, folder: Path) -> contextlib.AbstractContextManager[object]:
    """The port and the GPUs of a launch, ours until its teardown: no other run takes them meanwhile.

    Raises:
        RecipeError: another run has one of them.

    """
    if plan.attached:
        return contextlib.nullcontext()
    got = lease(plan.leases(), folder.resolve())
    if isinstance(got, Holder):
        do = "wait for it, or choose others with CUDA_VISIBLE_DEVICES and serve.port=0"
        raise RecipeError(Fault("leases", str(got), do))
    return got


class _Group:
    """Plans on one server, from its launch to its teardown."""

    def __init__(self, records: list[Record], screen: Screen, interrupts: Interrupts, *, stay: bool) -> None:
        self.records, self.screen, self.interrupts, self.stay = records, screen, interrupts, stay
        first = records[0]
        self.plan = first.plan
        self.timeouts = self.plan.request.timeouts
        self.server = Server(self.plan, first.folder / SERVER_LOG)
        self.items = Items(self.server, screen, interrupts, self._go_on)
        self.deadline = time.monotonic() + self.timeouts.run_s
        for record in records:
            record.server_log = None if self.plan.attached else self.server.log

    def run(self) -> None:
        current = self.records[0]
        up = False
        try:
            with self.interrupts.listening():
                self._launch(current)
                up = True
                for current in self.records:
                    self._judge(current)
                if self.stay:
                    self._stay(current)
        except Interrupted:
            for record in self.records[self.records.index(current) :]:
                record.interrupted = not (self.stay and up and len(record.checks) == len(record.plan.checks))
                record.skip_rest("interrupted", benchmarks=not self.stay)
        except ServerError as exc:
            exc = current.explained(exc)
            for record in self.records[self.records.index(current) :]:
                record.faults, record.diagnosis = exc.faults, current.diagnosis
                record.skip_rest(exc.faults[0].what, benchmarks=not self.stay)
        except Exception as exc:
            what = f"recipe-run failed: {type(exc).__name__}: {one_line(str(exc))}"
            current.faults = (Fault("recipe-run", what, "report this bug with the traceback"),)
            raise
        finally:
            with contextlib.closing(self.server), contextlib.closing(self.screen):
                self._tear_down()

    def _launch(self, record: Record) -> None:
        self.screen.begin(record.plan, record.folder, self.server.log)
        if record.plan.facts.to_fetch is not None:
            with self._phase(record, "fetch"):
                self.interrupts.watched(lambda: self._fetch(record.plan), self._go_on)
        with self._phase(record, "launch"), self.interrupts.held():
            self.server.start()
        with self._phase(record, "ready"), self._client(record.plan) as client:
            self.interrupts.watched(lambda: self.server.wait_ready(client, self.screen.note), self._go_on)

    def _fetch(self, plan: Plan) -> None:
        """Have the weights here before the server starts, so that waiting for it is waiting for nothing else."""
        model, deadline = plan.request.model, time.monotonic() + self.timeouts.fetch_s
        found = fetch(model.id, model.revision, self.screen.fetched, lambda: time.monotonic() > deadline)
        if isinstance(found, Problem):
            more = "allow more with timeouts.fetch_s=…, and " if found.kind == "stopped" else ""
            raise ServerError(Fault("model.id", found.what, more + found.do))

    def _judge(self, record: Record) -> None:
        plan = record.plan
        if record is not self.records[0]:
            self.screen.begin(plan, record.folder, self.server.log)
        with self._client(plan) as client:
            with self._phase(record, "checks"):
                for name, check in plan.checks.items():
                    self.items.check(record, client, name, check)
            if self.stay:
                return
            with self._phase(record, "benchmarks"):
                for name, benchmark in plan.benchmarks.items():
                    self.items.benchmark(record, client, name, benchmark)

    def _stay(self, record: Record) -> None:
        with self._phase(record, "serving"):
            self.screen.note(f"serving {record.plan.target.served_name} at {record.plan.url}; Ctrl-C stops it")
            while True:
                self._go_on()
                time.sleep(POLL_S)

    def _tear_down(self) -> None:
        self.items.end()
        last = self.records[-1]
        with self._phase(last, "teardown"):
            done = self.server.stop(self.timeouts.stop_s, lambda: self.interrupts.again or self._flood() is not None)
        last.interrupted |= self.interrupts.count > 0 and not self.stay
        for record in self.records:
            record.torn_down(self.items.counted(done))
            with record.writing("the report"):
                self.interrupts.watched(record.write, limit(WRITE_S, f"it took more than {WRITE_S:g} s"))
            self.screen.end(record)

    def _go_on(self) -> None:
        """Raise `ServerError` if the server is dead, fills the disk, or has had its time."""
        self.server.check_alive()
        if flood := self._flood():
            raise ServerError(flood)
        if not self.stay and time.monotonic() > self.deadline:
            what = f"the run took more than {self.timeouts.run_s:g} s"
            raise ServerError(Fault("timeouts.run_s", what, "allow more with timeouts.run_s=…"))

    def _client(self, plan: Plan) -> Client:
        limits = self.timeouts
        return Client(
            plan.url,
            plan.target.served_name,
            limits.request_s,
            connect_s=limits.connect_s,
            first_token_s=limits.first_token_s,
        )

    def _flood(self) -> Fault | None:
        return outgrown(self.server.log, self.plan.request.reporting.max_log_mib)

    @contextlib.contextmanager
    def _phase(self, record: Record, name: str) -> Iterator[None]:
        self.screen.phase(name)
        with record.phase(name):
            yield
