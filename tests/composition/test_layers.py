"""The fold: null removes, mappings merge, everything else replaces, and each value keeps its origin."""

from pathlib import Path
from typing import Any

import pytest

from recipe_runner.composition.layers import TYPED, Layer, Origin, fold


def layer(name: str, values: dict[str, Any], **lines: str) -> Layer:
    return Layer(name, values, f"/{name}.yaml", {key.replace("__", "."): line for key, line in lines.items()})


@pytest.mark.parametrize(
    ("below", "above", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({}, {"a": None}, {}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": None, "z": 3}}, {"a": {"y": 2, "z": 3}}),
        ({"a": {"x": 1}}, {"a": None}, {}),
        ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": 3}, {"a": 3}),
        ({"a": 3}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [1]}, {"a": {"x": {"y": None, "z": 1}}}, {"a": {"x": {"z": 1}}}),
        ({"a": False}, {"a": 0}, {"a": 0}),
    ],
)
def test_one_layer_over_another(below: dict[str, Any], above: dict[str, Any], result: dict[str, Any]) -> None:
    folded = fold([layer("below", below), layer("above", above)])
    assert folded.values == result
    known = {key.partition(".")[0] for key in folded.origins}
    assert known == set(result), "origins of what is gone are kept, or some are missing"


def test_folding_changes_no_layer() -> None:
    below, above = {"a": {"x": 1}}, {"a": {"y": 2}}
    fold([layer("below", below), layer("above", above)])
    assert (below, above) == ({"a": {"x": 1}}, {"a": {"y": 2}})


def test_a_value_that_comes_back_has_the_origin_of_the_layer_that_brought_it() -> None:
    folded = fold([layer("one", {"a": 1}), layer("two", {"a": None}), layer("three", {"a": 1})])
    assert folded.origins["a"] == Origin("three", "/three.yaml")


def test_origin_is_the_line_of_the_key_or_of_what_holds_it() -> None:
    recipe = layer("recipe", {"a": {"b": {"c": 1}}, "d": 1}, a="/r.yaml:1", a__b="/r.yaml:2")
    folded = fold([recipe])
    assert folded.origins["a.b.c"] == Origin("recipe", "/r.yaml:2")
    assert folded.origins["d"] == Origin("recipe", "/recipe.yaml")


def test_where_names_the_file_of_what_stands_in_one() -> None:
    typed = Layer(TYPED, {"a": {"x": 1}}, TYPED)
    folded = fold([layer("recipe", {"a": {"y": 1}}, a__y="/r.yaml:2"), typed])
    assert folded.where("a.y") == "a.y (/r.yaml:2)"
    assert folded.where("a.y.deeper") == "a.y.deeper (/r.yaml:2)"
    assert folded.where("a.x") == "a.x"
    assert folded.where("nowhere") == "nowhere"


def test_relative_paths_are_relative_to_the_file_of_their_origin() -> None:
    assert Origin("recipe", "/some/folder/r.yaml:12").folder == Path("/some/folder")
    assert Origin("preset", "/some/folder/r.yaml").folder == Path("/some/folder")
    assert Origin(TYPED, TYPED).folder == Path()


def test_what_was_typed_to_be_removed_and_is_not_there_is_kept_in_mind() -> None:
    typed = Layer(TYPED, {"a": {"x": None, "z": None}, "b": None, "c": {"y": None}}, TYPED)
    folded = fold([layer("below", {"a": {"x": 1, "y": 2}, "b": 3}), typed])
    assert folded.missed == {"a.z": ("y",), "c.y": ()}
    assert fold([layer("below", {"a": 1}), layer("recipe", {"b": None})]).missed == {}
