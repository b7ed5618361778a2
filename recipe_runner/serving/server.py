"""A server while it lives: launched, watched until it really answers, torn down with all it started."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from recipe_runner.client import AnswerError, Client
from recipe_runner.errors import Fault, ServerError
from recipe_runner.paths import short
from recipe_runner.plan import Plan
from recipe_runner.process import Child, port_free

POLL_S: Final = 0.15
AWAY_S: Final = 5.0
SILENCE_S: Final = 60.0
PORT_S: Final = 5.0


class Server:
    """The process of a plan's engine (None where it was attached to), and its log."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan, self.log = plan, log
        self.child: Child | None = None

    def start(self) -> None:
        """Launch.

        Raises:
            ServerError: the command cannot be started.

        """
        for command in self.plan.commands:
            try:
                self.child = Child(command.argv, command.env, self.log)
            except OSError as exc:
                what = f"{command.argv[0]} cannot be started: {exc.strerror}"
                raise ServerError(Fault("engine.command", what, "check the command")) from exc

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

    def wait_ready(self, client: Client, tell: Callable[[str], Any]) -> None:
        """Wait until `/health` answers and one real generation came back.

        Raises:
            ServerError: it died, took longer than `ready_s`, or does not generate.

        """
        deadline = time.monotonic() + self.plan.ready_s
        quiet = _Silence(self.log)
        while not client.healthy():
            self.check_alive()
            if time.monotonic() > deadline:
                do = f"{self._look()}, or wait longer with timeouts.ready_s=…"
                raise ServerError(Fault("server", f"the server was not ready after {self.plan.ready_s:g} s", do))
            if silent_s := quiet.grown_to(SILENCE_S):
                tell(f"the server's log has been silent for {silent_s:.0f} s; still waiting")
            time.sleep(POLL_S)
        try:
            client.complete("Hello", max_tokens=1)
        except AnswerError as exc:
            self.check_answering(client)
            what = f"the server is up, but does not generate: {exc}"
            raise ServerError(Fault("server", what, self._look())) from exc

    def stop(self, grace_s: float, hurry: Callable[[], bool]) -> dict[str, Any]:
        """Tear down; says how many processes are left, and whether the port is free (null where it is not ours)."""
        if self.child is None:
            return {"processes_left": 0, "port_free": None}
        left = self.child.stop(grace_s, hurry)
        host, port = self.plan.request.address.host, self.plan.target.port
        deadline = time.monotonic() + PORT_S
        while not (free := port_free(host, port)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return {"processes_left": left, "port_free": free}

    def close(self) -> None:
        """Leave nothing behind, whatever went wrong before."""
        if self.child is not None:
            self.child.stop(0)

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
