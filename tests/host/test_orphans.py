"""Servers whose run was killed: found if everything fits, stopped with their files, and nobody else is touched."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner import paths
from recipe_runner.host import orphans
from recipe_runner.host.orphans import Orphan, Trace, survey
from tests.nvml import Nvml, gpu
from tests.running import until

RUN = """
import os, sys, time
from pathlib import Path
from recipe_runner.host.orphans import Trace
from recipe_runner.process import Child
log = Path("run/server.log")
trace = Trace.begin(log, ["vllm", "serve"])
child = Child([sys.executable, "-c", sys.argv[1]], trace.env, log)
while "here" not in log.read_text(): time.sleep(0.01)
if sys.argv[2] == "noted": trace.saw(child.members())
print(child.pid, trace.id, flush=True)
if sys.argv[2] != "lives": os.kill(os.getpid(), 9)
sys.stdin.read()
"""
SERVER = """
import mmap, os, signal, socket, sys, time
place = {place!r}
listening = socket.socket(socket.AF_UNIX); listening.bind(place + "/socket"); listening.listen()
segment = open({segment!r}, "w+b"); segment.truncate(4096); memory = mmap.mmap(segment.fileno(), 4096)
print("distributed_init_method=file://" + place + "/vllm_dist_" + "0" * 32 + " backend=gloo")
open(place + "/vllm_dist_" + "0" * 32, "w").close()
{more}
print("here", flush=True); time.sleep(60)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "run").mkdir()
    return tmp_path / "state" / "recipe-runner" / "servers"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: that of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class Left:
    """A server that a run launched, which was killed then."""

    def __init__(self, place: Path, how: str = "noted", more: str = "") -> None:
        self.segment = Path(f"/dev/shm/test-recipe-runner-{os.getpid()}")
        program = SERVER.format(place=str(place), segment=str(self.segment), more=more)
        command = [sys.executable, "-c", RUN, program, how]
        self.run = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self.run.stdout is not None
        pid, self.id = self.run.stdout.readline().split()
        self.process = psutil.Process(int(pid))
        if how != "lives":
            self.run.communicate()

    @property
    def alive(self) -> bool:
        return alive(self.process)

    def end(self) -> None:
        if self.alive:
            self.process.kill()
        self.run.communicate()
        self.segment.unlink(missing_ok=True)


@pytest.fixture
def leave(place: Path) -> Iterator[Callable[..., Left]]:
    made: list[Left] = []

    def leave(**how: str) -> Left:
        made.append(Left(place, **how))
        return made[-1]

    yield leave
    for left in made:
        left.end()


def rewrite(state: Path, **changes: Any) -> Path:
    (file,) = state.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return file


def test_it_is_named_stopped_and_its_files_go(leave: Callable[..., Left], place: Path, state: Path) -> None:
    left = leave()
    (orphan,) = survey()
    assert [process.pid for process in orphan.processes] == [left.process.pid]
    size = f"{left.process.memory_info().rss / (1 << 30):.1f} GiB"
    assert orphan.told() == f"a server of an earlier run is left: pid {left.process.pid}, python, {size}, run run"
    assert left.alive
    assert sorted(path.name for path in place.iterdir()) == ["socket", "vllm_dist_" + "0" * 32]
    assert left.segment.exists()
    assert orphan.stop() == []
    assert not left.alive
    assert list(place.iterdir()) == []
    assert not left.segment.exists()
    assert list(survey()) == []
    assert list(state.iterdir()) == []


def test_what_it_holds_on_a_gpu_counts_more_than_its_memory(
    leave: Callable[..., Left], nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(more="os.fork()")
    (orphan,) = until(lambda: [orphan for orphan in survey() if len(orphan.processes) == 2], "two processes")
    small = max(orphan.processes, key=lambda process: process.pid)
    nvml.has(gpu(used_gib=7.6, pids=(small.pid,)))
    monkeypatch.setattr(orphans, "_name", lambda process: "VLLM::EngineCore")
    assert str(orphan) == f"pid {small.pid} and 1 more, VLLM::EngineCore, 7.6 GiB, run run"
    assert left.process in orphan.processes
    assert orphan.stop() == []


def test_one_that_ignores_sigterm_and_its_child_with_a_session_of_its_own(leave: Callable[..., Left]) -> None:
    fork = "ready = os.pipe()\nif os.fork() == 0: os.setsid(); os.write(ready[1], b'x')\nelse: os.read(ready[0], 1)"
    left = leave(more=f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{fork}")
    (orphan,) = survey()
    assert len({os.getsid(process.pid) for process in orphan.processes}) == 2
    assert len(orphan.processes) == 2
    assert orphan.stop(grace_s=0.1) == []
    assert not left.alive
    assert not any(map(alive, orphan.processes))


def test_one_that_cannot_be_killed_stays_on_record(
    leave: Callable[..., Left], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave()
    (orphan,) = survey()
    with monkeypatch.context() as patched:
        patched.setattr(orphans, "end", lambda members, grace_s: members())
        patched.setattr(psutil.Process, "environ", lambda process: {})  # as of one whose memory is being given back
        assert [process.pid for process in orphan.stop()] == [left.process.pid]
    assert len(list(survey())) == 1


def test_a_run_that_was_killed_before_it_could_note_anything(leave: Callable[..., Left]) -> None:
    left = leave(how="launched")
    (orphan,) = survey()
    assert [process.pid for process in orphan.processes] == [left.process.pid]
    assert orphan.stop() == []


def test_a_run_that_lives_has_no_orphans(leave: Callable[..., Left], state: Path) -> None:
    left = leave(how="lives")
    assert list(survey()) == []
    assert len(list(state.iterdir())) == 1
    left.run.send_signal(signal.SIGKILL)
    until(lambda: list(survey()), "orphan, though nobody has taken its run off the process table")


def test_a_trace_of_what_is_gone_is_removed_without_a_word(
    leave: Callable[..., Left], place: Path, state: Path
) -> None:
    left = leave()
    left.process.kill()
    until(lambda: not left.alive, "end")
    assert list(survey()) == []
    assert list(state.iterdir()) == []
    assert list(place.iterdir()) == []
    assert not left.segment.exists()


@pytest.mark.parametrize("what", ["session", "environment", "start", "user of the process"])
def test_a_process_with_a_number_that_was_another_s_is_not_touched(
    what: str, leave: Callable[..., Left], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything fits but one thing."""
    left = leave()
    assert len(list(survey())) == 1
    ticks = orphans._start(left.process.pid) or 0
    if what == "session":
        rewrite(state, sessions=[os.getsid(0)])
    elif what == "environment":
        file = rewrite(state, id="0123456789abcdef")
        file.rename(file.with_name("0123456789abcdef.json"))
    elif what == "start":
        rewrite(state, started=ticks + 1)
    else:
        user = psutil.Process(left.process.pid).uids()
        monkeypatch.setattr(psutil.Process, "uids", lambda process: user._replace(real=user.real + 1))
    assert list(survey()) == []
    assert left.alive
    assert list(state.iterdir()) == []


def test_another_process_in_place_of_the_one_on_record(leave: Callable[..., Left], state: Path) -> None:
    left = leave()
    left.process.kill()
    until(lambda: not left.alive, "end")
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(wait, start_new_session=True) as other:
        rewrite(state, sessions=[other.pid], pids=[other.pid])
        assert list(survey()) == []
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"host": ["elsewhere", "pid:[1]"]}, True),
        ({"uid": 12345}, True),
        ({"boot": "before the restart"}, False),
        ({"owner": [1, 12345678901234]}, None),  # another process has the number of that run now
    ],
)
def test_whose_it_is_to_judge(
    changes: dict[str, Any], kept: bool | None, leave: Callable[..., Left], state: Path
) -> None:
    left = leave()
    file = rewrite(state, **changes)
    assert len(list(survey())) == (kept is None)
    assert file.exists() == (kept is not False)
    assert left.alive


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 2, "id": "x", "new": 1}'])
def test_a_file_that_is_no_trace_is_left_alone(text: str, state: Path) -> None:
    state.mkdir(parents=True)
    (state / "x.json").write_text(text)
    assert list(survey()) == []
    assert (state / "x.json").exists()


def test_a_trace_names_files_of_its_own_only(leave: Callable[..., Left], state: Path, place: Path) -> None:
    """Copied under another name it is none: it would be judged twice."""
    left = leave()
    (file,) = state.iterdir()
    file.rename(file.with_name("copy.json"))
    assert list(survey()) == []
    assert left.alive


def test_where_nothing_was_ever_launched(state: Path) -> None:
    assert list(survey()) == []
    assert not state.exists()


def test_a_home_that_cannot_be_written_keeps_no_run_from_starting(tmp_path: Path, state: Path) -> None:
    (tmp_path / "state").write_text("a file")
    trace = Trace.begin(tmp_path / "run" / "server.log", ["vllm"])
    trace.saw([psutil.Process()])
    trace.forget()
    assert trace.env == {"RECIPE_RUNNER_RUN": trace.id, "SPT_NOENV": "1"}


def test_only_its_owner_may_look_into_the_folder(tmp_path: Path, state: Path) -> None:
    Trace.begin(tmp_path / "run" / "server.log", ["vllm", "serve"])
    (file,) = state.iterdir()
    assert state.stat().st_mode & 0o777 == 0o700
    said = json.loads(file.read_text())
    assert (said["format"], said["command"], said["log"]) == (1, ["vllm", "serve"], f"{tmp_path}/run/server.log")
    assert said["owner"] == [os.getpid(), orphans._start(os.getpid())]


def test_a_process_that_vanishes_while_it_is_told(leave: Callable[..., Left]) -> None:
    left = leave()
    (orphan,) = survey()
    left.process.kill()
    until(lambda: not left.alive, "end")
    assert ", 0.0 GiB, run run" in str(Orphan(orphan.trace, orphan.processes))


def test_our_own_session_is_never_a_server_s(tmp_path: Path) -> None:
    """What a plugin starts in our session is beneath us, too."""
    trace = Trace.begin(tmp_path / "run" / "server.log", [])
    trace.saw([psutil.Process()])
    assert trace.sessions == []


def test_shared_memory_that_was_there_before_is_not_its_own(tmp_path: Path) -> None:
    import mmap

    segment = Path(f"/dev/shm/test-recipe-runner-{os.getpid()}")
    with segment.open("w+b") as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096):
            trace = Trace.begin(tmp_path / "run" / "server.log", [])
            trace.saw([psutil.Process()], frozenset({str(segment)}))
            assert trace.files == []
            trace.saw([psutil.Process()])
            assert trace.files == [str(segment)]
            assert trace.remove_files() == ([], [])  # somebody uses it
    assert trace.remove_files() == ([str(segment)], [])
    assert not segment.exists()


def test_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert paths.state() == tmp_path / "state" / "recipe-runner"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert paths.state() == Path.home() / ".local" / "state" / "recipe-runner"
