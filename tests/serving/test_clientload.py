"""How busy a benchmark's client is, seen from outside."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from recipe_runner.serving import clientload
from recipe_runner.serving.clientload import ClientLoad

BUSY = "while True: pass"
IDLE = "import time; time.sleep(60)"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clientload, "LOOK_S", 0.02)


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", request.param]) as popen:
        yield popen.pid
        popen.kill()


def looked(pid: int) -> tuple[ClientLoad, tuple[float, float]]:
    """Look for a second."""
    load, start = ClientLoad(), time.perf_counter()
    while time.perf_counter() < start + 1:
        load.look(pid)
        time.sleep(0.02)
    return load, (start, time.perf_counter())


@pytest.mark.parametrize("command", [BUSY], indirect=True)
def test_busy(often: None, command: int) -> None:
    load, span = looked(command)
    share = load.busiest(span)
    assert share is not None
    assert 0.1 < share < 1.2  # others use this machine as well


@pytest.mark.parametrize("command", [IDLE], indirect=True)
def test_idle(often: None, command: int) -> None:
    load, (start, end) = looked(command)
    share = load.busiest((start + 0.5, end))
    assert share is not None
    assert share < 0.1


@pytest.mark.parametrize("command", [IDLE], indirect=True)
def test_too_few_looks(often: None, command: int) -> None:
    load = ClientLoad()
    start = time.perf_counter()
    load.look(command)
    assert load.busiest(None) is None
    assert load.busiest((start, time.perf_counter())) is None
    assert load.busiest((start + 100, start + 200)) is None


def test_another_command_is_seen_at_once(often: None) -> None:
    load = ClientLoad()
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", BUSY]) as popen:
            start = time.perf_counter()
            while time.perf_counter() < start + 0.5:
                load.look(popen.pid)
                time.sleep(0.02)
            popen.kill()
        share = load.busiest((start, time.perf_counter()))
        assert share is not None
        assert share > 0.1


def test_a_command_that_has_ended() -> None:
    load = ClientLoad()
    load.look(2**22 + 1)
    assert load.busiest((0, 1e9)) is None
