"""The plugin seam: fields are the schema, assets stay in the recipe's folder, defaults do nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from recipe_runner.api import (
    Asset,
    Bench,
    Benchmark,
    Check,
    Client,
    Engine,
    Figure,
    Outcome,
    Plugin,
    Report,
    Target,
    best_of,
    better_of,
    failed,
    passed,
    skipped,
)
from recipe_runner.figures.best import comparable


class Needs(Plugin):
    file: Asset
    count: int = 1


def read(file: str, folder: Path, *, inside: bool) -> Needs:
    return Needs.model_validate({"uses": "needs", "file": file}, context=lambda field: (folder / "recipes", inside))


def test_an_asset_is_relative_to_the_file_that_names_it(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write("recipes/assets/red.png", "")
    assert read("assets/red.png", tmp_path, inside=True).file == str(file)
    assert Needs(uses="needs", file="recipes/assets/red.png").file == str(file)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hosts", "link.png", "assets/../../secret.png"])
def test_a_recipes_asset_may_not_leave_its_folder_but_a_persons_may(
    name: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    secret = write("secret.png", "")
    write("recipes/assets/x", "")
    (tmp_path / "recipes" / "link.png").symlink_to(secret)
    with pytest.raises(ValidationError, match="the file must be in the recipe's folder; a recipe brings its own files"):
        read(name, tmp_path, inside=True)
    assert Path(read(name, tmp_path, inside=False).file).is_file()


def test_an_asset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="there is no such file; a path is relative to the file that it stands"):
        read("none.png", tmp_path, inside=True)


@pytest.mark.parametrize("wrong", [{"count": "1"}, {"count": True}, {"unknown": 1}, {"uses": None}])
def test_fields_are_strict_and_unknown_ones_are_refused(wrong: dict[str, object], write: Callable[..., Path]) -> None:
    values = {"uses": "needs", "file": str(write("x", "")), **wrong}
    with pytest.raises(ValidationError):
        Needs.model_validate(values)


def test_plugins_do_not_change(write: Callable[..., Path]) -> None:
    plugin = Needs(uses="needs", file=str(write("x", "")))
    with pytest.raises(ValidationError):
        plugin.count = 2  # type: ignore[misc]


def test_outcomes_by_name() -> None:
    assert [(made.verdict, made.detail) for made in (passed(), passed("a"), failed("b"), skipped("c"))] == [
        ("passed", ""),
        ("passed", "a"),
        ("failed", "b"),
        ("skipped", "c"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("ok",), "the verdict is 'ok', not one of passed, failed, inconclusive, measured, skipped, error"),
        ((None,), "the verdict is None, not one of passed, failed, inconclusive, measured, skipped, error"),
        (("passed", None), "the detail is None, not a text"),
        (("measured", "", None), "the metrics are None, not numbers by name"),
        (("measured", "", {"a": None}), "the metric 'a' is None, not a finite number by a name"),
        (("measured", "", {"a": "1"}), "the metric 'a' is '1', not a finite number by a name"),
        (("measured", "", {"a": True}), "the metric 'a' is True, not a finite number by a name"),
        (("measured", "", {"a": float("nan")}), "the metric 'a' is nan, not a finite number by a name"),
        (("measured", "", {1: 1}), "the metric 1 is 1, not a finite number by a name"),
    ],
)
def test_an_outcome_is_one_that_a_report_can_tell(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Outcome(*values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        *(("output_throughput", "higher"), ("tokens_per_s", "higher"), ("request_goodput", "higher")),
        *(("slo_max_concurrency", "higher"), ("slo_wait_s", "higher")),
        *(("median_ttft_ms", "lower"), ("wait_s", "lower"), ("duration", "lower")),
        *(("completed", None), ("capacity", None)),
    ],
)
def test_which_way_a_metric_is_better_follows_from_its_name(metric: str, way: str | None) -> None:
    assert better_of(metric) == way
    assert best_of(metric, [Figure(value, 1.01) for value in (1, 3, 2)]) == {"higher": 3, "lower": 1, None: None}[way]


@pytest.mark.parametrize(
    ("verdict", "doubts", "is_one"),
    [
        *(("passed", [], True), ("measured", [], True), ("inconclusive", [], True), ("failed", [], False)),
        *(("inconclusive", ["the client was busy"], False), ("skipped", [], False)),
    ],
)
def test_what_is_in_doubt_or_broke_is_not_compared(verdict: str, doubts: list[str], *, is_one: bool) -> None:
    warmup = {"counted": False, "doubts": ["it only warms up"]}
    assert comparable({"verdict": verdict, "measurements": [warmup, {"counted": True, "doubts": doubts}]}) is is_one


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
