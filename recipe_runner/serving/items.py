"""One check or benchmark after the other on a live server: each within its time, and none stops another."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from recipe_runner.api import Bench, Benchmark, Check, Outcome
from recipe_runner.client import AnswerError, Client
from recipe_runner.console import Screen
from recipe_runner.errors import Fault, Interrupted, ServerError
from recipe_runner.figures.counters import Counters
from recipe_runner.figures.doubts import doubts
from recipe_runner.figures.repeats import BROKEN, Measurement, Repeats
from recipe_runner.folder import outcome_of
from recipe_runner.interrupts import Interrupts, limit
from recipe_runner.process import Child
from recipe_runner.report import Record
from recipe_runner.secrets import KEY
from recipe_runner.serialize import safe_line
from recipe_runner.serving import leftovers
from recipe_runner.serving.clientload import ClientLoad
from recipe_runner.serving.seeds import Seeds
from recipe_runner.serving.server import Server
from recipe_runner.serving.serverlog import last_line

COMMAND_STOP_S: Final = 1.0
LOOK_S: Final = 0.05
Work = Callable[[], Outcome]


class Items:
    """What is run on one server; `go_on` raises `ServerError` where nothing can be run on it any more."""

    def __init__(self, server: Server, screen: Screen, interrupts: Interrupts, go_on: Callable[[], object]) -> None:
        self.server, self.screen, self.interrupts, self.go_on = server, screen, interrupts, go_on
        self._left: list[psutil.Process] = []
        self._child: Child | None = None
        self._seeds = Seeds(server)
        self._load = ClientLoad()

    def check(self, record: Record, client: Client, name: str, check: Check) -> None:
        judged = functools.partial(check.run, client)
        if check.judges_content and record.plan.dummy_weights:
            judged = functools.partial(Outcome, "skipped", "dummy weights")
        outcome, seconds, dead = self._tried(record, client, name, self._within("check", record, judged))
        record.check(name, check.uses, outcome, seconds)
        if dead:
            raise dead
        self.screen.item(name, outcome)

    def benchmark(self, record: Record, client: Client, name: str, benchmark: Benchmark) -> None:
        """Measure as often as the benchmark or its gates take; what was measured stays, whatever ends it."""
        start, dead = time.monotonic(), None
        repeats = Repeats.of(record.plan, name)
        try:
            for each, counted in repeats.names():
                first = repeats.made[0].server if repeats.made else None
                one, dead = self._measured(record, client, benchmark, each, first, counted=counted)
                repeats.made.append(one)
                if repeats.broken:
                    break
                if repeats.times > 1:
                    self.screen.note(repeats.told())
            outcome = repeats.outcome()
        except Interrupted:
            if repeats.made:
                record.benchmark(name, benchmark.uses, repeats.cut(), time.monotonic() - start, repeats.as_dict())
            raise
        record.benchmark(name, benchmark.uses, outcome, time.monotonic() - start, repeats.as_dict())
        if dead:
            raise dead
        self.screen.item(name, outcome)

    def _measured(
        self, record: Record, client: Client, benchmark: Benchmark, name: str, first: Counters | None, *, counted: bool
    ) -> tuple[Measurement, ServerError | None]:
        """Measure once, with an eye on what the server counts (`first`: the first time) and how busy the client is."""
        self._load, self._seeds.given = ClientLoad(), None
        bench = Bench(record.plan.target, client, record.folder, self._command, last_line, self._seeds.fresh)
        before = Counters.settled(client)

        def work() -> Outcome:
            benchmark.unmeasured(), benchmark.shared_prefix()  # a bug in them is this benchmark's, too
            return benchmark.run(name, bench)

        outcome, seconds, dead = self._tried(record, client, name, self._within("benchmark", record, work))
        server = None if dead else Counters.since(before, client, int(outcome.metrics.get("completed", 0)))
        busy = max((share for span in outcome.spans if (share := self._load.busiest(span)) is not None), default=None)
        broken = outcome.verdict in BROKEN
        why = tuple(doubts(benchmark, outcome, None if broken else server, busy, first))
        one = Measurement(
            name, counted and (not broken or bool(why)), outcome, seconds, self._seeds.given, server, busy, why
        )
        record.event("measurement", **one.as_dict())
        return one, dead

    def end(self) -> None:
        """Stop the benchmark's command, if one is left, and remove what it leaves."""
        with self.interrupts.held():
            if self._child is not None:
                files = leftovers.held(self._child.members()) - self._foreign
                self._left += self._child.stop(COMMAND_STOP_S, lambda: self.interrupts.again)
                leftovers.remove(files)
                self._child = None

    def counted(self, done: leftovers.Teardown) -> leftovers.Teardown:
        """A server's teardown, and with it the processes of benchmarks that even SIGKILL did not end."""
        faults = (*done.faults, *([leftovers.alive("a benchmark's client", self._left)] if self._left else ()))
        return done._replace(processes_left=done.processes_left + len(self._left), faults=faults)

    def _within(self, kind: str, record: Record, work: Work) -> Work:
        """The work, ended when it takes longer than one of its kind may, or when the run cannot go on."""
        seconds = getattr(record.plan.request.timeouts, f"{kind}_s")
        what = f"the {kind} took more than {seconds:g} s; allow more with timeouts.{kind}_s=…"
        return lambda: self.interrupts.watched(work, self.go_on, limit(seconds, what))

    def _tried(
        self, record: Record, client: Client, name: str, work: Work
    ) -> tuple[Outcome, float, ServerError | None]:
        """What the work came to, in how many seconds; a dead server ends the run, any other failure only this item."""
        self.screen.doing(name)
        start = time.monotonic()
        try:
            self.go_on()
            outcome = self._outcome(record, name, work)
            if outcome.verdict in ("failed", "error"):
                self.server.check_answering(client)
            self.server.check_alive()
        except ServerError as exc:
            return Outcome("error", exc.faults[0].what), time.monotonic() - start, exc
        return outcome, time.monotonic() - start, None

    def _outcome(self, record: Record, name: str, work: Work) -> Outcome:
        """What the work came to, with a detail that may be shown: whatever a run tells of an item passes here."""
        outcome = self._came_to(record, name, work)
        return replace(outcome, detail=safe_line(outcome.detail))

    def _came_to(self, record: Record, name: str, work: Work) -> Outcome:
        """A plugin's bug is this item's error, and the others still run."""
        try:
            outcome = work()
            if not isinstance(outcome, Outcome):
                raise TypeError(f"the result is {outcome!r}, not an Outcome")
            return replace(outcome)  # looks at it again: its metrics may have changed since it was made
        except ServerError:
            raise
        except AnswerError as exc:
            return Outcome("failed", f"{exc}; {exc.do}" if exc.do else str(exc))
        except OSError as exc:  # a full disk, a file that is not there, a limit that was reached: nobody's bug
            return Outcome("failed", str(exc))
        except (Exception, SystemExit) as exc:  # a plugin that says sys.exit() ends itself, and nothing else
            outcome, trace = outcome_of(exc)
            record.event("traceback", name=name, text=trace)
            return outcome

    def _command(self, argv: Sequence[str], log: Path) -> int:
        """Run a benchmark's command to its end."""
        with self.interrupts.held():
            # vLLM's benchmark sends what stands there, so a key that is meant for OpenAI must not
            env = {"OPENAI_API_KEY": os.environ.get(KEY, "")}
            self._foreign = leftovers.shared_memory()
            self._child = child = Child(argv, env, log, adopts=self.server.plan.attached)
        self.screen.watch(log)
        try:
            while (status := child.poll()) is None:
                self._load.look(child.pid)
                if flood := outgrown(log, self.server.plan.request.reporting.max_log_mib):
                    raise OSError(f"{flood.what}; {flood.do}")
                time.sleep(LOOK_S)
        finally:
            self.end()
            self.screen.watch(self.server.log)
        return status


def outgrown(log: Path, most_mib: int) -> Fault | None:
    """What is wrong with a log that grew larger than it may."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > most_mib << 20:
            what = f"{log.name} grew larger than {most_mib} MiB"
            return Fault("report.max_log_mib", what, "allow more with report.max_log_mib=…")
    return None
