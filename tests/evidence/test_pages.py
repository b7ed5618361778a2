"""What a recipe's page in the documentation says of its recorded runs."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from recipe_runner.evidence.record import record
from tests.evidence.runs import ID, edit, real


@pytest.fixture
def pages(generate: ModuleType) -> ModuleType:
    return sys.modules["generate_evidence"]


def test_a_recorded_run_has_a_row_with_its_figures(pages: ModuleType, tmp_path: Path) -> None:
    run = real(tmp_path)
    recipe = tmp_path / "recipes" / "mine.yaml"
    assert list(pages.recorded(recipe)) == []
    metrics = {"output_throughput": 12345.678, "median_ttft_ms": 1.25, "median_tpot_ms": 2}
    noise = {"output_throughput": {"half_width_percent": 3.21}, "median_ttft_ms": {"half_width_percent": 312.4}}
    edit(run / "report.json", lambda report: report["benchmarks"][0].update(metrics=metrics, noise=noise))
    edit(run / "report.json", lambda report: report.update(started="2026-01-02T03:04:05+00:00"))
    edit(run / "report.json", lambda report: report["environment"].update(gpus=["NVIDIA H200"] * 2))
    record(run)
    head, _, row, told = pages.recorded(recipe)
    assert head.startswith("## Recorded runs\n")
    figures = "12,345.7 tok/s out (−3.1 % to +3.2 %), median TTFT 1.2 ms (−75.8 % to +312.4 %), median TPOT 2.0 ms"
    link = f"[cpu-{ID}.json](../results/mine/cpu-{ID}.json)"
    assert row == f"| cpu | 2 × NVIDIA H200 | simulated | 2026-01-02 | passed | small: {figures} | {link} |"
    assert "(../how-to/record-evidence.md)" in told
    assert pages.sites(recipe.parent) == {
        f"results/mine/cpu-{ID}.json": recipe.parent / "results" / "mine" / f"cpu-{ID}.json"
    }


def test_a_sitting_tells_what_was_typed(pages: ModuleType, tmp_path: Path) -> None:
    """A report that does not say what was typed, as those of old, has no row: it could be taken for the recipe's."""
    report = json.loads((real(tmp_path) / "report.json").read_text())
    report["environment"] |= {"gpus": [], "cpu": "Two cores", "vllm": "0.25.1"}
    report["benchmarks"][0] |= {"metrics": {"output_throughput": 1745.09}, "noise": {}}
    folder = tmp_path / "evidence" / "mine-cpu"
    for name, typed in {"bare": {"parallelism.tp": 1, "model.path": "/tmp/x"}, "old": None}.items():
        (folder / "first").mkdir(parents=True, exist_ok=True)
        (folder / "first" / f"{name}.json").write_text(json.dumps({**report, "overrides": typed}))
    (folder / "figures.json").write_text("{}")
    *_, row, _ = pages.sittings("mine", tmp_path / "evidence")
    about, machine, vllm, _, typed, measured = row.strip("| ").split(" | ")
    assert (about, machine, vllm) == ("[bare](../evidence/mine-cpu.md)", "Two cores", "0.25.1")
    assert (typed, measured) == ("parallelism.tp=1", "small: 1,745.1 tok/s out")
    assert list(pages.sittings("another", tmp_path / "evidence")) == []
