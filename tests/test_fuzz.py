"""What anybody may send us is answered or refused: a short run of benchmarks/fuzz.py, and what longer ones found."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import Answer

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
ON = "hardware=h200x1"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    sys.path.insert(0, BENCHMARKS)
    import fuzz

    yield fuzz
    sys.path.remove(BENCHMARKS)


@pytest.mark.parametrize(("target", "cases"), [("recipe", 90), ("words", 120), ("answers", 25), ("log", 150)])
def test_a_short_run(target: str, cases: int, fuzz: ModuleType) -> None:
    (tally,) = fuzz.fuzz(cases, seed=1, only=target)
    assert tally.bad == []
    assert tally.cases == tally.refused + tally.accepted == cases
    assert tally.accepted > 0


def test_the_same_seed_is_the_same_case(fuzz: ModuleType) -> None:
    for target in fuzz.TARGETS:
        first, again, other = (fuzz.TARGETS[target](fuzz.random.Random(f"{i}"))[0] for i in (1, 1, 2))
        assert first == again != other


@pytest.mark.parametrize(
    ("verdict", "run"),
    [
        ("tracebacks", lambda: 1 / 0),
        ("tracebacks", lambda: 70),
        ("hangs", lambda: [None for _ in iter(int, 1)]),
    ],
)
def test_it_can_fail(verdict: str, run: Callable[[], int], fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.TARGETS, "log", lambda rng: ("the input", run))
    (tally,) = [found := fuzz.Tally("log")]
    fuzz.one("log", 3, 7, tally, limit_s=0.2)
    assert getattr(found, verdict) == 1
    (bad,) = found.bad
    assert (bad["seed"], bad["case"], bad["input"]) == (3, 7, "the input")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"validation: {{v: {{uses: completion, prompt: p, expect: {{regex: '{'(' * 3000}'}}}}}}",
            "validation.v (recipes/mine.yaml:2) — this cannot be read: maximum recursion depth exceeded",
        ),
        (
            "validation: {v: {uses: completion, prompt: p, expect: {regex: 'a{99999999999999}'}}}",
            "validation.v (recipes/mine.yaml:2) — this cannot be read: the repetition number is too large",
        ),
    ],
)
def test_what_it_found_in_recipes(
    text: str, told: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe(f"model: {{id: a/b}}\n{text}\n")
    (line,) = cli("plan", "recipe=mine", ON).refusal
    assert line.startswith(told)
    assert line.endswith("; write it more simply")
