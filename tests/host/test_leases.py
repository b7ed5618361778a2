"""Leases between processes: never two with one, gone with the process, shared by users, safe against tricks."""

import contextlib
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from recipe_runner.errors import RecipeError
from recipe_runner.host import leases
from recipe_runner.host.leases import Holder, Lease, lease, survey

ME = psutil.Process().username()
DO = "it is none of ours: have its owner, or root, remove it"
TAKE = """
import os, sys
from recipe_runner.host.leases import Lease, lease
if sys.argv[1] != "-":
    os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
got = lease(sys.argv[3:], "runs/other")
if sys.argv[2] == "fork" and os.fork() == 0:
    import time; time.sleep(60)
print("got" if isinstance(got, Lease) else got, flush=True)
sys.stdin.read()
"""
Take = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for leases that every user can reach, unlike pytest's folders."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        monkeypatch.setattr(leases, "FOLDER", root / "leases")
        yield root / "leases"


@pytest.fixture
def take(folder: Path) -> Iterator[Take]:
    """Another process that leases; what it said."""
    running: list[subprocess.Popen[str]] = []
    imports = "from pathlib import Path\nfrom recipe_runner.host import leases\n"
    program = f"{imports}leases.FOLDER = Path({str(folder)!r})\n{TAKE}"

    def take(*names: str, user: str = "-", how: str = "hold") -> tuple[subprocess.Popen[str], str]:
        child = subprocess.Popen(
            [sys.executable, "-c", program, user, how, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline().strip()

    yield take
    for child in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def refused(name: str) -> str:
    with pytest.raises(RecipeError) as error:
        lease([name])
    (fault,) = error.value.faults
    assert (fault.where, fault.do) == ("leases", DO)
    return fault.what


def test_a_lease_is_all_or_nothing_and_ends_with_its_block(folder: Path) -> None:
    with lease(["port-8000", "gpu-GPU-1", "port-8000"], "runs/a") as held:
        assert isinstance(held, Lease)
        assert held.names == ("gpu-GPU-1", "port-8000")
        other = lease(["port-8001", "port-8000"])
        assert other == Holder("port-8000", os.getpid(), ME, "runs/a")
        assert str(other) == f"port 8000 is leased by pid {os.getpid()} of {ME} (runs/a)"
        assert names(folder) == ["gpu-GPU-1", "port-8000"], "what was not got is left"
        with lease(["port-8001"]):
            pass
    assert names(folder) == []
    held.release()
    held.tell("runs/never")
    assert names(folder) == []


def test_nothing_is_leased_for_nothing() -> None:
    with lease([]) as held:
        assert isinstance(held, Lease)
        assert held.names == ()


def test_the_run_folder_may_be_known_later() -> None:
    with lease(["gpu-GPU-1"]) as held:
        assert isinstance(held, Lease)
        other = lease(["gpu-GPU-1"])
        assert isinstance(other, Holder)
        assert other.told("GPU 0") == f"GPU 0 is leased by pid {os.getpid()} of {ME}"
        held.tell(Path("runs/now"))
        assert str(lease(["gpu-GPU-1"])) == f"GPU GPU-1 is leased by pid {os.getpid()} of {ME} (runs/now)"


def test_the_folder_is_for_everybody_and_nobody_else_removes_files(folder: Path) -> None:
    umask = os.umask(0o077)
    try:
        with lease(["port-1"]):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
            assert stat.S_IMODE((folder / "port-1").stat().st_mode) == 0o666
    finally:
        os.umask(umask)


def test_odd_names_stay_in_the_folder(folder: Path) -> None:
    with lease(["gpu-MIG-a/1/2", "../up", ".", "é1"]):
        assert names(folder) == ["_", "_1", "_up", "gpu-MIG-a_1_2"]


def test_another_process_is_named_and_its_death_frees_what_it_held(take: Take, folder: Path) -> None:
    child, said = take("gpu-GPU-1", "port-1")
    assert said == "got"
    assert str(lease(["port-1"])) == f"port 1 is leased by pid {child.pid} of {ME} (runs/other)"
    assert [(found.state, found.file) for found in survey()] == [
        ("held", folder / "gpu-GPU-1"),
        ("held", folder / "port-1"),
    ]
    end(child)
    assert [(str(found.holder), found.state) for found in survey()] == [
        (f"GPU GPU-1 is leased by pid {child.pid} of {ME} (runs/other)", "left"),
        (f"port 1 is leased by pid {child.pid} of {ME} (runs/other)", "left"),
    ]
    with lease(["gpu-GPU-1", "port-1"]) as held:
        assert isinstance(held, Lease)
    assert list(survey()) == []


def test_of_many_at_once_one_gets_each(take: Take, folder: Path) -> None:
    """Eight processes fight for three names, again and again; a file that only the holder makes shows a second one."""
    program = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from recipe_runner.host import leases\n"
        f"leases.FOLDER = Path({str(folder)!r})\n"
        "won = 0\n"
        "end = time.monotonic() + 2\n"
        "while time.monotonic() < end:\n"
        "    got = leases.lease(sys.argv[1:])\n"
        "    if isinstance(got, leases.Lease):\n"
        "        with got:\n"
        "            for name in sys.argv[1:]:\n"
        f"                os.close(os.open(f'{folder.parent}/{{name}}', os.O_CREAT | os.O_EXCL))\n"
        "            for name in sys.argv[1:]:\n"
        f"                os.unlink(f'{folder.parent}/{{name}}')\n"
        "            won += 1\n"
        "print(won)\n"
    )
    wishes = [("a", "b"), ("b", "c"), ("c", "a"), ("a",)]
    running = [
        subprocess.Popen([sys.executable, "-c", program, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for names in wishes
    ]
    for child in running:
        out, errors = child.communicate(timeout=60)
        assert (child.returncode, errors) == (0, b"")
        assert int(out) > 0


def test_a_lock_that_outlived_its_run_is_seen(take: Take, folder: Path) -> None:
    child, _ = take("port-1", how="fork")
    end(child)
    start = time.monotonic()
    other = lease(["port-1"])
    assert time.monotonic() - start < 2
    assert str(other) == f"port 1 is leased by a process that cannot be seen from here of {ME} (runs/other)"
    (found,) = survey()
    assert (found.holder.pid, found.state) == (child.pid, "outlived")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_users_share(take: Take, folder: Path) -> None:
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    with lease(["port-1"], "runs/mine"):
        _, said = take("port-1", user=nobody)
        assert said == f"port 1 is leased by pid {os.getpid()} of {ME} (runs/mine)"
        child, said = take("port-2", user=nobody)
        assert said == "got"
        assert str(lease(["port-2"])) == f"port 2 is leased by pid {child.pid} of nobody (runs/other)"
    end(child)
    with lease(["port-2"]) as held:  # the file that another user left
        assert isinstance(held, Lease)
        assert (folder / "port-2").owner() == "nobody"
        _, said = take("port-2", user=nobody)
        assert said.startswith("port 2 is leased by pid ")
    (folder / "port-3").touch(0o666)
    (folder / "port-3").chmod(0o666)
    child, said = take("port-3", user=nobody)
    assert said == "got", "a file of ours that is left is theirs to take"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_folder_that_another_user_made_serves_as_well(take: Take, folder: Path) -> None:
    folder.parent.chmod(0o777)
    nobody = pwd.getpwnam("nobody").pw_uid
    child, said = take("port-1", user=str(nobody))
    assert (said, folder.owner()) == ("got", "nobody")
    assert isinstance(lease(["port-1"]), Holder)
    end(child)
    folder.chmod(0o755)
    assert refused("port-1") == f"{folder} is not a folder that all users share (mode 1777)"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid":"x"}', '{"pid":-1,"user":"u","run":""}', '{"pid":4e99,"user":"u","run":""}']
)
def test_what_stands_in_a_file_is_not_trusted(text: str, folder: Path) -> None:
    with lease(["port-1"]):
        (folder / "port-1").write_text(text)
        other = lease(["port-1"])
        assert isinstance(other, Holder)
        assert other.pid is None
        assert str(other).startswith("port 1 is leased by a process that cannot be seen from here")
    (folder / "port-1").write_text(text)
    with lease(["port-1"]) as held:
        assert isinstance(held, Lease)


def test_control_characters_and_false_names_are_not_shown(folder: Path) -> None:
    with lease(["port-1"]):
        claim = {"pid": os.getpid(), "user": "mallory", "run": "runs/\x1b[2Jx"}
        (folder / "port-1").write_text(json.dumps(claim))
        assert str(lease(["port-1"])) == f"port 1 is leased by pid {os.getpid()} of {ME} (runs/\\x1b[2Jx)"


def test_tricks_in_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    with lease(["port-1"]):
        pass
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder / "link").symlink_to(precious)
    (folder / "dangling").symlink_to(tmp_path / "none")
    (folder / "hard").hardlink_to(precious)
    (folder / "dir").mkdir()
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        monkey = os.open(folder, os.O_RDONLY)
        sock.bind(f"/proc/self/fd/{monkey}/socket")
        os.close(monkey)
        for name in ("link", "dangling", "hard", "dir", "fifo", "socket"):
            assert refused(name) == f"{folder}/{name} is not a plain file"
        assert [found for found in survey() if found.file.name != "hard"] == []
    assert precious.read_text() == "precious"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_that_is_none_is_refused(kind: str, folder: Path, tmp_path: Path) -> None:
    if kind == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.touch()
    assert refused("port-1") == f"{folder} is not a folder"
    with pytest.raises(RecipeError):
        list(survey())


def test_a_folder_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "no" / "leases"
    monkeypatch.setattr(leases, "FOLDER", root)
    assert refused("port-1") == f"{root} cannot be made: No such file or directory"
    assert list(survey()) == []


def test_what_may_not_be_opened_is_refused_after_a_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, denied = os.open, []

    def deny(path: str | Path, flags: int, *args: int, **kwargs: int) -> int:
        if str(path).endswith(denied[0]):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", deny)
        denied[:] = ["port-1"]
        assert refused("port-1") == f"{folder}/port-1 cannot be opened by all"
        denied[:] = ["leases"]
        assert refused("port-1") == f"{folder} is not a folder that all users share (mode 1777)"


def test_a_file_that_was_taken_away_meanwhile_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that we locked may be gone from the folder: its holder gave it back just before."""
    real, gone = leases._opened, []

    def opened(at: int, file: str, root: Path) -> int:
        fd = real(at, file, root)
        if not gone:
            gone.append((folder / file).unlink())
        return fd

    monkeypatch.setattr(leases, "_opened", opened)
    with lease(["port-1"]) as held:
        assert isinstance(held, Lease)
        assert isinstance(lease(["port-1"]), Holder)


def test_two_that_make_a_file_at_once_take_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def late(path: str | Path, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_CREAT and not (folder / path).exists():
            os.close(real(path, flags, *args, **kwargs))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", late)
    with lease(["port-1"]) as held:
        assert isinstance(held, Lease)
