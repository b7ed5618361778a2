"""What counts as left by these tests: a process of theirs, though nobody is its parent, and nobody else's."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.conftest import HOME, OURS, running

MAPS = """
import mmap, os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
mapped = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(os.getpid(), flush=True)
time.sleep(60)
"""


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
