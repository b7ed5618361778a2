"""What a server can leave behind besides processes: sockets, shared memory, rendezvous files.

vLLM 0.32 leaves six or seven sockets in the folder for temporary files however it ends, a rendezvous file when it is
stopped politely, and shared memory when all of it is killed. None of their names says whose they are, so a server is
looked at while it lives: what its processes listen on and have mapped is its own.
"""

import contextlib
import os
import re
import socket
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from recipe_runner.errors import Fault
from recipe_runner.host.gpumemory import TOLERANCE_MIB
from recipe_runner.serialize import one_line

SHM: Final = "/dev/shm"  # noqa: S108 — looked at; removed is only what was seen to be a server's
MAPPED: Final = re.compile(rf" ({SHM}/[^/ \n]+)$", re.MULTILINE)
RENDEZVOUS: Final = re.compile(r"distributed_init_method=file://(/\S+/vllm_dist_[0-9a-f]{32})\b")
HANGS: Final = "what hangs in a driver goes only with a restart"
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ASK_AGAIN_S: Final = 0.05


class Teardown(NamedTuple):
    """What is left of a server; None is what is not ours, or cannot be known."""

    processes_left: int = 0
    port_free: bool | None = None
    gpu_memory_left_mib: int | None = None
    files_left: int = 0
    files_removed: int = 0
    faults: tuple[Fault, ...] = ()

    def as_dict(self) -> dict[str, int | bool | None]:
        """For the report, which has the faults among its errors."""
        return {name: value for name, value in self._asdict().items() if name != "faults"}


def shared_memory() -> frozenset[str]:
    """The segments that exist now."""
    with contextlib.suppress(OSError):
        return frozenset(map(str, Path(SHM).iterdir()))
    return frozenset()


def held(processes: Iterable[psutil.Process]) -> set[str]:
    """The sockets that they listen on, and the shared memory that they have mapped."""
    found: set[str] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found |= {str(at.laddr) for at in process.net_connections("unix") if str(at.laddr).startswith("/")}
        found |= _mapped(process.pid)
    return found


def rendezvous(log: Path) -> set[str]:
    """The files in which workers found each other: no process keeps them open, but vLLM logs their names."""
    with contextlib.suppress(OSError), log.open(encoding="utf-8", errors="replace") as lines:
        return {match[1] for line in lines if (match := RENDEZVOUS.search(line))}
    return set()


def abandoned(place: str, since: float) -> set[str]:
    """Sockets in a folder, as vLLM names them, that came since then (the clock's time) and on which nobody listens.

    They are of processes that died before anybody looked at them. Asked twice: between its making and its first
    listener a socket refuses as well.
    """
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found = {str(path) for path in Path(place).iterdir() if UUID.fullmatch(path.name) and _is_new(path, since)}
    refusing = {path for path in found if _refuses(path)}
    if refusing:
        time.sleep(ASK_AGAIN_S)
    return {path for path in refusing if _refuses(path)}


def remove(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Remove what is there of them, is ours, and nobody uses; returns what was removed, and what could not be."""
    there = [path for path in sorted(paths) if _is_ours(path)]
    used = _in_use(there)
    removed, left = [], []
    for path in there:
        if path in used:
            continue
        try:
            Path(path).unlink(missing_ok=True)
            removed.append(path)
        except OSError:
            left.append(path)
    return removed, left


def faults(left: Sequence[psutil.Process], memory_mib: int | None, files: Sequence[str]) -> tuple[Fault, ...]:
    """What is left of a server after its teardown is an error of the run, whatever its checks said."""
    found = []
    if left:
        found.append(alive("the server", left, f"`recipe-run doctor --clean` tries again; {HANGS}"))
    if (memory_mib or 0) > TOLERANCE_MIB:
        what = f"{memory_mib} MiB of GPU memory are in use that were not before the launch"
        found.append(Fault("teardown", what, "see who has them: `nvidia-smi`"))
    if files:
        what = f"of the server there {_are(len(files), 'file', 'files')} left: {', '.join(files)}"
        found.append(Fault("teardown", one_line(what), "remove what nobody uses"))
    return tuple(found)


def alive(whose: str, left: Sequence[psutil.Process], do: str = HANGS) -> Fault:
    """Of processes that even SIGKILL did not end."""
    what = f"of {whose} there {_are(len(left), 'process', 'processes')} left: {', '.join(map(_named, left))}"
    return Fault("teardown", one_line(what), do)


def _are(count: int, one: str, many: str) -> str:
    return f"is 1 {one}" if count == 1 else f"are {count} {many}"


def _named(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.name()} (pid {process.pid})"
    return f"pid {process.pid}"


def _is_ours(path: str) -> bool:
    with contextlib.suppress(OSError):
        state = os.lstat(path)
        return state.st_uid == os.geteuid() and (stat.S_ISSOCK(state.st_mode) or stat.S_ISREG(state.st_mode))
    return False


def _is_new(path: Path, since: float) -> bool:
    with contextlib.suppress(OSError):
        state = path.lstat()
        return stat.S_ISSOCK(state.st_mode) and state.st_uid == os.geteuid() and state.st_ctime >= since
    return False


def _refuses(path: str) -> bool:
    """Whether nobody listens there, in no container either that shares the folder with us."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ASK_AGAIN_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def _in_use(paths: Sequence[str]) -> set[str]:
    """Those that some process listens on, or has mapped."""
    used: set[str] = set()
    with contextlib.suppress(OSError):
        used = {line.rpartition(" ")[2] for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()}
    if any(path.startswith(SHM) for path in paths):
        used = used.union(*map(_mapped, psutil.pids()))
    return used


def _mapped(pid: int) -> set[str]:
    try:
        return set(MAPPED.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")))
    except OSError:
        return set()
