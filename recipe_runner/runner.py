"""Runs plans: launch, wait, check, measure, tear down, report. Plans that share a server share its launch."""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from recipe_runner.client import Client
from recipe_runner.console import Screen
from recipe_runner.errors import Fault, Interrupted, RecipeError, ServerError
from recipe_runner.host.hardware import DEVICES
from recipe_runner.host.leases import Holder, lease
from recipe_runner.interrupts import Check, Interrupts, limit
from recipe_runner.model.fetch import fetch
from recipe_runner.model.weights import Problem
from recipe_runner.plan import Plan
from recipe_runner.process import adopt_orphans
from recipe_runner.report import SERVER_LOG, Record, run_folder
from recipe_runner.serialize import safe_line
from recipe_runner.serving.items import Items, outgrown
from recipe_runner.serving.server import POLL_S, Server
from recipe_runner.sweep import Sweep

WRITE_S: Final = 60.0  # for the writers of a report, which may be anybody's


def run(plan: Plan, screen: Screen, *, stay: bool = False) -> Record:
    """Run one plan. With `stay` there are no benchmarks: the server stays up until it is interrupted or dies.

    Raises:
        RecipeError: it could not begin.

    """
    adopt_orphans()
    folder = run_folder(plan)
    with Interrupts() as interrupts, _leased(plan, folder):
        group = _Group([plan], lambda plan: Record.open(plan, folder), screen, interrupts, stay=stay)
        group.run()
    return group.records[0]


def sweep(points: Sweep, screen: Screen) -> None:
    """Run the points that are left; what kept some from beginning keeps no other.

    Raises:
        RecipeError: another process runs this sweep, or none has a result.

    """
    adopt_orphans()
    with points.held(), Interrupts() as interrupts:
        for group in points.groups():
            try:
                with _leased(group[0], points.folder):
                    _Group(group, points.open, screen, interrupts, ended=points.ended).run()
            except RecipeError as exc:
                points.refused(group, exc.faults)
            if interrupts.count:
                points.interrupted = True
                break
        if not points.reports:
            raise RecipeError(*dict.fromkeys(itertools.chain(*points.errors.values())))
        with points.writing("the reports of the sweep"):
            interrupts.watched(points.write, _time_to_write())


def _leased(plan: Plan, folder: Path) -> contextlib.AbstractContextManager[object]:
    """The port and the GPUs of a launch, ours until its teardown: no other run takes them meanwhile.

    Raises:
        RecipeError: another run has one of them.

    """
    if plan.attached:
        return contextlib.nullcontext()
    got = lease(plan.leases(), folder.resolve())
    if isinstance(got, Holder):
        other = f"choose others with {DEVICES}" if got.name.startswith("gpu-") else "take a free one with serve.port=0"
        raise RecipeError(Fault("leases", str(got), f"wait for it, or {other}"))
    return got


def _time_to_write() -> Check:
    return limit(WRITE_S, f"it took more than {WRITE_S:g} s")


def _nobody_waits(_: Record) -> None:
    """Of a run that is no point of a sweep, nobody has to be told that it ended."""


class _Group:
    """Plans on one server, from its launch to its teardown; each is `opened` as it begins, and `ended` as it ends."""

    def __init__(
        self,
        plans: Sequence[Plan],
        opened: Callable[[Plan], Record],
        screen: Screen,
        interrupts: Interrupts,
        *,
        stay: bool = False,
        ended: Callable[[Record], None] = _nobody_waits,
    ) -> None:
        self.screen, self.interrupts, self.stay = screen, interrupts, stay
        self.opened, self.ended = opened, ended
        self.left, self.plan = list(plans), plans[0]
        self.timeouts = self.plan.request.timeouts
        self.records: list[Record] = []
        first = self._next()
        self.server = Server(self.plan, first.folder / SERVER_LOG)
        self.items = Items(self.server, screen, interrupts, self._go_on)
        self.deadline = time.monotonic() + self.timeouts.run_s

    def run(self) -> None:
        current = self.records[0]
        up = False
        try:
            with self.interrupts.listening():
                self._launch(current)
                up = True
                self._judge(current)
                while self.left:
                    with self.interrupts.held():
                        self.ended(current)  # but for the teardown: if we are killed, it need not be measured again
                        current = self._next()
                    self._judge(current)
                if self.stay:
                    self._stay(current)
        except Interrupted:
            current.interrupted = not (self.stay and up and len(current.checks) == len(current.plan.checks))
            current.skip_rest("interrupted", benchmarks=not self.stay)
        except ServerError as exc:
            exc = current.explained(exc)
            for record in [current, *(self._next() for _ in self.left[:])]:
                record.faults, record.diagnosis = exc.faults, current.diagnosis
                record.skip_rest(exc.faults[0].what, benchmarks=not self.stay)
        except RecipeError:  # of a point that could not begin
            raise
        except (Exception, SystemExit) as exc:
            what = f"recipe-run failed: {type(exc).__name__}: {safe_line(str(exc))}"
            current.faults = (Fault("recipe-run", what, "report this bug with the traceback"),)
            raise
        finally:
            with contextlib.closing(self.server), contextlib.closing(self.screen):
                self._tear_down()

    def _next(self) -> Record:
        """Begin the next of what is left."""
        record = self.opened(self.left.pop(0))
        self.records.append(record)
        record.server_log = None if self.plan.attached else self.records[0].folder / SERVER_LOG
        return record

    def _launch(self, record: Record) -> None:
        self.screen.begin(record.plan, record.folder, self.server.log)
        if record.plan.facts.to_fetch is not None:
            with self._phase(record, "fetch"):
                self.interrupts.watched(lambda: self._fetch(record.plan), self._go_on)
        with self._phase(record, "launch"), self.interrupts.held():
            self.server.start()
        with self._phase(record, "ready"), self._client(record.plan) as client:
            in_time = self.server.in_time()
            healthy = functools.partial(self.server.wait_healthy, client, self.screen.note, in_time)
            self.interrupts.watched(healthy, self._go_on)
            self.interrupts.watched(lambda: self.server.generate(client), self._go_on, in_time)

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
                self.interrupts.watched(record.write, _time_to_write())
            self.ended(record)
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
