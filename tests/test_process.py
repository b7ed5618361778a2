import os
import platform
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner import process
from recipe_runner.process import Child, adopt_orphans, find, is_host, port_free, shell, words
from tests.running import free_port, until


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, []),
        ({"enforce_eager": True, "enable_log_requests": False}, ["--enforce-eager", "--no-enable-log-requests"]),
        ({"port": 8000, "gpu_memory_utilization": 0.9, "dtype": "auto"}, ["--port", "8000"]),
        ({"empty": ""}, ["--empty", ""]),
        ({"limits": {"image": 1, "on": True}}, ["--limits", '{"image":1,"on":true}']),
        ({"lora_modules": ["a=b", 2, {"c": None}, True]}, ["--lora-modules", "a=b", "2", '{"c":null}', "true"]),
    ],
)
def test_flags_as_words(flags: dict[str, Any], expected: list[str]) -> None:
    assert words(flags)[: len(expected)] == expected


WORDS = (
    "plain",
    "two words",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "a\nb",
    "--",
    "--x=y z",
    "a --b",
    "\\",
    "",
    "*",
    "~",
    "é",
    "#",
    "-",
)


def test_the_shell_form_means_the_same_words() -> None:
    pasted = shell(("printf", "%s\\0", *WORDS), {"A": "b c", "B": ""})
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == list(WORDS)
    pasted = shell(("env",), {"A": "b\n'c", "B": ""})
    told = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert "A=b\n'c\n" in told.stdout
    assert "B=\n" in told.stdout


def test_the_shell_form_has_a_flag_on_each_line() -> None:
    assert shell(("vllm", "serve", "m", "--a", "--b", "1", "2"), {"X": "1", "Y": "2"}) == (
        "X=1 \\\n  Y=2 \\\n  vllm serve m \\\n  --a \\\n  --b 1 2"
    )
    assert shell(("vllm", "--a")) == "vllm \\\n  --a"
    assert shell(("--a", "--b")) == "--a \\\n  --b"


def test_a_command_beside_our_interpreter_comes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("beside", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vllm").write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find("vllm") is None
    (tmp_path / "path" / "vllm").chmod(0o755)
    assert find("vllm") == str(tmp_path / "path" / "vllm")
    (tmp_path / "beside" / "vllm").chmod(0o755)
    assert find("vllm") == str(tmp_path / "beside" / "vllm")


@pytest.mark.parametrize("host", [None, "", "127.0.0.1", "0.0.0.0"])
def test_a_port_is_free_or_not(host: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert not port_free(host, port)
    assert port_free(host, port)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_ports_of_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        assert not port_free("::1", listening.getsockname()[1])


@pytest.mark.parametrize("name", ["", "0.0.0.0", "::", "fe80::1%eth0", "localhost", "bücher.example", "my_host.a."])
def test_names_of_hosts(name: str) -> None:
    assert is_host(name)


def test_connections_that_linger_do_not_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listening.accept()[0].close()
    assert port_free("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_the_servers_to_tell() -> None:
    assert port_free("192.0.2.1", free_port())


class Script:
    """A Python program as a child; it says when it is where it should be."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.program = folder, f"import os, signal, sys, time\n{text}"

    def start(self, *, adopts: bool = True, **env: str) -> Child:
        return Child([sys.executable, "-c", self.program], env, self.folder / "log", adopts=adopts)

    def at(self, child: Child, said: str) -> None:
        until(lambda: said in child.log.read_text(), f"{said} in the log")


SAY = "print('here', flush=True)\n"
WAIT = f"{SAY}time.sleep(60)"
STUBBORN = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAIT}"
LOST = (
    "if os.fork() == 0:\n    {how}\n    if os.fork(): os._exit(0)\n"
    f"    {STUBBORN.replace(chr(10), chr(10) + '    ')}\n"
    "os.wait()\ntime.sleep(60)"
)


def test_a_child_has_a_session_its_own_output_and_no_input(tmp_path: Path) -> None:
    program = "print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', os.environ['ADDED'], 'PATH' in os.environ)"
    child = Script(tmp_path, f"{program}\nprint('error', file=sys.stderr)").start(ADDED="yes")
    assert until(lambda: child.poll() is not None, "end")
    assert child.poll() == 0
    assert child.log.read_text() == "True True yes True\nerror\n"
    assert stat.S_IMODE(child.log.stat().st_mode) == 0o600
    assert child.stop(0) == []


@pytest.mark.parametrize(("how", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9)])
def test_how_it_ended(tmp_path: Path, how: str, status: int) -> None:
    with Script(tmp_path, how).start() as child:
        until(lambda: child.poll() is not None, "end")
        assert child.poll() == status


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child(["/no/such/command"], {}, tmp_path / "log")


def test_the_polite_way(tmp_path: Path) -> None:
    script = Script(tmp_path, f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\n{WAIT}")
    child = script.start()
    script.at(child, "here")
    assert child.stop(20) == []
    assert child.poll() == 4


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = Script(tmp_path, STUBBORN)
    child = script.start()
    script.at(child, "here")
    assert child.stop(0.1) == []
    assert child.poll() == -signal.SIGKILL


def test_hurry_ends_the_grace(tmp_path: Path) -> None:
    script = Script(tmp_path, STUBBORN)
    child = script.start()
    script.at(child, "here")
    asked = iter([False, False])
    assert child.stop(3600, lambda: next(asked, True)) == []
    assert child.poll() == -signal.SIGKILL


@pytest.mark.parametrize("how", ["pass", "os.setsid()"], ids=["same session", "a session of its own"])
@pytest.mark.parametrize("first_kill_the_parent", [False, True])
def test_what_it_left_behind_goes_too(tmp_path: Path, how: str, first_kill_the_parent: bool) -> None:
    adopt_orphans()
    script = Script(tmp_path, LOST.format(how=how))
    child = script.start()
    script.at(child, "here")
    until(lambda: len(child.members()) == 2, "member that was adopted")
    if first_kill_the_parent:
        os.kill(child.pid, signal.SIGKILL)
        until(lambda: child.poll() is not None, "end")
    members = child.members()
    assert len(members) == 2 - first_kill_the_parent
    assert child.stop(0.1) == []
    assert not any(psutil.pid_exists(member.pid) for member in members)


def test_who_forks_faster_than_we_look_is_caught_all_the_same(tmp_path: Path) -> None:
    """Each lives for a millisecond: between a look and a signal the one that was seen is gone."""
    adopt_orphans()
    script = Script(
        tmp_path,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"if os.fork() == 0:\n    {SAY}    while os.fork() == 0: time.sleep(0.001)\n    os._exit(0)\ntime.sleep(60)",
    )
    child = script.start()
    script.at(child, "here")
    assert child.stop(0.1) == []
    assert not [pid for pid in psutil.pids() if process.session(pid) == child.pid]


def test_who_is_stopped_ends_politely(tmp_path: Path) -> None:
    script = Script(tmp_path, f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\n{WAIT}")
    child = script.start()
    script.at(child, "here")
    os.kill(child.pid, signal.SIGSTOP)
    assert child.stop(20) == []
    assert child.poll() == 4


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of exit(2) is that of x86-64")
@pytest.mark.parametrize("fork", ["", "if os.fork() == 0:\n    "], ids=["the command", "its child"])
def test_who_lives_on_in_a_thread_only_is_alive(tmp_path: Path, fork: str) -> None:
    """The kernel calls it a zombie, as it does what was killed and whose memory is still being given back."""
    program = "threading.Thread(target=time.sleep, args=(60,)).start(); print('here', flush=True); libc.syscall(60, 0)"
    script = Script(tmp_path, f"import ctypes, threading; libc = ctypes.CDLL(None)\n{fork}{program}\ntime.sleep(60)")
    with script.start() as child:
        script.at(child, "here")
        half = max(child.members(), key=lambda member: member.pid)
        until(lambda: half.status() == psutil.STATUS_ZOMBIE, "zombie")
        assert half in child.members()
    assert not psutil.pid_exists(half.pid)


def test_what_is_gone_is_not_stopped_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another's by then."""
    child = Script(tmp_path, "").start()
    assert child.stop(20) == []
    monkeypatch.setattr(Child, "members", lambda self: pytest.fail("it was looked for"))
    assert child.stop(0) == []


def test_a_child_of_ours_without_a_group_of_its_own_is_signalled_alone(tmp_path: Path) -> None:
    """Such as a plugin's: to signal its group were to signal ourselves."""
    adopt_orphans()
    script = Script(tmp_path, WAIT)
    child = script.start()
    script.at(child, "here")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as ours:
        assert child.stop(20) == []
        assert not psutil.pid_exists(ours.pid)


def test_children_of_children_are_members_also_with_sessions_of_their_own(tmp_path: Path) -> None:
    script = Script(tmp_path, f"if os.fork() == 0:\n    os.setsid()\n    os.fork()\n{WAIT}")
    with script.start() as child:
        until(lambda: child.log.read_text().count("here") == 3, "three processes")
        assert len(child.members()) == 3
    assert child.members() == []


def test_other_children_of_ours_are_not_its_own(tmp_path: Path) -> None:
    """Neither those from before it, nor another command; with `adopts=False` nobody outside its tree."""
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(wait) as before, Script(tmp_path, WAIT).start() as one:
        (tmp_path / "other").mkdir()
        with Script(tmp_path / "other", WAIT).start(adopts=False) as two, subprocess.Popen(wait) as after:
            assert {p.pid for p in one.members()} == {one.pid, after.pid}
            assert {p.pid for p in two.members()} == {two.pid}
            after.kill()
        before.kill()


def test_what_cannot_be_killed_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(tmp_path, WAIT)
    with script.start() as child:
        script.at(child, "here")
        with monkeypatch.context() as patch:
            patch.setattr(process, "KILL_S", 0.1)
            patch.setattr(process, "_signal", lambda processes, number: None)
            assert [left.pid for left in child.stop(0)] == [child.pid]
    assert child.poll() is not None


def test_a_zombie_of_somebody_else_is_not_alive(tmp_path: Path) -> None:
    script = Script(tmp_path, f"if os.fork() == 0: os._exit(0)\n{WAIT}")
    with script.start() as child:
        script.at(child, "here")
        until(lambda: [p.pid for p in child.members()] == [child.pid], "end of the child's child")


def test_processes_that_vanish_while_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(tmp_path, WAIT).start() as child:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        process = psutil.Process(gone.pid)
        gone.wait()
        monkeypatch.setattr(psutil, "pids", lambda: [gone.pid, child.pid])
        assert [p.pid for p in child.members()] == [child.pid]
        assert not child._alive(process)
        monkeypatch.setattr(os, "getsid", lambda pid: child.pid)
        assert [p.pid for p in child.members()] == [child.pid]


def test_elsewhere_than_on_linux_nobody_is_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(process.ctypes, "CDLL", lambda _: pytest.fail("prctl was called"))
    adopt_orphans()
