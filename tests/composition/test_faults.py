"""What pydantic finds wrong, at the places that a person wrote, in our words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Answer

CHECK = """
from pydantic import BaseModel, ConfigDict
from recipe_runner.api import Check

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    a: int

class Own(Check):
    x: int | list[str] | Inner = 1
    z: dict[str, int] = {}
    many: list[Inner] = []

    def run(self, server): ...
"""
INTEGER = "it should be a valid integer"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("x=1.5", [f"x — 1.5 does not fit here; {INTEGER}"]),
        ("x=[1]", [f"x — [1] does not fit here; {INTEGER}", "x.0 — 1 does not fit here; it should be a valid string"]),
        (
            "x={q: 1}",
            [
                f"x — {{'q': 1}} does not fit here; {INTEGER}",
                "x.a — this is missing; write validation.own.x.a=… or put it into the recipe",
                "x.q — unknown key q; choose one of: a",
            ],
        ),
        ("z={k: v}", [f"z.k — 'v' does not fit here; {INTEGER}"]),
        ("many=[{a: v}]", [f"many.0.a — 'v' does not fit here; {INTEGER}"]),
        ("many=[{}]", ["many.0.a — this is missing; write validation.own.many.0.a=… or put it into the recipe"]),
    ],
)
def test_the_arms_of_a_union_are_nobodys_business(
    typed: str, told: list[str], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write("faulty_checks.py", CHECK)
    own = "validation.own={uses: 'faulty_checks:Own'}"
    answer = cli("plan", "recipe=internvl3", "hardware=a100x2", own, f"validation.own.{typed}")
    assert answer.refusal == [f"validation.own.{one}" for one in told]
