"""Runs at the same time on one machine, in one folder, of one user or of two: none disturbs another."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import report
from tests.running import DOWN, SMALL

NOBODY = 65534
READS = "+dac_read_search"  # or it could not read our Python, which may be in a home
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={READS}")
AS_NOBODY += (f"--ambient-caps={READS}", "--")


def begin(folder: Path, *words: str, who: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
    recipe_run = (*who, sys.executable, "-m", "recipe_runner")
    return subprocess.Popen(
        [*recipe_run, SMALL[0], "hardware=cpu", "engine=sim", "serve.port=0", "benchmark=none", "--json", *words],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(run: subprocess.Popen[str]) -> dict[str, Any]:
    """The report of a run: it judged its own server, and left nothing."""
    out, errors = run.communicate(timeout=60)
    document: dict[str, Any] = json.loads(out)
    assert document.get("verdict") in ("passed", "failed"), errors
    assert document["teardown"] == DOWN
    assert document["errors"] == []
    return document


def test_runs_in_one_folder(tmp_path: Path) -> None:
    runs = [begin(tmp_path) for _ in range(4)]
    documents = [finished(run) for run in runs]
    assert len({document["url"] for document in documents}) == 4
    folders = {document["folder"] for document in documents}
    assert len(folders) == 4
    assert {str(path.parent.relative_to(tmp_path)) for path in tmp_path.glob("runs/*/*/*/report.json")} == folders
    for document in documents:
        assert json.loads((tmp_path / document["folder"] / "report.json").read_text()) == document
        plan = json.loads((tmp_path / document["folder"] / "plan.json").read_text())
        assert plan["url"] == document["url"]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach and write to, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_runs_of_two_users(shared: Path) -> None:
    home = {"HOME": str(shared / "home"), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": ""}
    runs = [
        begin(shared, "report.folder=ours"),
        begin(shared, "report.folder=theirs", who=AS_NOBODY, **home),
    ]
    documents = [finished(run) for run in runs]
    assert len({document["url"] for document in documents}) == 2
    assert {path.stat().st_uid for path in shared.glob("*/*/*/*/report.json")} == {0, NOBODY}


def test_a_name_is_given_once_however_many_want_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All draw the same names, in the same order."""
    names = threading.local()

    def stamp() -> str:
        names.next = getattr(names, "next", -1) + 1
        return f"20260101T000000Z-{names.next:04x}"

    monkeypatch.setattr(report, "_stamp", stamp)
    made: list[Path] = []
    together = threading.Barrier(20)

    def make() -> None:
        together.wait()
        made.append(report._made(tmp_path / "runs" / "x" / "cpu" / stamp()))

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in made) == [f"20260101T000000Z-{number:04x}" for number in range(20)]
    assert all(path.is_dir() for path in made)


def test_a_folder_that_cannot_be_made_is_no_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "none")
    with pytest.raises(FileExistsError):
        report._made(tmp_path / "runs" / "x")
