"""Real runs: recipe-run as a person starts it, and a look at what is left on the machine afterwards."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner.evidence.reported import Reported
from recipe_runner.host import environments
from recipe_runner.process import port_free

HOME = environments.folder("cpu")  # read before any test moves the cache away
CACHE = str(HOME.parents[2])
LIMIT_S = 400.0
OURS = {"RECIPE_RUNNER_TESTS": secrets.token_hex(8)}  # what all that these tests start inherits


def running() -> set[int]:
    """Our processes that have a file of vLLM's environment mapped, whatever they call themselves.

    Somebody else may use the same environment on this machine, so ours are told by their mark, or by who started them.
    """
    found, below = set(), {child.pid for child in psutil.Process().children(recursive=True)}
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if str(HOME) in Path(f"/proc/{pid}/maps").read_text() and (pid in below or marked(pid)):
                found.add(pid)
    return found


def marked(pid: int) -> bool:
    environ = psutil.Process(pid).environ()
    return all(environ.get(name) == value for name, value in OURS.items())


@dataclass
class Started:
    """A recipe-run in the background, its stderr in a file."""

    popen: subprocess.Popen[str]
    folder: Path

    @property
    def told(self) -> str:
        return (self.folder / "stderr").read_text()

    def wait_for(self, seen: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not seen():
            assert self.popen.poll() is None, f"it ended before {what}:\n{self.told}"
            assert time.monotonic() < deadline, f"no {what}:\n{self.told}"
            time.sleep(0.1)

    def end(self, signal: int | None = None) -> int:
        if signal is not None:
            self.popen.send_signal(signal)
        return self.popen.wait(LIMIT_S)

    @property
    def run_folder(self) -> Path:
        (plan,) = self.folder.glob("runs/*/*/*/plan.json")
        return plan.parent

    @property
    def port(self) -> int:
        argv = json.loads((self.run_folder / "plan.json").read_text())["processes"][0]["argv"]
        return int(argv[argv.index("--port") + 1])

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.run_folder / "report.json").read_text())
        Reported.model_validate(report)
        return report


def start(folder: Path, *words: str, python: str = sys.executable, env: Mapping[str, str] | None = None) -> Started:
    """Start `recipe-run WORDS` in a folder of its own."""
    folder.mkdir(exist_ok=True)
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        popen = subprocess.Popen(
            [python, "-m", "recipe_runner", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            env={**os.environ, **OURS, "XDG_CACHE_HOME": CACHE, **(env or {})},
        )
    return Started(popen, folder)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves a process of vLLM behind; module fixtures may have some of their own."""
    before = running()
    yield
    left = running() - before
    assert not left, [psutil.Process(pid).cmdline() for pid in left]


def gone(port: int) -> bool:
    return port_free("127.0.0.1", port)
