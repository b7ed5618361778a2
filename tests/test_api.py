"""The plugin seam: fields are the schema, defaults do nothing; all of it on one page."""

from pathlib import Path
from typing import cast

import pytest
from pydantic import ValidationError

from recipe_runner import api
from recipe_runner.api import Bench, Benchmark, Check, Client, Engine, Plugin, Report, Target


class Needs(Plugin):
    file: str = "x"
    count: int = 1


def test_the_contract_is_on_one_page() -> None:
    text = Path(api.__file__).read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    assert all(hasattr(api, name) for name in api.__all__)


@pytest.mark.parametrize("wrong", [{"count": "1"}, {"count": True}, {"unknown": 1}, {"uses": None}])
def test_fields_are_strict_and_unknown_ones_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Needs.model_validate({"uses": "needs", **wrong})


def test_plugins_do_not_change() -> None:
    plugin = Needs(uses="needs")
    with pytest.raises(ValidationError):
        plugin.count = 2  # type: ignore[misc]


def test_the_fields_of_a_benchmark_are_what_it_asks() -> None:
    class Mine(Benchmark):
        size: int = 1
        other: str | None = None

    assert Mine(uses="mine", repeat=3).asked() == {"size": 1}


def test_a_benchmark_without_a_command_line_has_none() -> None:
    benchmark = Benchmark(uses="x")
    assert benchmark.argv(Target("h", 1, None, "m", "m", None)) == ()
    assert benchmark.appended("x") == ()


def test_what_a_plugin_must_write_itself_is_missing_in_the_seam(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        Check(uses="x").run(cast(Client, None))
    with pytest.raises(NotImplementedError):
        Benchmark(uses="x").run("x", cast(Bench, None))
    with pytest.raises(NotImplementedError):
        Engine(uses="x").locate()
    with pytest.raises(NotImplementedError):
        Report(uses="x").write({}, tmp_path)
    assert Engine(uses="x").simulated is False
