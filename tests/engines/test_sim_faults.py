import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from recipe_runner.client import Client
from recipe_runner.engines import sim_faults
from recipe_runner.engines.sim_faults import ANSWERS, MESSAGES, TEXTS, Fault
from tests.running import DOWN, SMALL, free_port, run_here, until

STAGES = ("start", "loading", "binding", "serving")
DEAD = "vllm.v1.engine.exceptions.EngineDeadError: simulated: EngineCore encountered an issue.\n"


class Ended(BaseException):
    """In place of an end, or of one that never comes."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How the process would have ended or hung."""
    seen: list[str] = []

    def end(how: str) -> None:
        seen.append(how)
        raise Ended

    monkeypatch.setattr(os, "_exit", lambda status: end(f"exit {status}"))
    monkeypatch.setattr(sim_faults.time, "sleep", lambda seconds: end("hangs"))
    return seen


@pytest.mark.parametrize(
    ("fault", "stage", "how"),
    [
        (Fault("dies", "start"), "start", "exit 1"),
        (Fault("dies", "loading"), "loading", "exit 1"),
        (Fault("hangs", "start"), "start", "hangs"),
        (Fault("hangs"), "loading", "hangs"),
        (Fault("never_binds"), "binding", "hangs"),
        *((Fault(name), "start", "exit 1") for name in MESSAGES),
    ],
)
def test_a_fault_waits_for_its_stage(
    ends: list[str], capsys: pytest.CaptureFixture[str], fault: Fault, stage: str, how: str
) -> None:
    for before in STAGES[: STAGES.index(stage)]:
        fault.stage(before)
    assert ends == []
    with pytest.raises(Ended):
        fault.stage(stage)
    assert ends == [how]
    texts = {name: (TEXTS / f"{name}.txt").read_text(encoding="utf-8") for name in MESSAGES}
    said = texts.get(str(fault.name), DEAD if how == "exit 1" else "")
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(("name", "how"), [("dies", "exit 1"), ("hangs", "hangs")])
def test_at_the_nth_request(ends: list[str], name: str, how: str) -> None:
    fault = Fault(name, "3")
    for stage in STAGES:
        fault.stage(stage)
    assert [fault.request(), fault.request()] == [None, None]
    for _ in range(2):
        with pytest.raises(Ended):
            fault.request()
    assert ends == [how, how]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_nth_answer(name: str) -> None:
    fault = Fault(name, every=2)
    for stage in STAGES:
        fault.stage(stage)
    assert [fault.request() for _ in range(4)] == [None, name, None, name]


def test_without_a_fault_nothing_happens() -> None:
    fault = Fault()
    for stage in STAGES:
        fault.stage(stage)
    assert fault.request() is None


def test_the_log_fills_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(sim_faults, "LOG_BYTES", 200_000)
    monkeypatch.setattr(os, "write", lambda fd, data: written.append(data))
    sim_faults.fill_log()
    text = b"".join(written).decode()
    assert 130_000 < len(text) <= 200_000
    assert all("simulated" in line for line in text.splitlines())


@contextlib.contextmanager
def started(*words: str) -> Iterator[tuple[psutil.Popen, Client]]:
    """A server in a process of its own, which answers."""
    port = free_port()
    argv = [sys.executable, "-m", "recipe_runner.engines.sim_server", "m", "--host", "127.0.0.1", "--port", str(port)]
    with psutil.Popen([*argv, *words], stdout=subprocess.DEVNULL) as process:
        try:
            with Client(f"http://127.0.0.1:{port}", "m", 5) as client:
                until(client.healthy, "answer")
                yield process, client
        finally:
            for left in same(process):
                left.kill()


def same(process: psutil.Popen) -> list[psutil.Process]:
    """Every process of that command, orphans too."""
    found = []
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if other.cmdline() == process.args:
                found.append(other)
    return found


def test_sigterm_is_ignored() -> None:
    with started("--fault", "ignores_sigterm") as (process, client):
        process.send_signal(signal.SIGTERM)
        assert client.healthy()
        assert process.poll() is None


@pytest.mark.parametrize(("name", "own"), [("orphan", False), ("orphan_setsid", True)])
def test_a_grandchild_loses_its_parent(name: str, own: bool) -> None:
    with started("--fault", name) as (process, _):
        (orphan,) = (other for other in same(process) if other.pid != process.pid)
        assert orphan.ppid() != process.pid
        assert (os.getsid(orphan.pid) != os.getsid(process.pid)) is own


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        (["engine.fault=dies"], 3, "error"),
        (["engine.fault=dies", "engine.fault_at=1"], 3, "error"),
        (["engine.fault=dies", "engine.fault_at=9"], 3, "error"),
        (["engine.fault=out_of_memory"], 3, "error"),
        (["engine.fault=garbage"], 3, "error"),
        (["engine.fault=error", "engine.fault_every=4"], 1, "failed"),
        (["engine.fault=truncated", "engine.fault_every=4"], 1, "failed"),
        (["engine.fault=orphan_setsid"], 0, "passed"),
    ],
)
def test_what_a_run_makes_of_it(tmp_path: Path, words: list[str], code: int, verdict: str) -> None:
    ended, folder = run_here(tmp_path, *SMALL, "engine=sim", "benchmark=load", *words)
    assert (ended, folder.report["verdict"], folder.report["simulated"]) == (code, verdict, True)
    assert folder.report["teardown"].items() >= DOWN.items()
    folder.assert_nothing_left()
