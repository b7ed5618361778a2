"""Servers that outlived their run: a recipe-run that is killed cannot tear down, so the next one has to find them.

A trace of each server is kept while it lives. A process is taken for a server's only if everything fits: its user, its
session or process group, when it started, and the run's id in its environment. So a process that merely got the number
of one that is gone is never touched.
"""

import contextlib
import json
import os
import platform
import secrets
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

import psutil

from recipe_runner.host import gpumemory
from recipe_runner.paths import short, state
from recipe_runner.process import at_work, end, session
from recipe_runner.serialize import one_line, write_json
from recipe_runner.serving import leftovers

VARIABLE: Final = "RECIPE_RUNNER_RUN"
KEEP_ENVIRON: Final = {"SPT_NOENV": "1"}  # or a process that sets its title wipes what can be read of its environment
GRACE_S: Final = 10.0
CURE: Final = "`recipe-run doctor --clean` stops it"


@dataclass
class Trace:
    """What is known of a server, from before its launch to after its teardown.

    `started` are the kernel's ticks, as with a process; `since` is the clock's time, as with a file;
    `temporary` is the folder for temporary files.
    """

    id: str
    log: str
    command: list[str]
    uid: int
    host: list[str]
    boot: str
    owner: list[int]
    started: int
    since: float
    temporary: str
    sessions: list[int] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, log: Path, command: Iterable[str]) -> Self:
        """Written before the launch: a run may be killed at any moment."""
        made = cls(
            id=secrets.token_hex(8),
            log=str(log.resolve()),
            command=[*command],
            uid=os.geteuid(),
            host=_host(),
            boot=_boot(),
            owner=[os.getpid(), _start(os.getpid()) or 0],
            since=time.time(),
            temporary=tempfile.gettempdir(),  # asked now: on a full disk it cannot be found out
            started=int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")),
        )
        made._write()
        return made

    @property
    def env(self) -> dict[str, str]:
        """What the server's environment gets; it changes nothing of what the server does."""
        return {VARIABLE: self.id, **KEEP_ENVIRON}

    @property
    def file(self) -> Path:
        return _folder() / f"{self.id}.json"

    def saw(self, processes: Iterable[psutil.Process], foreign: frozenset[str] = frozenset()) -> None:
        """Note the sessions and the files of the server's processes; `foreign` are those that are not its own."""
        alive = list(processes)
        before = asdict(self)
        sessions = {sid for process in alive if (sid := session(process.pid)) not in (None, os.getsid(0))}
        self.sessions = sorted({*self.sessions, *filter(None, sessions)})
        self.pids = sorted({*self.pids, *(process.pid for process in alive)})
        self.files = sorted({*self.files, *(leftovers.held(alive) - foreign)})
        if asdict(self) != before:
            self._write()

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self.file.unlink(missing_ok=True)

    def remove_files(self) -> tuple[list[str], list[str]]:
        """What was removed of the server's files, and what could not be."""
        found = leftovers.rendezvous(Path(self.log)) | leftovers.abandoned(self.temporary, self.since)
        return leftovers.remove({*self.files, *found})

    def is_ours_to_judge(self) -> bool:
        """Whether the run is over, of this user and of this machine: a home may be shared by several."""
        return self.uid == os.geteuid() and self.host == _host() and not (self.boot == _boot() and self._has_owner())

    def processes(self) -> list[psutil.Process]:
        """Those of the server that are left."""
        return [process for process in psutil.process_iter() if self.boot == _boot() and self._has(process)]

    def _has_owner(self) -> bool:
        pid, started = self.owner
        with contextlib.suppress(psutil.Error):
            return _start(pid) == started and at_work(psutil.Process(pid))
        return False

    def _has(self, process: psutil.Process) -> bool:
        try:
            return (
                process.uids().real == self.uid
                and (not self.sessions or bool({os.getsid(process.pid), os.getpgid(process.pid)} & {*self.sessions}))
                and (_start(process.pid) or 0) >= self.started
                and process.environ().get(VARIABLE) == self.id
                and at_work(process)
            )
        except (psutil.Error, OSError):
            return False

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a home that cannot be written: the run does as well without
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json(self.file, {"format": 1, **asdict(self)})


class Orphan(NamedTuple):
    """A server whose run is gone, and its processes that are left."""

    trace: Trace
    processes: tuple[psutil.Process, ...]

    def __str__(self) -> str:
        """`pid 123 and 2 more, VLLM::EngineCore, 7.6 GiB, run runs/…`: the one with the most memory."""
        on_gpus = gpumemory.by_pid()
        sizes = {process: on_gpus.get(process.pid, 0) or _resident_mib(process) for process in self.processes}
        largest = max(sizes, key=lambda process: (process.pid in on_gpus, sizes[process]))
        others = f" and {len(sizes) - 1} more" if len(sizes) > 1 else ""
        what = f"pid {largest.pid}{others}, {_name(largest)}, {sizes[largest] / 1024:.1f} GiB"
        return one_line(f"{what}, run {short(Path(self.trace.log).parent)}")

    def told(self) -> str:
        return f"a server of an earlier run is left: {self}"

    def stop(self, grace_s: float = GRACE_S) -> list[psutil.Process]:
        """SIGTERM, `grace_s` seconds, SIGKILL; then its files go, too. Returns what is left."""
        self.trace.saw(self.processes, leftovers.shared_memory() - {*self.trace.files})
        left = end(self._left, grace_s)
        if not left:
            self.trace.remove_files()
            self.trace.forget()
        return left

    def _left(self) -> list[psutil.Process]:
        """Those of before, too: of one that is just ending nothing can be read any more but that it still is there."""
        return [process for process in {*self.processes, *self.trace.processes()} if _is_there(process)]


def survey() -> Iterator[Orphan]:
    """Every server of this user on this machine whose run is gone. A trace of what has ended by itself is removed."""
    for file in sorted(_folder().glob("*.json")):
        trace = _read(file)
        if trace is None or not trace.is_ours_to_judge():
            continue
        if processes := trace.processes():
            yield Orphan(trace, tuple(processes))
        else:
            trace.remove_files()
            trace.forget()


def _read(file: Path) -> Trace | None:
    """A trace; None for a file that is none, such as one of a later release."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        trace = Trace(**{name: value for name, value in said.items() if name != "format"})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return trace if trace.file == file else None


def _folder() -> Path:
    return state() / "servers"


def _host() -> list[str]:
    """Where process numbers mean the same: a host, or one container on it."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return [socket.gethostname(), namespace]


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node()


def _start(pid: int) -> int | None:
    """When a process started, in the kernel's ticks, which no change of the clock moves."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


def _is_there(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and at_work(process)
    return False


def _resident_mib(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss) >> 20
    return 0


def _name(process: psutil.Process) -> str:
    """`VLLM::EngineCore`, or what else it calls itself."""
    with contextlib.suppress(psutil.Error):
        return process.name()
    return "a process"
