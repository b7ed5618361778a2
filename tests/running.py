"""Starting recipe-run in tests, and looking at what it leaves behind."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from recipe_runner import runner
from recipe_runner.cli import main
from recipe_runner.evidence.planned import Planned
from recipe_runner.evidence.reported import Reported
from recipe_runner.serving import server

DATA = Path(__file__).parent / "data"
SMALL = (f"recipe={DATA / 'small.yaml'}", "hardware=cpu", "timeouts.stop_s=5")
LIMIT_S = 20.0
DOWN = {"processes_left": 0, "port_free": True, "gpu_memory_left_mib": None, "files_left": 0, "files_removed": 0}


def fake(*how: str) -> tuple[str, ...]:
    """The words that have `fake_vllm.py` serve and measure, misbehaving as told."""
    return ("engine=vllm", f"engine.command='{' '.join((sys.executable, str(DATA / 'fake_vllm.py'), *how))}'")


def until(seen: Callable[[], Any], what: str) -> Any:
    """Poll, and give up in time."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := seen()):
        assert time.monotonic() < deadline, f"no {what} within {LIMIT_S:g} s"
        time.sleep(0.02)
    return found


class Clock:
    """Time flies from the moment when a file is there."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def monotonic(self) -> float:
        return time.monotonic() + 1e6 * self.file.exists()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Folder:
    """The folder in which recipe-run was started."""

    path: Path

    @property
    def run(self) -> Path:
        (found,) = self.path.glob("runs/*/*/*/plan.json")
        return found.parent

    @property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads((self.run / "plan.json").read_text())
        Planned.model_validate(plan)
        return plan

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.run / "report.json").read_text())
        Reported.model_validate(report)
        return report

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / "events.jsonl").read_text().splitlines()]

    @property
    def verdicts(self) -> dict[str, str]:
        return {item["name"]: item["verdict"] for kind in ("checks", "benchmarks") for item in self.report[kind]}

    @property
    def details(self) -> dict[str, str]:
        return {item["name"]: item["detail"] for kind in ("checks", "benchmarks") for item in self.report[kind]}

    @property
    def phases(self) -> list[str]:
        return [phase["name"] for phase in self.report["phases"]]

    def pids(self) -> list[int]:
        """Of every process that the fake was, in the order in which they started."""
        file = self.path / "pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def assert_nothing_left(self) -> None:
        """No process in this folder but ourselves, none in a session of one that was started, and the port free."""
        known = set(self.pids())
        for process in psutil.process_iter():
            try:
                at_work = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
                here = process.cwd() == str(self.path) or os.getsid(process.pid) in known
                assert not (at_work and here), f"left behind: {process.cmdline()}"
            except (psutil.Error, ProcessLookupError):
                continue
        assert not [pid for pid in known if psutil.pid_exists(pid)]
        for folder in self.path.glob("runs/**/plan.json"):
            argv = json.loads(folder.read_text())["processes"][0]["argv"]
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", int(argv[argv.index("--port") + 1])))


class Started(Folder):
    """A recipe-run in a process of its own."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        super().__init__(folder)
        with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "recipe_runner", *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **env},
            )

    @property
    def stdout(self) -> str:
        return (self.path / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.path / "stderr").read_text()

    def wait(self) -> int:
        try:
            return self.popen.wait(LIMIT_S)
        finally:
            self.popen.kill()

    def wait_for(self, name: str) -> None:
        """Wait for a file that the fake writes, or for words on stderr."""
        try:
            until(lambda: (self.path / name).exists() or name in self.stderr, name)
        except AssertionError:
            self.popen.terminate()
            self.wait()
            raise


def run_here(folder: Path, *words: str) -> tuple[int, Folder]:
    """recipe-run in this process, looking more often than usual; its exit code."""
    with contextlib.chdir(folder), patch.object(server, "POLL_S", 0.02), patch.object(runner, "POLL_S", 0.02):
        return main(words), Folder(folder)
