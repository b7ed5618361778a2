"""Runs on a disk that is full, in a folder that goes away, with few files to open: judged truly, torn down, told."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.running import DATA, SMALL, Folder, fake

OWN = """
import os
import resource
import shutil
from pathlib import Path

from recipe_runner.api import Check, passed


class Does(Check):
    what: str

    def run(self, server):
        (run,) = (path.parent for path in Path(os.environ["RUNS"]).rglob("plan.json"))
        match self.what:
            case "fill":
                with (run / "filler").open("wb", buffering=0) as file:
                    for size in (4096, 1):
                        try:
                            while True:
                                file.write(b"x" * size)
                        except OSError:
                            pass
            case "small files":
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            case "remove":
                shutil.rmtree(run)
            case "replace":
                shutil.rmtree(run)
                run.touch()
            case "leave":
                shutil.rmtree(Path.cwd())
            case "forget":
                Path("own.yaml").unlink()
        return passed()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", place], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def recipe(folder: Path, what: str) -> Path:
    """The small recipe with a check before the others that does this to the run's surroundings."""
    (folder / "own_parts.py").write_text(OWN)
    values = yaml.safe_load((DATA / "small.yaml").read_text())
    values["validation"] = {"mine": {"uses": "own_parts:Does", "what": what}} | values["validation"]
    shutil.copytree(DATA / "small", folder / "small", dirs_exist_ok=True)
    (folder / "own.yaml").write_text(json.dumps(values))
    return folder / "own.yaml"


def run(
    folder: Path, *words: str, runs: Path | None = None, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """A recipe-run whose output goes into pipes, so that it needs no disk."""
    place = runs or folder / "runs"
    given = {**os.environ, "RUNS": str(place), "PYTHONPATH": f"{Path(__file__).parents[1]}:{folder}", **env}
    command = [sys.executable, "-P", "-m", "recipe_runner", "--trust", "hardware=cpu", "timeouts.stop_s=5", *words]
    if runs:
        command.append(f"report.folder='{runs}'")
    return subprocess.run(
        command, cwd=cwd or folder, env=given, capture_output=True, text=True, timeout=60, check=False
    )


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


def losses(done: subprocess.CompletedProcess[str], reason: str) -> list[str]:
    """What stderr says could not be written, for this reason."""
    start, end = (
        "report.folder — ",
        f" cannot be written: {reason}; make room there, or name another folder with report.folder=…",
    )
    told = [line for line in done.stderr.splitlines() if line.startswith(start)]
    assert all(line.endswith(end) for line in told), done.stderr
    return [line.removeprefix(start).split(" in ")[0] for line in told]


EVERYTHING = ["events.jsonl", "the json report", "the markdown report"]


def test_a_disk_that_fills_up(tmp_path: Path, small_disk: Path) -> None:
    done = run(tmp_path, f"recipe={recipe(tmp_path, 'fill')}", *fake(), "benchmark=none", runs=small_disk / "runs")
    assert (done.returncode, losses(done, "No space left on device")[-2:]) == (0, EVERYTHING[1:]), done.stderr
    assert last(done).startswith("passed in ")
    Folder(tmp_path).assert_nothing_left()


def test_a_benchmark_on_a_disk_that_is_full_fails(tmp_path: Path, small_disk: Path) -> None:
    """What it measured could not be kept, so it counts for nothing."""
    done = run(tmp_path, f"recipe={recipe(tmp_path, 'fill')}", *fake(), runs=small_disk / "runs")
    assert (done.returncode, losses(done, "No space left on device")[-2:]) == (1, EVERYTHING[1:]), done.stderr
    assert last(done).startswith("failed in ")
    Folder(tmp_path).assert_nothing_left()


def test_a_disk_that_is_full_before(tmp_path: Path, small_disk: Path) -> None:
    with contextlib.suppress(OSError):
        (small_disk / "filler").write_bytes(b"x" * (1 << 20))
    done = run(tmp_path, SMALL[0], *fake(), runs=small_disk / "runs")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"recipe-run: report.folder — {small_disk}/runs/small/cpu/")
    assert done.stderr.endswith(" cannot be written: No space left on device; name another with report.folder=…\n")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("small files", "File too large"),
        ("remove", "No such file or directory"),
        ("replace", "Not a directory"),
    ],
)
def test_a_run_folder_that_cannot_be_written_any_more(tmp_path: Path, what: str, reason: str) -> None:
    done = run(tmp_path, f"recipe={recipe(tmp_path, what)}", *fake(), "benchmark=none")
    assert (done.returncode, losses(done, reason)) == (0, EVERYTHING), done.stderr
    assert last(done).startswith("passed in ")
    Folder(tmp_path).assert_nothing_left()


@pytest.mark.parametrize("what", ["forget", "leave"])
def test_without_its_recipe_or_the_folder_we_are_in_the_report_is_whole(tmp_path: Path, what: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    recipe(here, what)
    done = run(here, "recipe=./own.yaml", *fake(), "benchmark=none", runs=tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert last(done).startswith("passed in ")
    (report,) = tmp_path.glob("runs/own/cpu/*/report.json")
    assert json.loads(report.read_text())["verdict"] == "passed"


def test_json_says_what_could_not_be_written(tmp_path: Path) -> None:
    done = run(tmp_path, f"recipe={recipe(tmp_path, 'remove')}", *fake(), "benchmark=none", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (0, "passed")
    assert [warning.split(" in ")[0] for warning in document["warnings"]] == [
        f"report.folder — {what}" for what in EVERYTHING
    ]


def test_a_benchmark_without_its_run_folder_fails(tmp_path: Path) -> None:
    done = run(tmp_path, f"recipe={recipe(tmp_path, 'remove')}", *fake())
    assert done.returncode == 1, done.stderr
    assert "failed       load [Errno 2] No such file or directory: 'runs/own/cpu/" in done.stdout
    Folder(tmp_path).assert_nothing_left()


def test_few_files_may_be_open(tmp_path: Path) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    command = [sys.executable, "-m", "recipe_runner", *SMALL, *fake()]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)),
    )
    assert done.returncode == 0, done.stderr
    Folder(tmp_path).assert_nothing_left()


@pytest.mark.parametrize(
    "name", ["two  words", "grüße → 你好", "$HOME `id` 'x' \"y\"", b"\xff\xfe".decode(errors="surrogateescape")]
)
def test_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    done = run(tmp_path, SMALL[0], *fake(), cwd=place)
    assert done.returncode == 0, done.stderr
    assert last(done).startswith("passed in ")
    folder = Folder(place)
    assert folder.verdicts == {"capital": "passed", "another": "passed", "load": "measured"}
    folder.assert_nothing_left()


def test_without_a_home(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recipe_runner", *SMALL, *fake(), "benchmark=none"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    Folder(tmp_path).assert_nothing_left()
