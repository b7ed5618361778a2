"""Runs plans: launch, wait, check, measure, tear down, report. Plans that share a server share its launch."""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from recipe_runner.api import Bench, Outcome
from recipe_runner.client import AnswerError, Client
from recipe_runner.console import Screen
from recipe_runner.errors import Fault, Interrupted, ServerError
from recipe_runner.interrupts import Interrupts
from recipe_runner.plan import Plan
from recipe_runner.process import Child, adopt_orphans
from recipe_runner.report import SERVER_LOG, Record, outcome_of, run_folder, sweep_folder
from recipe_runner.server import POLL_S, Server, telling_lines

Keep = Callable[[str, str, Outcome, float], None]


def run(plans: Sequence[Plan], screen: Screen, *, stay: bool = False) -> list[Record]:
    """Run each plan; with `stay`, no benchmarks: the server stays up until it is interrupted or dies."""
    adopt_orphans()
    records: list[Record] = []
    with Interrupts() as interrupts:
        for group in _groups(plans):
            records += (opened := [Record.open(plan, folder) for plan, folder in group])
            _Group(opened, screen, interrupts, stay=stay).run()
            if interrupts.count:
                break
    return records


def _groups(plans: Sequence[Plan]) -> list[list[tuple[Plan, Path]]]:
    """The plans with their run folders, grouped by the server that they share."""
    if len(plans) == 1:
        return [[(plans[0], run_folder(plans[0]))]]
    sweep = sweep_folder(plans[0])
    placed = [(plan, sweep / f"{number:03}") for number, plan in enumerate(plans)]
    return [list(group) for _, group in itertools.groupby(placed, key=lambda pair: pair[0].server_key())]


class _Group:
    """Plans on one server, from its launch to its teardown."""

    def __init__(self, records: list[Record], screen: Screen, interrupts: Interrupts, *, stay: bool) -> None:
        self.records, self.screen, self.interrupts, self.stay = records, screen, interrupts, stay
        first = records[0]
        self.plan = first.plan
        self.timeouts = self.plan.request.timeouts
        self.server = Server(self.plan, first.folder / SERVER_LOG)
        self.deadline = time.monotonic() + self.timeouts.run_s
        for record in records:
            record.server_log = None if self.plan.attached else self.server.log

    def run(self) -> None:
        current = self.records[0]
        up = False
        try:
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
            current.log_excerpt = telling_lines(self.server.log)
            for record in self.records[self.records.index(current) :]:
                record.faults = exc.faults
                record.skip_rest("the server was not there", benchmarks=not self.stay)
        finally:
            with self.interrupts.ignored():
                self._tear_down()

    def _launch(self, record: Record) -> None:
        self.screen.begin(record.plan, record.folder, self.server.log)
        with self._phase(record, "launch"), self.interrupts.held():
            self.server.start()
        with self._phase(record, "ready"), self._client(record.plan) as client:
            self.server.wait_ready(client, self.screen.note)

    def _judge(self, record: Record) -> None:
        plan = record.plan
        with self._client(plan) as client:
            with self._phase(record, "checks"):
                for name, check in plan.checks.items():
                    self._item(record, record.check, name, check.uses, functools.partial(check.run, client))
            if self.stay:
                return
            with self._phase(record, "benchmarks"):
                bench = Bench(plan.target, client, record.folder, self._command)
                for name, benchmark in plan.benchmarks.items():
                    self._item(
                        record, record.benchmark, name, benchmark.uses, functools.partial(benchmark.run, name, bench)
                    )

    def _item(self, record: Record, keep: Keep, name: str, uses: str, work: Callable[[], Outcome]) -> None:
        """Run one check or benchmark; a dead server ends the run, any other failure only this item."""
        self._check_time()
        self.screen.doing(name)
        start = time.monotonic()
        try:
            try:
                outcome = work()
            except AnswerError as exc:
                outcome = Outcome("failed", str(exc))
            except Exception as exc:
                if isinstance(exc, ServerError):
                    raise
                outcome, trace = outcome_of(exc)  # a plugin's bug is this item's error, and the others still run
                record.event("traceback", name=name, text=trace)
            self.server.check_alive()
        except ServerError:
            keep(name, uses, Outcome("error", "the server died"), time.monotonic() - start)
            raise
        keep(name, uses, outcome, time.monotonic() - start)
        self.screen.item(name, outcome)

    def _command(self, argv: Sequence[str], log: Path) -> int:
        """Run a benchmark's command to its end, with an eye on the server."""
        with self.interrupts.held():
            child = Child(argv, {}, log, adopts=self.plan.attached)
        self.screen.watch(log)
        try:
            while (status := child.poll()) is None:
                self.server.check_alive()
                self._check_time()
                time.sleep(POLL_S)
        finally:
            with self.interrupts.ignored():
                child.stop(1.0, lambda: self.interrupts.again)
            self.screen.watch(self.server.log)
        return status

    def _stay(self, record: Record) -> None:
        self.screen.note(f"serving {record.plan.target.served_name} at {record.plan.url}; Ctrl-C stops it")
        with self._phase(record, "serving"):
            while True:
                self.server.check_alive()
                time.sleep(POLL_S)

    def _tear_down(self) -> None:
        last = self.records[-1]
        with self._phase(last, "teardown"):
            done = self.server.stop(self.timeouts.stop_s, lambda: self.interrupts.again)
        for record in self.records:
            record.teardown = done
            self.screen.end(record, record.write())

    def _check_time(self) -> None:
        if not self.stay and time.monotonic() > self.deadline:
            what = f"the run took more than {self.timeouts.run_s:g} s"
            raise ServerError(Fault("timeouts.run_s", what, "allow more with timeouts.run_s=…"))

    def _client(self, plan: Plan) -> Client:
        return Client(plan.url, plan.target.served_name, self.timeouts.request_s)

    @contextlib.contextmanager
    def _phase(self, record: Record, name: str) -> Iterator[None]:
        self.screen.phase(name)
        with record.phase(name):
            yield
