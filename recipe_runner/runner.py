"""Runs plans: launch, wait, check, measure, tear down, report. Plans that share a server share its launch."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from recipe_runner.api import Bench, Outcome
from recipe_runner.client import KEY, AnswerError, Client
from recipe_runner.console import Screen
from recipe_runner.errors import Fault, Interrupted, RecipeError, ServerError
from recipe_runner.host.leases import Holder, lease
from recipe_runner.interrupts import Interrupts
from recipe_runner.model.fetch import fetch
from recipe_runner.model.weights import Problem
from recipe_runner.plan import Plan
from recipe_runner.process import Child, adopt_orphans
from recipe_runner.report import SERVER_LOG, Record, outcome_of, run_folder, sweep_folder
from recipe_runner.serialize import one_line
from recipe_runner.serving.server import POLL_S, Server
from recipe_runner.serving.serverlog import telling_lines

COMMAND_STOP_S: Final = 1.0
Keep = Callable[[str, str, Outcome, float], None]


def run(plans: Sequence[Plan], screen: Screen, *, stay: bool = False) -> list[Record]:
    """Run each plan; with `stay`, no benchmarks: the server stays up until it is interrupted or dies."""
    adopt_orphans()
    records: list[Record] = []
    with Interrupts() as interrupts:
        for group in _groups(plans):
            with _leased(group[0][0], group[0][1]):
                records += (opened := [Record.open(plan, folder) for plan, folder in group])
                _Group(opened, screen, interrupts, stay=stay).run()
            if interrupts.count:
                break
    return sorted(records, key=lambda record: record.folder)


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
        self.command: Child | None = None
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
            current.log_excerpt = telling_lines(self.server.log)
            for record in self.records[self.records.index(current) :]:
                record.faults = exc.faults
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
                self._fetch(record.plan)
        with self._phase(record, "launch"), self.interrupts.held():
            self.server.start()
        with self._phase(record, "ready"), self._client(record.plan) as client:
            self.server.wait_ready(client, self.screen.note)

    def _fetch(self, plan: Plan) -> None:
        """Have the weights here before the server starts, so that waiting for it is waiting for nothing else."""
        model, limit = plan.request.model, time.monotonic() + self.timeouts.fetch_s
        found = fetch(model.id, model.revision, self.screen.fetched, lambda: time.monotonic() > limit)
        if isinstance(found, Problem):
            raise ServerError(found.fault("model.id"))

    def _judge(self, record: Record) -> None:
        plan = record.plan
        if record is not self.records[0]:
            self.screen.begin(plan, record.folder, self.server.log)
        with self._client(plan) as client:
            with self._phase(record, "checks"):
                for name, check in plan.checks.items():
                    work = functools.partial(check.run, client)
                    self._item(record, client, record.check, (name, check.uses), work)
            if self.stay:
                return
            with self._phase(record, "benchmarks"):
                bench = Bench(plan.target, client, record.folder, self._command)
                for name, benchmark in plan.benchmarks.items():
                    work = functools.partial(benchmark.run, name, bench)
                    self._item(record, client, record.benchmark, (name, benchmark.uses), work)

    def _item(
        self, record: Record, client: Client, keep: Keep, item: tuple[str, str], work: Callable[[], Outcome]
    ) -> None:
        """Run one check or benchmark, (name, uses); a dead server ends the run, any other failure only this item."""
        self._check_time()
        self.screen.doing(item[0])
        start = time.monotonic()
        try:
            outcome = self._outcome(record, item[0], work)
            if outcome.verdict in ("failed", "error"):
                self.server.check_answering(client)
            self.server.check_alive()
        except ServerError as exc:
            keep(*item, Outcome("error", exc.faults[0].what), time.monotonic() - start)
            raise
        keep(*item, outcome, time.monotonic() - start)
        self.screen.item(item[0], outcome)

    def _outcome(self, record: Record, name: str, work: Callable[[], Outcome]) -> Outcome:
        """What the work came to; a plugin's bug is this item's error, and the others still run."""
        try:
            outcome = work()
            if not isinstance(outcome, Outcome):
                raise TypeError(f"the result is {outcome!r}, not an Outcome")
        except ServerError:
            raise
        except AnswerError as exc:
            return Outcome("failed", one_line(str(exc)))
        except Exception as exc:
            outcome, trace = outcome_of(exc)
            record.event("traceback", name=name, text=trace)
        return replace(outcome, detail=one_line(outcome.detail))

    def _command(self, argv: Sequence[str], log: Path) -> int:
        """Run a benchmark's command to its end, with an eye on the server."""
        with self.interrupts.held():
            key = os.environ.get(KEY)  # vLLM's benchmark takes it from OpenAI's variable
            env = {"OPENAI_API_KEY": key} if key else {}
            self.command = child = Child(argv, env, log, adopts=self.plan.attached)
        self.screen.watch(log)
        try:
            while (status := child.poll()) is None:
                self.server.check_alive()
                self._check_time()
                time.sleep(POLL_S)
        finally:
            self._end_command()
            self.screen.watch(self.server.log)
        return status

    def _end_command(self) -> None:
        """Stop the benchmark's command, if one is left."""
        with self.interrupts.held():
            if self.command is not None:
                self.command.stop(COMMAND_STOP_S, lambda: self.interrupts.again)
                self.command = None

    def _stay(self, record: Record) -> None:
        with self._phase(record, "serving"):
            self.screen.note(f"serving {record.plan.target.served_name} at {record.plan.url}; Ctrl-C stops it")
            while True:
                self.server.check_alive()
                time.sleep(POLL_S)

    def _tear_down(self) -> None:
        self._end_command()
        last = self.records[-1]
        with self._phase(last, "teardown"):
            done = self.server.stop(self.timeouts.stop_s, lambda: self.interrupts.again)
        last.interrupted |= self.interrupts.count > 0 and not self.stay
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
