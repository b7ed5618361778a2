"""A server while it lives: launched, watched until it really answers, torn down with all it started."""

import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from recipe_runner.client import AnswerError, Client
from recipe_runner.errors import Fault, ServerError
from recipe_runner.host.gpumemory import TOLERANCE_MIB, GpuMemory
from recipe_runner.host.orphans import Trace
from recipe_runner.paths import short
from recipe_runner.plan import Plan
from recipe_runner.process import Child, port_free
from recipe_runner.serving import leftovers
from recipe_runner.serving.leftovers import Teardown

POLL_S: Final = 0.15
AWAY_S: Final = 5.0
SILENCE_S: Final = 60.0
AFTER_S: Final = 5.0  # and for a driver to give back memory
NOTE_S: Final = 2.0


class Server:
    """The process of a plan's engine (None where it was attached to), its log, and what it must not leave behind."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan, self.log = plan, log
        self.child: Child | None = None

    def start(self) -> None:
        """Launch.

        Raises:
            ServerError: the command cannot be started.

        """
        for command in self.plan.commands:
            self.foreign = leftovers.shared_memory()
            self.memory = GpuMemory([name[4:] for name in self.plan.leases() if name.startswith("gpu-")])
            self.trace = Trace.begin(self.log, command.argv)
            try:
                self.child = Child(command.argv, {**command.env, **self.trace.env}, self.log)
            except OSError as exc:
                self.trace.forget()
                what = f"{command.argv[0]} cannot be started: {exc.strerror}"
                raise ServerError(Fault("engine.command", what, "check the command")) from exc
            self._note()

    def check_alive(self) -> None:
        """Raise `ServerError` if the server is dead."""
        status = self.child.poll() if self.child else None
        if status is not None:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise ServerError(Fault("server", f"the server {how}", self._look()))

    def check_answering(self, client: Client) -> None:
        """After something failed: raise `ServerError` if the server is dead, is dying, or stays away."""
        deadline = time.monotonic() + AWAY_S
        while not client.healthy():
            self.check_alive()
            if time.monotonic() > deadline:
                raise ServerError(Fault("server", "the server does not answer /health any more", self._look()))
            time.sleep(POLL_S)

    def in_time(self) -> Callable[[], None]:
        """What raises `ServerError` once `ready_s` have passed from now."""
        deadline = time.monotonic() + self.plan.ready_s

        def check() -> None:
            if time.monotonic() > deadline:
                do = f"{self._look()}, or wait longer with timeouts.ready_s=…"
                raise ServerError(Fault("server", f"the server was not ready after {self.plan.ready_s:g} s", do))

        return check

    def wait_healthy(self, client: Client, tell: Callable[[str], Any], in_time: Callable[[], None]) -> None:
        """Wait until `/health` answers.

        Raises:
            ServerError: it died, or took too long.

        """
        quiet, noted = _Silence(self.log), time.monotonic()
        while not client.healthy():
            self.check_alive()
            if time.monotonic() > noted + NOTE_S:
                self._note()
                noted = time.monotonic()
            in_time()
            if silent_s := quiet.grown_to(SILENCE_S):
                tell(f"the server's log has been silent for {silent_s:.0f} s; still waiting")
            time.sleep(POLL_S)

    def generate(self, client: Client) -> None:
        """Have one real generation come back: now it is ready.

        Raises:
            ServerError: it died, or does not generate.

        """
        try:
            _asked(client)
        except AnswerError as exc:
            self.check_answering(client)
            what = f"the server is up, but does not generate: {exc}"
            do = f"{self._look()}, or {exc.do}" if exc.do else self._look()
            raise ServerError(Fault("server", what, do)) from exc
        self._note()

    def stop(self, grace_s: float, hurry: Callable[[], bool]) -> Teardown:
        """Tear down, and say what is left."""
        if self.child is None:
            return Teardown()
        self._note()
        left = self.child.stop(grace_s, hurry)
        removed, kept = self.trace.remove_files()
        host, port = self.plan.request.address.host, self.plan.target.port
        pids = {*self.trace.pids}
        deadline = time.monotonic() + AFTER_S
        while True:
            free, memory_mib = port_free(host, port), self.memory.left_mib(pids)
            if (free and (memory_mib or 0) <= TOLERANCE_MIB) or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        if not left:
            self.trace.forget()
        return Teardown(len(left), free, memory_mib, len(kept), len(removed), leftovers.faults(left, memory_mib, kept))

    def close(self) -> None:
        """Leave nothing behind, whatever went wrong before."""
        if self.child is not None:
            self.child.stop(0)

    def _note(self) -> None:
        """Note what the server has, so that it can be found when the server, or this run, is gone."""
        if self.child is not None:
            self.trace.saw(self.child.members(), self.foreign)
            self.memory.look({*self.trace.pids})

    def _look(self) -> str:
        return f"look at the server at {self.plan.url}" if self.plan.attached else f"see {short(self.log)}"


class _Silence:
    """How long a log has not grown; tells once for each full span."""

    def __init__(self, log: Path) -> None:
        self.log, self.size, self.since, self.told = log, -1, time.monotonic(), 0

    def grown_to(self, span_s: float) -> float | None:
        size = self.log.stat().st_size if self.log.exists() else 0
        now = time.monotonic()
        if size != self.size:
            self.size, self.since, self.told = size, now, 0
        if (spans := int((now - self.since) / span_s)) > self.told:
            self.told = spans
            return now - self.since
        return None


def _asked(client: Client) -> None:
    """Have the server do its work once: generate, or embed where it has nothing to generate with."""
    try:
        client.complete("Hello", max_tokens=1)
    except AnswerError as exc:
        if exc.status != HTTPStatus.NOT_FOUND:
            raise
        try:
            client.embed(["Hello"])
        except AnswerError:
            raise exc from None
