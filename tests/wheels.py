"""Wheels, and fresh environments that hold some and nothing else."""

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def built(project: Path, folder: Path) -> Path:
    """The wheel of a project, built without a network."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, str(project)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(home: Path, lock: Path, *wheels: Path) -> Path:
    """The Python of a fresh environment that holds what a lock file names, and the wheels."""
    venv.create(home, with_pip=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*pip, "--no-deps", *wheels], check=True)
    return home / "bin" / "python"


def with_pytest(folder: Path) -> Path:
    """A lock file of what recipe-runner needs, and pytest."""
    need, tests = ((ROOT / "tools" / name).read_text(encoding="utf-8") for name in ("run.lock", "dev.lock"))
    more = re.findall(r"^(?:pytest|iniconfig)==.*?(?=^\S)", tests, re.M | re.S)
    lock = folder / "with-pytest.lock"
    lock.write_text(need + "".join(more), encoding="utf-8")
    return lock
