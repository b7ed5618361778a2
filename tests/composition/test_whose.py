"""Whose facts hold: those that stand with the id that is in force, or above it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import prepare
from recipe_runner.composition.schema import Model

PARENT = """\
model: {id: a/model, revision: abc, facts: {source: theirs, bytes: 5, config: {a: 1}}}
profiles:
  h100x1: {model: {revision: def}}
  l4x1: {model: {id: a/small, facts: {source: small}}}
"""


def model(*words: str) -> Model:
    return prepare.requested(["recipe=mine", *words], [])[1].model


def told(found: Model) -> tuple[str, str | None, str | None]:
    return found.id, found.revision, found.facts and found.facts.source


@pytest.mark.parametrize(
    ("words", "is_now"),
    [
        ("", ("a/model", "abc", "theirs")),
        ("model.id=a/model", ("a/model", "abc", "theirs")),
        ("model.id=b/model", ("b/model", None, None)),
        ("model.id=b/model model.revision=x", ("b/model", "x", None)),
        ("model.id=b/model model.facts.source=typed", ("b/model", None, "typed")),
        ("hardware=h100x1", ("a/model", "def", "theirs")),
        ("hardware=h100x1 model.id=b/model", ("b/model", None, None)),
        ("hardware=l4x1", ("a/small", None, "small")),
    ],
)
def test_a_typed_id_has_no_facts_of_what_it_replaces(
    words: str, is_now: tuple[str, str | None, str | None], recipe: Callable[..., Path]
) -> None:
    recipe(PARENT)
    assert told(model(*words.split())) == is_now


@pytest.mark.parametrize(
    ("own", "words", "is_now"),
    [
        ("{vllm: '>=0.20'}", "", ("a/model", "abc", "theirs")),
        ("{revision: x}", "", ("a/model", "x", "theirs")),
        ("{id: b/model}", "", ("b/model", None, None)),
        ("{id: b/model, facts: {source: ours}}", "", ("b/model", None, "ours")),
        ("{id: b/model, facts: {source: ours}}", "hardware=h100x1", ("b/model", None, "ours")),
        ("{id: b/model, facts: {source: ours}}", "hardware=l4x1", ("a/small", None, "small")),
    ],
)
def test_a_recipe_with_an_id_of_its_own_inherits_no_facts(
    own: str, words: str, is_now: tuple[str, str | None, str | None], recipe: Callable[..., Path]
) -> None:
    recipe(PARENT, "parent")
    recipe(f"defaults: [parent, _self_]\nmodel: {own}\n")
    assert told(model(*words.split())) == is_now


def test_facts_of_two_models_are_not_mixed(recipe: Callable[..., Path]) -> None:
    recipe(PARENT, "parent")
    recipe("defaults: [parent, _self_]\nmodel: {id: b/model, facts: {source: ours, config: {b: 2}}}\n")
    composed, request = prepare.requested(["recipe=mine"], [])
    own = {"source": "ours", "config": {"b": 2}}
    assert request.model.facts is not None
    assert request.model.facts.model_dump(exclude_defaults=True) == own
    assert composed.recipe["model"] == {"id": "b/model", "facts": own}, "a lock would mix them"


def test_what_was_left_out_is_remarked(recipe: Callable[..., Path]) -> None:
    recipe(PARENT)
    words = ["recipe=mine", "hardware=h100x1", "engine=sim", "model.id=b/model"]
    (plan,) = prepare.plans(words, [], sweep=False, launching=False)
    left = "this is of another model than b/model, and left out; state it where the id stands"
    assert plan.warnings[:2] == (
        f"model.facts (recipes/mine.yaml:1): {left}",
        f"model.revision (recipes/mine.yaml:3): {left}",
    )
    assert "--revision" not in plan.commands[0].argv
