"""How busy a benchmark's client is, seen from outside."""

import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

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


@pytest.mark.parametrize("command", [BUSY], indirect=True)
def test_a_third_of_a_second_is_enough(command: int) -> None:
    load, start = ClientLoad(), time.perf_counter()
    while time.perf_counter() < start + 0.35:
        load.look(command)
        time.sleep(0.05)  # as a run does
    assert load.busiest((start, time.perf_counter())) is not None


class Scripted:
    """A command whose threads use what the test says."""

    pid = 1

    def __init__(self, *looks: dict[int, float]) -> None:
        self.looks = iter(looks)

    def children(self, *, recursive: bool) -> list["Scripted"]:
        return []

    def threads(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=key, user_time=used, system_time=0.0) for key, used in next(self.looks).items()]


def test_the_busiest_thread_of_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [{1: 0.0, 2: 5.0}, {1: 0.0, 2: 5.9}, {1: 0.5, 2: 5.9, 3: 7.0}, {1: 0.5, 2: 5.9, 3: 8.0}, {1: 0.5, 3: 9.0}]
    command, times = Scripted(*looks), iter(range(5))
    monkeypatch.setattr(clientload.psutil, "Process", lambda pid: command)
    monkeypatch.setattr(clientload.time, "perf_counter", lambda: float(next(times)))
    load = ClientLoad()
    for _ in looks:
        load.look(1)
    assert load.busiest((0, 2)) == pytest.approx(0.9 / 2)  # thread 2, early
    assert load.busiest((1, 3)) == pytest.approx(0.5 / 2)  # thread 1; thread 3 was not there at the first look
    assert load.busiest((2, 4)) == pytest.approx(1.0)  # thread 3; thread 2 has ended
    assert load.busiest((3, 4)) is None
