"""Command lines and processes: each command gets a session of its own, and goes with everything it started."""

import contextlib
import ctypes
import errno
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import psutil

from recipe_runner.serialize import shell_word, to_json

KILL_S: Final = 10.0  # how long the kernel gets to take away what was killed
PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h


def words(flags: Mapping[str, Any]) -> list[str]:
    """Flags as command-line words: true → `--flag`, false → `--no-flag`, mapping → JSON, list → repeated words."""
    out: list[str] = []
    for name, value in flags.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            out.append(f"--{dashed}" if value else f"--no-{dashed}")
        elif isinstance(value, list):
            out += [f"--{dashed}", *(_word(item) for item in value)]
        else:
            out += [f"--{dashed}", _word(value)]
    return out


def _word(value: Any) -> str:
    return to_json(value) if isinstance(value, dict | list | bool) else str(value)


def shell(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """A command as a person would paste it: a flag with its values on each line."""
    lines: list[list[str]] = [[f"{key}={shell_word(value)}"] for key, value in (env or {}).items()]
    lines.append([])
    for word in argv:
        if word.startswith("--") and lines[-1]:
            lines.append([])
        lines[-1].append(shell_word(word))
    return " \\\n  ".join(" ".join(line) for line in lines)


def find(program: str) -> str | None:
    """Where a command is: beside our interpreter, then on PATH."""
    beside = Path(sys.executable).parent / program
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(program)


def adopt_orphans() -> None:
    """Have what our commands leave behind become children of ours, where we find it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_host(name: str) -> bool:
    """Whether a server could listen, or be found, under that name or address."""
    try:
        if ":" in name:
            ipaddress.IPv6Address(name)
        name.encode("idna")
    except ValueError:  # a `UnicodeError`, too, as `bind` would raise it
        return False
    return True


def port_free(host: str | None, port: int) -> bool:
    """Whether a server could listen there now; connections that linger in TIME_WAIT do not count."""
    family = socket.AF_INET6 if host and ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "", port))
        except OSError as exc:  # any other reason is the server's to tell
            return exc.errno != errno.EADDRINUSE
        return True


class Child:
    """A running command: a session of its own, no standard input, its output in a file that only its owner reads.

    One that `adopts` answers for processes, too, that lost their parent to us since it began.
    """

    _own: Final[set[int]] = set()

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path, *, adopts: bool = True) -> None:
        self.argv, self.log = tuple(argv), log
        self._others = set(psutil.Process().children()) if adopts else None
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._popen = subprocess.Popen(
                argv,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(fd)
        self.pid = self._popen.pid
        self._own.add(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(0)

    def poll(self) -> int | None:
        """The exit status (negative: the signal), or None while it runs."""
        return self._popen.poll()

    def members(self) -> list[psutil.Process]:
        """What is alive of its session and of its descendants, also of those that were adopted."""
        found = {pid: p for pid in psutil.pids() if session(pid) == self.pid and (p := _process(pid))}
        found |= {p.pid: p for p in self._descendants()}
        return [p for p in found.values() if self._alive(p)]

    def _descendants(self) -> Iterator[psutil.Process]:
        """All processes beneath us, in one look, but those of other commands and those that were there before."""
        not_its_own = set()
        for process in psutil.Process().children(recursive=True):  # parents come before their children
            with contextlib.suppress(psutil.Error):
                parent = process.ppid()
                if parent in not_its_own or (parent == os.getpid() and not self._may_own(process)):
                    not_its_own.add(process.pid)
                else:
                    yield process

    def _may_own(self, child: psutil.Process) -> bool:
        adopted = self._others is not None and child.pid not in self._own and child not in self._others
        return child.pid == self.pid or adopted

    def stop(self, grace_s: float, hurry: Callable[[], bool] = lambda: False) -> list[psutil.Process]:
        """End every member; returns those that are left. `hurry` ends the grace."""
        if self.pid not in self._own:  # all is gone, and the number may be another's by now
            return []
        left = end(self.members, grace_s, hurry)
        if not left:
            self._own.discard(self.pid)
        return left

    def _alive(self, process: psutil.Process) -> bool:
        """Whether it still runs; a dead child of ours is taken off the process table."""
        if process.pid == self.pid:
            return self._popen.poll() is None
        try:
            if process.ppid() == os.getpid() and process.status() == psutil.STATUS_ZOMBIE:
                return os.waitpid(process.pid, os.WNOHANG)[0] == 0  # its last thread still ends
            return at_work(process)
        except (psutil.Error, ChildProcessError):
            return False


def at_work(process: psutil.Process) -> bool:
    """Whether it still runs. Of a zombie other threads may, and what it had is not given back before they end."""
    return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1


def end(
    members: Callable[[], list[psutil.Process]], grace_s: float, hurry: Callable[[], bool] = lambda: False
) -> list[psutil.Process]:
    """SIGTERM, `grace_s` seconds, SIGKILL, for all of `members`, asked anew each time; returns those that are left."""
    _signal(members(), signal.SIGTERM)
    _signal(members(), signal.SIGCONT)  # one that is stopped could not end politely
    _wait(members, grace_s, hurry)
    deadline = time.monotonic() + KILL_S
    while (left := members()) and time.monotonic() < deadline:
        _signal(left, signal.SIGKILL)
        _wait(members, 0.5, lambda: False)
    return left


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    """By process group, in one go: who forks faster than we look would escape one by one."""
    groups = {group for process in processes if (group := _group(process.pid)) not in (None, os.getpgrp())}
    for group in filter(None, groups):
        with contextlib.suppress(OSError):
            os.killpg(group, number)
    for process in processes:
        if _group(process.pid) == os.getpgrp():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


def _wait(members: Callable[[], list[psutil.Process]], seconds: float, hurry: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while members() and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def session(pid: int) -> int | None:
    """The session of a process; None of one that is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None
