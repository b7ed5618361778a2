"""What a server leaves: found while it lives, removed if nobody uses it, told if it cannot be removed."""

import mmap
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from recipe_runner.errors import Fault
from recipe_runner.process import port_free
from recipe_runner.serving import leftovers
from recipe_runner.serving.leftovers import Teardown, abandoned, faults, held, remove, rendezvous
from tests.running import DOWN, SMALL, Started, fake, run_here

HEX = "0123456789abcdef" * 2


def at_work(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: that of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def segment() -> Iterator[Path]:
    path = Path(leftovers.SHM) / f"test-recipe-runner-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


def test_a_socket_is_removed_once_nobody_listens(place: Path) -> None:
    path = place / "socket"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(path))
        listening.listen()
        client.connect(str(path))
        assert held([psutil.Process()]) == {str(path)}
        assert remove([str(path)]) == ([], [])
    assert held([psutil.Process()]) == set()
    assert remove([str(path)]) == ([str(path)], [])
    assert not path.exists()
    assert remove([str(path)]) == ([], [])


def test_names_without_a_place_are_no_files() -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0test-recipe-runner-{os.getpid()}")
        listening.listen()
        assert held([psutil.Process()]) == set()


def test_shared_memory_is_removed_once_nobody_has_it_mapped(segment: Path) -> None:
    with segment.open("w+b") as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096):
            assert str(segment) in leftovers.shared_memory()
            assert held([psutil.Process()]) == {str(segment)}
            assert remove([str(segment)]) == ([], [])
            segment.unlink()
            assert held([psutil.Process()]) == set(), "one without a name leaves nothing"
            segment.touch()
    assert remove([str(segment)]) == ([str(segment)], [])
    assert str(segment) not in leftovers.shared_memory()


def test_a_socket_that_was_never_looked_at_is_found_by_its_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that is listened to, nor one that somebody is just making, nor a file, nor what has another name."""
    listening, dead, starting, file = (f"{digit * 8}-aaaa-4aaa-8aaa-aaaaaaaaaaaa" for digit in "0123")
    sockets = {name: socket.socket(socket.AF_UNIX) for name in (listening, dead, starting, "other")}
    since = time.time() - 1
    for name, made in sockets.items():
        made.bind(f"{place}/{name}")
    sockets[listening].listen()
    sockets[dead].close()
    sockets["other"].close()
    (place / file).write_text("")
    monkeypatch.setattr(time, "sleep", lambda seconds: sockets[starting].listen())
    assert abandoned(str(place), since) == {f"{place}/{dead}"}
    assert abandoned(str(place), time.time() + 60) == set()
    assert abandoned(f"{place}/none", since) == set()
    for name in (listening, starting):
        sockets[name].close()


def test_the_file_in_which_workers_met_is_named_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        f"(Worker) INFO world_size=2 rank=0 distributed_init_method=file:///tmp/vllm_dist_{HEX} backend=nccl\n"
        f"(Worker) INFO world_size=2 rank=1 distributed_init_method=file:///tmp/vllm_dist_{HEX} backend=nccl\n"
        f"INFO distributed_init_method=tcp://127.0.0.1:1 distributed_init_method=file:///etc/passwd file:///x\n"
    )
    assert rendezvous(log) == {f"/tmp/vllm_dist_{HEX}"}
    assert rendezvous(tmp_path / "none") == set()


def test_what_another_user_has_or_is_no_plain_file_is_not_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "file").touch()
    (place / "link").symlink_to(place / "file")
    (place / "dir").mkdir()
    assert remove([str(place / "link"), str(place / "dir"), str(place / "none")]) == ([], [])
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert remove([str(place / "file")]) == ([], [])
    assert {path.name for path in place.iterdir()} == {"file", "link", "dir"}


def test_what_cannot_be_removed_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two\x1b"):
        (place / name).touch()
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: (_ for _ in ()).throw(PermissionError(13, "denied")))
    removed, left = remove([f"{place}/two\x1b", f"{place}/one"])
    assert (removed, left) == ([], [f"{place}/one", f"{place}/two\x1b"])
    what = f"of the server there are 2 files left: {place}/one, {place}/two\\x1b"
    assert faults([], None, left) == (Fault("teardown", what, "remove what nobody uses"),)
    assert faults([], None, left[:1])[0].what == f"of the server there is 1 file left: {place}/one"


def test_processes_that_are_left_are_told_with_whose_they_are() -> None:
    me = psutil.Process()
    named, hangs = f"{me.name()} (pid {me.pid})", "what hangs in a driver goes only with a restart"
    assert faults([me, me], None, []) == (
        Fault(
            "teardown",
            f"of the server there are 2 processes left: {named}, {named}",
            f"`recipe-run doctor --clean` tries again; {hangs}",
        ),
    )
    what = f"of a benchmark's client there is 1 process left: {named}"
    assert leftovers.alive("a benchmark's client", [me]) == Fault("teardown", what, hangs)


@pytest.mark.parametrize(("memory_mib", "told"), [(None, False), (0, False), (200, False), (201, True)])
def test_memory_that_a_driver_keeps_is_none_of_the_server_s(memory_mib: int | None, told: bool) -> None:
    assert bool(faults([], memory_mib, [])) == told


def test_the_report_has_all_but_the_faults() -> None:
    assert Teardown(port_free=True).as_dict() == DOWN


def test_a_process_that_is_gone_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    process = psutil.Process()
    monkeypatch.setattr(process, "net_connections", lambda kind: (_ for _ in ()).throw(psutil.NoSuchProcess(1)))
    monkeypatch.setattr(process, "_pid", 1 << 30)
    assert held([process]) == set()


def test_a_leftover_is_an_error_of_a_run_whose_checks_passed(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "socket").touch()
    monkeypatch.setattr(leftovers, "rendezvous", lambda log: {f"{place}/socket"})
    monkeypatch.setattr(leftovers, "remove", lambda paths: ([], sorted(paths)))
    code, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert code == 3
    assert folder.verdicts == {"capital": "passed", "another": "passed"}
    assert folder.report["verdict"] == "error"
    assert folder.report["teardown"] == DOWN | {"files_left": 1}
    what = f"of the server there is 1 file left: {place}/socket"
    assert folder.report["errors"] == [{"where": "teardown", "what": what, "do": "remove what nobody uses"}]
    told = capsys.readouterr()
    assert f"teardown — {what}; remove what nobody uses\n" in told.err
    assert told.out.splitlines()[-1].startswith("error in ")


def test_what_was_removed_is_counted(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "socket").touch()
    monkeypatch.setattr(leftovers, "rendezvous", lambda log: {f"{place}/socket"})
    code, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert (code, folder.report["teardown"]) == (0, DOWN | {"files_removed": 1})
    assert "\nRemoved: 1 sockets and other files of the server.\n" in (folder.run / "report.md").read_text()


def test_the_next_run_names_what_a_killed_one_left_and_doctor_stops_it(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    killed = Started(tmp_path / "killed", "serve", *SMALL, *fake())
    killed.wait_for("Ctrl-C stops it")
    killed.popen.kill()
    killed.popen.wait()
    assert all(map(at_work, killed.pids()))
    (tmp_path / "next").mkdir()
    following = Started(tmp_path / "next", *SMALL, *fake(), "benchmark=none")
    assert following.wait() == 0, following.stderr
    note, *rest = following.stderr.splitlines()
    assert note.startswith("note: a server of an earlier run is left: pid ")
    assert note.endswith(f", run {killed.run}; `recipe-run doctor --clean` stops it")
    assert not any("note: a server" in line for line in rest)
    cleaning = Started(tmp_path / "next", "doctor", "--clean")
    assert cleaning.wait() == 0
    (line,) = (line for line in cleaning.stdout.splitlines() if " left servers " in line)
    assert line.split()[0] == "ok"
    assert "stopped: pid " in line
    port = int(killed.plan["url"].rpartition(":")[2])
    assert port_free("127.0.0.1", port)
    assert not any(map(at_work, killed.pids()))
    again = Started(tmp_path / "next", "doctor")
    assert again.wait() == 0
    assert "left servers" in again.stdout
    assert "pid " not in next(line for line in again.stdout.splitlines() if "left servers" in line)
