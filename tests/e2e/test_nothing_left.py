"""What counts as left by these tests: a process of theirs, though nobody is its parent, and nobody else's."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from recipe_runner.process import PR_SET_CHILD_SUBREAPER
from tests.e2e.conftest import HOME, OURS, running

PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h
MAPS = """
import mmap, os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
mapped = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def nobody_adopts() -> Iterator[None]:
    """Other tests in this process had it adopt what their commands leave behind."""
    prctl, before = ctypes.CDLL(None).prctl, ctypes.c_int()
    prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


@contextlib.contextmanager
def orphan(env: dict[str, str]) -> Iterator[int]:
    """A process with no parent among us, with a file of vLLM's environment mapped."""
    command = [sys.executable, "-c", MAPS, str(HOME / "pyvenv.cfg")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        started.wait()
        assert pid not in {child.pid for child in psutil.Process().children(recursive=True)}
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("env", "counts"), [(OURS, True), ({}, False), (dict.fromkeys(OURS, "another"), False)])
def test_an_orphan_counts_only_if_it_is_ours(env: dict[str, str], counts: bool) -> None:
    with orphan(env) as pid:
        assert (pid in running()) is counts
    assert pid not in running()
