"""What a recipe's page in the documentation says of its recorded runs."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from recipe_runner.evidence.record import record
from tests.evidence.runs import ID, edit, real

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(DOCS))
    import generate_evidence  # type: ignore[import-not-found]

    yield generate_evidence
    for name in ("generate_evidence", "generate_reference"):
        sys.modules.pop(name, None)


def test_a_recorded_run_has_a_row_with_its_figures(pages: ModuleType, tmp_path: Path) -> None:
    run = real(tmp_path)
    recipe = tmp_path / "recipes" / "mine.yaml"
    assert list(pages.recorded(recipe)) == []
    metrics = {"output_throughput": 12345.678, "median_ttft_ms": 1.25, "median_tpot_ms": 2}
    noise = {"output_throughput": {"half_width_percent": 3.21}, "median_ttft_ms": {"half_width_percent": 312.4}}
    edit(run / "report.json", lambda report: report["benchmarks"][0].update(metrics=metrics, noise=noise))
    edit(run / "report.json", lambda report: report.update(started="2026-01-02T03:04:05+00:00"))
    record(run)
    head, _, row, told = pages.recorded(recipe)
    assert head.startswith("## Recorded runs\n")
    figures = "12,345.7 tok/s out (−3.1 % to +3.2 %), median TTFT 1.2 ms (−75.8 % to +312.4 %), median TPOT 2.0 ms"
    link = f"[cpu-{ID}.json](../results/mine/cpu-{ID}.json)"
    assert row == f"| cpu | simulated | 2026-01-02 | passed | small: {figures} | {link} |"
    assert "(../how-to/record-evidence.md)" in told
    assert pages.sites(recipe.parent) == {
        f"results/mine/cpu-{ID}.json": recipe.parent / "results" / "mine" / f"cpu-{ID}.json"
    }
