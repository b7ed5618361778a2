"""recipe-run whose streams are closed, full, or of another tongue, or whose folder goes away."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.figures.test_runs import benchmark, report, save
from tests.running import SMALL, Folder, fake
from tests.test_survival import EVERYTHING, last, losses, recipe, run

RUN = f"{sys.executable} -m recipe_runner"


def shell(folder: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "WORDS": " ".join((*SMALL, "engine=sim", "benchmark=none")), **env}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "streams",
    [
        *(">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1", "2>&1 | head -c 0"),
    ],
)
def test_a_run_does_not_need_anybody_to_listen(tmp_path: Path, streams: str) -> None:
    done = shell(tmp_path, f"{RUN} $WORDS {streams}")
    assert done.returncode == 0, done.stderr
    folder = Folder(tmp_path)
    assert folder.report["verdict"] == "passed"
    assert "Traceback" not in done.stderr
    assert (folder.run / "server.log").read_text().count("passed") == 0
    folder.assert_nothing_left()


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_result_that_cannot_be_written_is_told_and_the_verdict_stands(tmp_path: Path, option: str) -> None:
    done = shell(tmp_path, f"{RUN} $WORDS {option} >/dev/full")
    assert done.returncode == 0, done.stderr
    folder = Folder(tmp_path)
    assert folder.report["verdict"] == "passed"
    assert done.stderr.splitlines()[-1] == (
        "recipe-run: stdout — cannot be written: No space left on device; make room there, "
        f"or see {folder.run.relative_to(tmp_path)}"
    )
    quiet = shell(tmp_path, f"{RUN} $WORDS {option} | head -c 0")
    assert (quiet.returncode, "stdout" in quiet.stderr) == (0, False), quiet.stderr


def test_a_comparison_does_not_need_anybody_to_listen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(name, report(benchmark()))
    done = shell(tmp_path, f"{RUN} compare a b | head -c 0")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("streams", [">&-", "2>&-"])
def test_a_refusal_does_not_need_anybody_to_listen(tmp_path: Path, streams: str) -> None:
    done = shell(tmp_path, f"{RUN} recipe=none {streams}")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("streams", [">&- 2>&-", "| head -c 0"])
def test_a_plan_does_not_need_anybody_to_listen(tmp_path: Path, streams: str) -> None:
    assert shell(tmp_path, f"{RUN} plan $WORDS {streams}").returncode == 0


ASCII = (
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii:strict"},
    {"PYTHONIOENCODING": "latin-1"},
)


@pytest.mark.parametrize("env", ASCII)
def test_a_locale_that_knows_no_arrow(tmp_path: Path, env: dict[str, str]) -> None:
    for words in ("$WORDS", "plan recipe=internvl3 hardware=a100x2 parallelism.tp=1", "show internvl3"):
        done = shell(tmp_path, f"{RUN} {words}", **env)
        assert done.returncode == 0, done.stderr
    assert Folder(tmp_path).report["verdict"] == "passed"


@pytest.mark.parametrize("env", ASCII)
def test_json_is_json_in_any_locale(tmp_path: Path, env: dict[str, str]) -> None:
    done = shell(tmp_path, f"{RUN} plan recipe=internvl3 hardware=a100x2 --json; {RUN} plan none=ä --json", **env)
    assert done.stdout.isascii()
    plan, at = json.JSONDecoder().raw_decode(done.stdout)
    assert "tp × dp" in str(plan)
    assert json.loads(done.stdout[at:])["errors"]


def test_a_folder_that_is_removed_while_one_is_in_it(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    words = (f"recipe={recipe(tmp_path, 'leave')}", *fake(), "benchmark=none")
    done = run(tmp_path, *words, cwd=inside, runs=inside / "runs")
    assert (done.returncode, losses(done, "No such file or directory")) == (0, EVERYTHING), done.stderr
    assert last(done).startswith("passed in ")
    Folder(tmp_path).assert_nothing_left()


def test_a_folder_that_was_removed_before(tmp_path: Path) -> None:
    done = shell(tmp_path, f"mkdir gone && cd gone && rmdir ../gone && {RUN} $WORDS")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_is_half_written_is_removed(tmp_path: Path) -> None:
    done = run(tmp_path, f"recipe={recipe(tmp_path, 'small files')}", *fake(), "benchmark=none")
    assert done.returncode == 0
    assert json.loads((Folder(tmp_path).run / "plan.json").read_text())["format"] == 1
    assert not list(tmp_path.glob("runs/**/.*"))
