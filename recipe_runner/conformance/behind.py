"""What something leaves behind: processes, threads, open files and sockets, files, variables, the folder we are in."""

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

SETTLE_S: Final = 1.0  # what ends by itself may take so long
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MAKES: Final = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}  # and where each says what
STARTS: Final = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system")
CACHES: Final = ("__pycache__", "/dev/", "/proc/")
_listening: list[list[tuple[str, Path]]] = []  # what was heard, for each who listens


@contextlib.contextmanager
def nothing_left(*folders: Path) -> Iterator[None]:
    """Whatever is done meanwhile leaves nothing; files only in these folders.

    Raises:
        AssertionError: it left something.

    """
    before = {*_there()}
    with heard() as events:
        yield
    deadline = time.monotonic() + SETTLE_S
    while (left := {*_there()} - before) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    files = {path for event, path in events if event not in STARTS and path.exists()}
    left |= {f"the file {path}" for path in files if not any(path.is_relative_to(folder) for folder in folders)}
    gone = {one for one in before - {*_there()} if one.startswith(("the variable", "we are in"))}
    assert not left | gone, f"left behind: {', '.join(sorted(left | gone))}"


@contextlib.contextmanager
def heard() -> Iterator[list[tuple[str, Path]]]:
    """What Python writes, makes and starts meanwhile: the event's name, and the path."""
    if _hear not in _hooked:
        _hooked.append(_hear)
        sys.addaudithook(_hear)
    events: list[tuple[str, Path]] = []
    _listening.append(events)
    try:
        yield events
    finally:
        _listening.remove(events)


_hooked: list[Any] = []  # a hook cannot be taken away again


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if not _listening or not (event == "open" or event in MAKES or event in STARTS):
        return
    if event == "open" and not (args[2] & WRITES if isinstance(args[2], int) else 0):
        return
    named = "" if event in STARTS else args[MAKES.get(event, 0)]
    if isinstance(named, str | bytes | os.PathLike):
        path = Path(os.fsdecode(named)).absolute()
        if not any(part in str(path) for part in CACHES):
            for events in _listening:
                events.append((event, path))


def _there() -> Iterator[str]:
    """What there is of this process, each thing in words."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            yield f"process {process.pid} ({process.name()})"
    yield from (f"the thread {thread.name} ({thread.ident})" for thread in threading.enumerate())
    yield from (f"the variable {name}={value}" for name, value in os.environ.items())
    yield f"we are in {Path.cwd()}"
    descriptors = Path("/proc/self/fd")
    for entry in descriptors.iterdir() if descriptors.is_dir() else ():
        with contextlib.suppress(OSError):  # the one with which we look
            yield f"the descriptor {entry.name} of {entry.readlink()}"
