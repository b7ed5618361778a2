"""Real weights without a hub: converted by tools/smollm2.py, served through `model.path`."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import HOME, start
from tests.running import DOWN

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    subprocess.run([HOME / "bin" / "python", ROOT / "tools" / "smollm2.py", folder], check=True)
    return folder


def test_it_answers_from_its_weights(weights: Path, tmp_path: Path) -> None:
    words = ("recipe=smollm2-135m", "hardware=cpu", f"model.path={weights}", "serve.port=0", "benchmark=smoke")
    run = start(tmp_path, *words)
    assert run.end() == 0, run.told
    assert {check["name"]: check["verdict"] for check in run.report["checks"]} == dict.fromkeys(
        ("models", "capital", "capital_chat"), "passed"
    )
    assert run.report["benchmarks"][0]["metrics"]["completed"] == 10
    assert run.report["teardown"] | {"files_removed": 0} == DOWN


def test_without_them_it_is_refused(tmp_path: Path) -> None:
    run = start(tmp_path, "recipe=smollm2-135m", "hardware=cpu", "model.path=/no/such/folder", "serve.port=0")
    assert run.end() == 2
    assert run.told == (
        "recipe-run: model.path — there is no folder /no/such/folder; "
        "give the folder of a transformers model, with its config.json\n"
    )
