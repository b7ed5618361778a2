"""What a plan remarks of expected figures; what it remarks of a machine is in test_plan and test_preflight."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import registry
from recipe_runner.errors import RecipeError
from recipe_runner.prepare import plans

MINE = """\
model: {id: a/model}
benchmark:
  guide: {uses: BENCHMARK}
expected:
  guide:
    source: here
    hardware: a100x2
    metrics:
      output_thruput: {value: 1, unit: tok/s}
      median_ttft_ms: {value: 1, unit: ms}
"""
TOLD = (
    "expected.guide.metrics.output_thruput (recipes/mine.yaml:9): BENCHMARK gives none; did you mean output_throughput?"
)


def notes(*words: str) -> list[str]:
    (plan,) = plans(["recipe=mine", "hardware=a100x2", "engine=sim", *words], [], sweep=False, launching=False)
    return [note for note in plan.warnings if note.startswith("expected.")]


@pytest.mark.parametrize("benchmark", ["vllm_bench", "load"])
def test_an_expected_figure_that_no_measured_one_will_stand_beside(benchmark: str, recipe: Callable[..., Path]) -> None:
    recipe(MINE.replace("BENCHMARK", benchmark))
    told = TOLD.replace("BENCHMARK", benchmark)
    assert notes() == notes("engine=attach", "engine.url=http://127.0.0.1:1") == [told]
    assert notes("benchmark=none") == []


def test_a_name_that_is_like_none(recipe: Callable[..., Path]) -> None:
    recipe(MINE.replace("BENCHMARK", "load").replace("output_thruput", "xyz"))
    (note,) = notes()
    known = registry.load("benchmarks", "load", "").metrics  # type: ignore[attr-defined]
    assert note.partition("; ")[2] == f"choose one of: {', '.join(sorted(known))}"


def test_a_benchmark_that_names_no_metrics_may_give_any(recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from recipe_runner.api import Benchmark\n\nclass Own(Benchmark):\n    def run(self, name, bench): ...\n"
    )
    recipe(MINE.replace("BENCHMARK", "'own:Own'"))
    assert notes("benchmark.guide.uses='own:Own'") == []


GATE = "expected.guide.metrics.median_ttft_ms.gate=true"


def test_a_typed_gate_on_hardware_that_is_no_profile(recipe: Callable[..., Path]) -> None:
    recipe(
        MINE.replace("BENCHMARK", "load").replace("output_thruput", "output_throughput").replace("a100x2", "a100-x2")
    )
    assert notes() == notes(GATE, "benchmark=none") == []  # words, beside which the figures only stand
    assert notes(GATE, "expected.guide.hardware=h100x2") == notes(GATE, "expected.guide.hardware=host") == []
    with pytest.raises(RecipeError) as refused:
        notes(GATE)
    assert str(refused.value).startswith(
        "expected.guide.hardware (recipes/mine.yaml:7) — it gates on a100-x2, and there is no such profile; "
        "did you mean a100x2? There are: a100-80gx1, "
    )
