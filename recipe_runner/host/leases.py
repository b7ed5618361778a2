"""GPUs and ports are leased between runs on one machine, so that two at once never take the same.

A lease is an flock on a file in a folder that all users share: the kernel ends it with the process that holds it. What
stands in the file only says who that is; a file that nobody has locked means nothing.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

import psutil

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.serialize import one_line, to_json

FOLDER: Final = Path("/tmp/recipe-runner-leases")  # noqa: S108 — shared on purpose, guarded against tricks below
SHARED: Final = 0o1777
FILE_MODE: Final = 0o666
OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
TRIES: Final = 20  # a lease that is just being taken, or looked at, says nothing yet
POLL_S: Final = 0.01


@dataclass(frozen=True)
class Holder:
    """Who holds a lease; None is what cannot be known."""

    name: str
    pid: int | None = None
    user: str | None = None
    run: str = ""

    def __str__(self) -> str:
        kind, _, rest = self.name.partition("-")
        return self.told(f"{'GPU' if kind == 'gpu' else kind} {rest}")

    def told(self, what: str) -> str:
        """Who holds it, in words, where `what` is what a person calls it: `GPU 0`."""
        who = f"pid {self.pid}" if self.pid else "a process that cannot be seen from here"
        of, run = f" of {self.user}" if self.user else "", f" ({self.run})" if self.run else ""
        return f"{what} is leased by {who}{of}{run}"


class Lease:
    """Names that are ours until `release`, the end of a `with`, or the end of this process."""

    def __init__(self, files: dict[str, int], closing: contextlib.ExitStack) -> None:
        self.names = tuple(files)
        self._files, self._closing = files, closing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def tell(self, run: Path | str) -> None:
        """Say which run folder it is for."""
        text = to_json({"pid": os.getpid(), "user": psutil.Process().username(), "run": str(run)})
        for fd in self._files.values():
            with contextlib.suppress(OSError):  # a full disk; the lock is what counts
                os.ftruncate(fd, 0)
                os.pwrite(fd, text.encode(errors="replace"), 0)

    def release(self) -> None:
        """Give all of them back; a second time does nothing."""
        self._files = {}
        self._closing.close()


class Found(NamedTuple):
    """A lease on this machine: `held` by a run; `left` by one that died, and free; `outlived` the run that took it."""

    holder: Holder
    state: Literal["held", "left", "outlived"]
    file: Path


def lease(names: Iterable[str], run: Path | str = "", root: Path | None = None) -> Lease | Holder:
    """All of the names (`gpu-<uuid>`, `port-8000`), or else who holds one of them.

    Raises:
        RecipeError: the folder, or a file in it, is not what it should be.

    """
    root = root or FOLDER
    with contextlib.ExitStack() as closing:
        folder = _shared(root)
        closing.callback(os.close, folder)
        files: dict[str, int] = {}
        for name in sorted(set(names)):  # in one order, so that of two that want the same one gets all
            taken = _take(folder, name, root)
            if isinstance(taken, Holder):
                return taken
            files[name] = taken
            closing.callback(_give_back, folder, _file(name), taken)
        made = Lease(files, closing.pop_all())
    made.tell(run)
    return made


def survey(root: Path | None = None) -> Iterator[Found]:
    """Every lease on this machine; takes none, and raises as `lease` does."""
    root = root or FOLDER
    if not os.path.lexists(root):
        return
    folder = _shared(root)
    try:
        for name in sorted(file.name for file in root.iterdir()):
            with contextlib.suppress(OSError):
                if found := _look(folder, name, root):
                    yield found
    finally:
        os.close(folder)


def _look(folder: int, name: str, root: Path) -> Found | None:
    fd = os.open(name, OPEN, dir_fd=folder)
    try:
        said = _said(fd, name)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return Found(said, "left", root / name) if said.pid else None
    except BlockingIOError:
        seen = _seen(said)
        return Found(seen, "held", root / name) if seen.pid else Found(said, "outlived", root / name)
    finally:
        os.close(fd)


def _take(folder: int, name: str, root: Path) -> int | Holder:
    """A file with our lock on it, or who has locked it."""
    holder = Holder(name)
    for attempt in range(TRIES):
        try:
            fd = _opened(folder, _file(name), root)
        except PermissionError as exc:  # another user is just making it
            if attempt == TRIES - 1:
                raise _odd(root / _file(name), "cannot be opened by all") from exc
            time.sleep(POLL_S)
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(fd, folder, _file(name)):
                return fd
        except BlockingIOError:
            holder = _seen(_said(fd, name))
            if holder.pid and attempt:
                os.close(fd)
                return holder
            time.sleep(POLL_S)
        os.close(fd)
    return holder


def _opened(folder: int, file: str, root: Path) -> int:
    """The file, made if need be. Never `O_CREAT` alone, which Linux refuses for a file that another user made here."""
    while True:
        try:
            fd = os.open(file, OPEN, dir_fd=folder)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                made = os.open(file, OPEN | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=folder)
                os.fchmod(made, FILE_MODE)
                os.close(made)
            continue
        except PermissionError:
            raise
        except OSError as exc:  # a symbolic link, a folder, a socket
            raise _odd(root / file, "is not a plain file") from exc
        state = os.fstat(fd)
        if stat.S_ISREG(state.st_mode) and state.st_nlink <= 1:
            return fd
        os.close(fd)
        raise _odd(root / file, "is not a plain file")


def _is_there(fd: int, folder: int, file: str) -> bool:
    """Whether what we have locked is still what others would find."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), os.stat(file, dir_fd=folder, follow_symlinks=False))
    return False


def _give_back(folder: int, file: str, fd: int) -> None:
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
    with contextlib.suppress(OSError):  # a file that another user made stays
        os.unlink(file, dir_fd=folder)
    os.close(fd)


def _said(fd: int, name: str) -> Holder:
    """Who the file says has the lease."""
    try:
        said = json.loads(os.pread(fd, 4096, 0))
        return Holder(name, int(said["pid"]), one_line(str(said["user"]), 60), one_line(str(said["run"]), 300))
    except (OSError, ValueError, TypeError, KeyError):
        return Holder(name)


def _seen(said: Holder) -> Holder:
    """The same with what the system knows: the user of a process that lives; none that does not, or is not seen."""
    try:
        return replace(said, user=psutil.Process(said.pid or -1).username())
    except (psutil.Error, ValueError, OverflowError):
        return replace(said, pid=None)


def _shared(root: Path) -> int:
    """The folder, open; made if need be, for everybody to add files to, and for nobody to remove those of others."""
    for _ in range(TRIES):
        with contextlib.suppress(PermissionError):  # another user is just making it
            fd = _folder(root)
            if os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, SHARED)
            if stat.S_IMODE(os.fstat(fd).st_mode) == SHARED:
                return fd
            os.close(fd)
        time.sleep(POLL_S)
    raise _odd(root, "is not a folder that all users share (mode 1777)")


def _folder(root: Path) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            root.mkdir(SHARED)
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError as exc:
        what = "is not a folder" if exc.errno in (errno.ENOTDIR, errno.ELOOP) else f"cannot be made: {exc.strerror}"
        raise _odd(root, what) from exc


def _file(name: str) -> str:
    return UNSAFE.sub("_", name).lstrip(".") or "_"


def _odd(path: Path, what: str) -> RecipeError:
    return RecipeError(Fault("leases", f"{path} {what}", "it is none of ours: have its owner, or root, remove it"))
