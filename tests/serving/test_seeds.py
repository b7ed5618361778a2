"""No two measurements on one server have the same prompts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from recipe_runner.serving.seeds import Seeds
from recipe_runner.serving.server import Server


def seeds(folder: str, *, attached: bool = False) -> Seeds:
    server: Any = SimpleNamespace(plan=SimpleNamespace(attached=attached), log=Path(folder) / "server.log")
    return Seeds(cast(Server, server))


def test_the_one_that_was_asked_for_then_others() -> None:
    made = seeds("a")
    assert [made.fresh(0), made.fresh(0), made.fresh(7), made.fresh(1), made.fresh(0)] == [0, 1, 7, 2, 3]


def test_the_first_of_a_measurement_is_told() -> None:
    made = seeds("a")
    assert made.given is None
    made.fresh(5)
    made.fresh(5)
    assert made.given == 5


def test_others_may_have_asked_an_attached_server_before() -> None:
    first, second = seeds("runs/a", attached=True), seeds("runs/b", attached=True)
    assert first.fresh(0) == seeds("runs/a", attached=True).fresh(0)
    assert 0 != first.fresh(0) != second.fresh(0) != 0
