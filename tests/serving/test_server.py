import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recipe_runner import paths
from recipe_runner.client import AnswerError
from recipe_runner.errors import Fault, ServerError
from recipe_runner.serving import server
from recipe_runner.serving.leftovers import Teardown
from recipe_runner.serving.server import Server
from recipe_runner.serving.serverlog import last_line, logged_memory, telling_lines
from tests.nvml import Nvml, gpu
from tests.running import free_port, until


def log(folder: Path, text: str | bytes) -> Path:
    path = folder / "server.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ()),
        ("one\ntwo\n\n", ("one", "two")),
        ("1\n2\n3\n4\n5\n6\n", ("2", "3", "4", "5", "6")),
        ("INFO a\nValueError: no\nINFO bye\n", ("ValueError: no",)),
        (
            "x: error: no such flag\nFATAL b\nCRITICAL c\nfatalistic\n",
            ("x: error: no such flag", "FATAL b", "CRITICAL c"),
        ),
        (
            "RuntimeError: a\n" * 9 + "torch.cuda.OutOfMemoryError: b\n",
            ("RuntimeError: a", "torch.cuda.OutOfMemoryError: b"),
        ),
        ("\x1b[31mKeyError: 'x'\x1b[0m\x07\n", ("KeyError: 'x'",)),
        (b"Exception: \xff\n", ("Exception: ",)),
        ("done\nnanobind: leaked 3 instances!\n", ("done",)),
        ("e" * 400, ("e" * 300,)),
    ],
)
def test_the_lines_that_tell_what_went_wrong(tmp_path: Path, text: str | bytes, lines: tuple[str, ...]) -> None:
    found = telling_lines(log(tmp_path, text))
    assert tuple(line.replace("\N{REPLACEMENT CHARACTER}", "") for line in found) == lines


def test_the_last_line_for_a_person_to_look_at(tmp_path: Path) -> None:
    assert last_line(tmp_path / "none") == ""
    assert last_line(log(tmp_path, "loading\rhalf\n\n")) == "half"
    assert last_line(log(tmp_path, f"{'x' * 99_999}\nend")) == "end"
    assert last_line(log(tmp_path, f"{'x' * 99_999}end"))[-3:] == "xxx"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(server, "time", made)
    return made


class Client:
    """Healthy once the clock says so."""

    def __init__(self, clock: Clock, *, from_s: float = 0.0, until_s: float = 1e9) -> None:
        self.clock, self.from_s, self.until_s = clock, from_s, until_s
        self.asked: list[str] = []

    def healthy(self) -> bool:
        return self.from_s <= self.clock.now < self.until_s

    def complete(self, prompt: str, **parameters: Any) -> None:
        self.asked.append(prompt)


def planned(tmp_path: Path, *, attached: bool = False, ready_s: float = 1000.0) -> Any:
    """A server that was not launched, with as much of a plan as it looks at."""
    address = SimpleNamespace(address=SimpleNamespace(host="127.0.0.1"))
    plan: Any = SimpleNamespace(attached=attached, url="http://host:1", ready_s=ready_s, commands=(), request=address)
    plan.leases, plan.target = lambda: ("port-1", "gpu-GPU-0a7b"), SimpleNamespace(port=free_port())
    return Server(plan, tmp_path / "server.log")


def test_a_silent_log_is_noted_once_a_minute(tmp_path: Path, clock: Clock) -> None:
    told: list[str] = []
    client = Client(clock, from_s=200)
    made = planned(tmp_path)
    made.wait_healthy(client, told.append, made.in_time())
    assert told == [f"the server's log has been silent for {seconds} s; still waiting" for seconds in (60, 120, 180)]
    assert client.asked == []
    made.generate(client)
    assert client.asked == ["Hello"]


def test_a_log_that_grows_is_not_silent(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    made = planned(tmp_path)

    def grow(seconds: float) -> None:
        clock.now += seconds
        if int(clock.now) % 50 == 0:
            log(tmp_path, "x" * int(clock.now))

    monkeypatch.setattr(clock, "sleep", grow)
    made.wait_healthy(Client(clock, from_s=140), told.append, made.in_time())
    assert told == []


@pytest.mark.parametrize(
    ("attached", "do"),
    [
        (False, "see server.log, or wait longer with timeouts.ready_s=…"),
        (True, "look at the server at http://host:1, or wait longer with timeouts.ready_s=…"),
    ],
)
def test_not_ready_in_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, attached: bool, do: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = planned(tmp_path, attached=attached, ready_s=1.5)
    with pytest.raises(ServerError) as caught:
        made.wait_healthy(Client(clock, from_s=2), lambda _: None, made.in_time())
    assert str(caught.value) == f"server — the server was not ready after 1.5 s; {do}"


def test_after_a_failure_a_server_that_is_back_in_time_is_no_fault(tmp_path: Path, clock: Clock) -> None:
    planned(tmp_path, attached=True).check_answering(Client(clock, from_s=server.AWAY_S - 1))


def test_after_a_failure_a_server_that_stays_away_is_a_fault(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ServerError) as caught:
        planned(tmp_path, attached=True).check_answering(Client(clock, until_s=0))
    message = "server — the server does not answer /health any more; look at the server at http://host:1"
    assert str(caught.value) == message


def test_what_was_attached_to_is_not_stopped(tmp_path: Path) -> None:
    made = planned(tmp_path, attached=True)
    assert made.stop(10, lambda: False) == Teardown()
    made.close()


def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    made = planned(tmp_path)
    made.plan.commands = (SimpleNamespace(argv=(str(tmp_path), "serve"), env={}),)
    with pytest.raises(ServerError) as caught:
        made.start()
    assert str(caught.value) == f"engine.command — {tmp_path} cannot be started: Permission denied; check the command"


def launched(tmp_path: Path, program: str = "import time; time.sleep(60)", **env: str) -> Server:
    made = planned(tmp_path)
    made.plan.commands = (SimpleNamespace(argv=(sys.executable, "-c", program), env=env),)
    made.start()
    return made


def state() -> list[Path]:
    return list(paths.state().glob("servers/*"))


def test_a_server_is_on_record_from_its_launch_to_its_teardown(tmp_path: Path) -> None:
    made = launched(tmp_path, "import os; print(os.environ['RECIPE_RUNNER_RUN'], os.environ['A'], flush=True)", A="b")
    (file,) = state()
    assert made.child is not None
    assert json.loads(file.read_text())["sessions"] == [made.child.pid]
    until(lambda: made.log.read_text(), "its variables")
    assert made.log.read_text() == f"{file.stem} b\n"
    assert made.stop(5, lambda: False) == Teardown(port_free=True)
    assert state() == []


def test_one_that_cannot_be_started_is_not_on_record(tmp_path: Path) -> None:
    made = planned(tmp_path)
    made.plan.commands = (SimpleNamespace(argv=(str(tmp_path),), env={}),)
    with pytest.raises(ServerError):
        made.start()
    assert state() == []


def test_a_port_that_stays_occupied_is_told(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody of ours is left, so it is another's by now: no error of this run."""
    made = launched(tmp_path)
    monkeypatch.setattr(server, "port_free", lambda host, port: clock.now >= server.AFTER_S - 1)
    assert made.stop(1, lambda: False) == Teardown(port_free=True)
    monkeypatch.setattr(server, "port_free", lambda host, port: False)
    assert made.stop(1, lambda: False) == Teardown(port_free=False)


def test_processes_that_are_left_are_an_error_and_stay_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = launched(tmp_path)
    child: Any = made.child
    with monkeypatch.context() as patched:
        patched.setattr(child, "stop", lambda grace_s, hurry: child.members())
        done = made.stop(0, lambda: False)
    what = f"of the server there is 1 process left: python (pid {child.pid})"
    do = "`recipe-run doctor --clean` tries again; what hangs in a driver goes only with a restart"
    assert done == Teardown(1, port_free=True, faults=(Fault("teardown", what, do),))
    assert len(state()) == 1
    made.close()


@pytest.mark.parametrize(("back_s", "left_mib"), [(1, 0), (1e9, 30 * 1024)])
def test_the_memory_of_its_gpus_is_waited_for(
    back_s: float, left_mib: int, tmp_path: Path, clock: Clock, nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.has(gpu(used_gib=0))
    made = launched(tmp_path)
    assert made.child is not None
    nvml.has(gpu(used_gib=30, pids=(made.child.pid,)))
    made.generate(cast(Any, Client(clock)))
    monkeypatch.setattr(clock, "sleep", lambda seconds: give_back(seconds))

    def give_back(seconds: float) -> None:
        clock.now += seconds
        if clock.now > back_s:
            nvml.has(gpu(used_gib=0))

    done = made.stop(5, lambda: False)
    assert done[:3] == (0, True, left_mib)
    what = f"{left_mib} MiB of GPU memory are in use that were not before the launch"
    assert done.faults == ((Fault("teardown", what, "see who has them: `nvidia-smi`"),) if left_mib else ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("INFO CPU KV cache size: 1,048,576 tokens, Maximum concurrency", {"kv_tokens": 1048576}),
        (
            "Model loading took 7.59 GiB and 2.1 seconds\nAvailable KV cache memory: 63.75 GiB\n"
            "GPU KV cache size: 2,387,440 tokens\n",
            {"weights_gib": 7.59, "kv_gib": 63.75, "kv_tokens": 2387440},
        ),
    ],
)
def test_the_memory_that_vllm_found_is_read_from_its_log(text: str, found: dict[str, float], tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(text)
    assert logged_memory(tmp_path / "server.log") == found
    assert logged_memory(tmp_path / "none") == {}


class Pooling:
    """A server that has no completions, and perhaps embeds."""

    def __init__(self, status: int, *, embeds: bool) -> None:
        self.status, self.embeds = status, embeds

    def complete(self, prompt: str, **_: Any) -> None:
        raise AnswerError("/v1/completions answered so", status=self.status)

    def embed(self, texts: list[str]) -> None:
        if not self.embeds:
            raise AnswerError("/v1/embeddings answered 404")


def test_a_server_that_embeds_is_ready_when_it_has_embedded() -> None:
    server._asked(cast(Any, Pooling(404, embeds=True)))


@pytest.mark.parametrize(("status", "embeds"), [(404, False), (500, True)])
def test_a_server_that_does_neither_is_told_of_by_its_completions(status: int, embeds: bool) -> None:
    with pytest.raises(AnswerError, match="/v1/completions answered so"):
        server._asked(cast(Any, Pooling(status, embeds=embeds)))
