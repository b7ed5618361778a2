"""What a reviewer would say of a recipe, and which files are taken for recipes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import prepare
from recipe_runner.authoring.lint import is_recipe, remarks
from recipe_runner.composition import library
from recipe_runner.composition.yamlfile import read
from recipe_runner.paths import shipped

SOUND = """\
summary: Mine
model: {id: a/b, facts: {source: the hub, revision: abc}}
validation: {capital: {uses: chat, prompt: Hello, expect: {contains: Paris}}}
"""
GATE = "expected: {c: {source: s, hardware: cpu, %s metrics: {m: {value: 1, unit: x, gate: %s, better: higher}}}}\n"


def said(name: str = "mine") -> list[str]:
    return [str(fault) for fault in remarks(prepare.requested([f"recipe={name}", "hardware=host"], [])[1])]


def test_of_a_sound_recipe_nothing_is_said(recipe: Callable[..., Path]) -> None:
    recipe(SOUND)
    assert said() == []


@pytest.mark.parametrize("name", sorted(library.names([shipped("recipes")])))
def test_of_shipped_recipes_nothing_is_said(name: str) -> None:
    assert said(name) == []


def test_what_is_inherited_counts(recipe: Callable[..., Path]) -> None:
    recipe(SOUND, "base")
    recipe("defaults: [base, _self_]\nserve: {port: 1}\n")
    assert said() == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Mine", "' '", "summary — there is none; say in a line what the recipe is for; `list` shows it"),
        (
            "{capital: {uses: chat, prompt: Hello, expect: {contains: Paris}}}",
            "{}",
            "validation — there are no checks; add some, or inherit `/validation@validation: smoke`",
        ),
        (
            "contains: Paris",
            "not_empty: true",
            "validation.capital (recipes/mine.yaml:3) — any answer passes that is not empty; "
            "expect what only a sound model says, such as contains",
        ),
        (
            ", revision: abc",
            "",
            "model.facts (recipes/mine.yaml:2) — the facts have no revision; say where they can be looked up again",
        ),
        (
            "source: the hub",
            "source: ''",
            "model.facts (recipes/mine.yaml:2) — the facts have no source; say where they can be looked up again",
        ),
        (
            ", facts: {source: the hub, revision: abc}",
            "",
            "model.id (recipes/mine.yaml:2) — there are no facts of the model, so every plan asks the hub; "
            "`recipe-run new` writes them for a model",
        ),
        (
            "summary: Mine\n",
            "summary: Mine\n" + GATE % ("", "true"),
            "expected.c (recipes/mine.yaml:2) — m is a gate, and its kind and date are not said; "
            "say who measured it and when, so that others can weigh it",
        ),
        (
            "summary: Mine\n",
            "summary: Mine\n" + GATE % ("kind: own,", "true"),
            "expected.c (recipes/mine.yaml:2) — m is a gate, and its date is not said; "
            "say who measured it and when, so that others can weigh it",
        ),
    ],
)
def test_what_is_said(old: str, new: str, told: str, recipe: Callable[..., Path]) -> None:
    assert old in SOUND
    recipe(SOUND.replace(old, new))
    assert said() == [told]


@pytest.mark.parametrize("more", [GATE % ("kind: own, date: '2026-01'  ,", "true"), GATE % ("", "false")])
def test_a_gate_that_says_whence_and_a_figure_that_gates_nothing_are_well(
    more: str, recipe: Callable[..., Path]
) -> None:
    recipe(SOUND + more)
    assert said() == []


def test_only_recipes_look_like_recipes() -> None:
    assert [file.stem for file in shipped("recipes").glob("*.yaml") if not is_recipe(read(file)[0])] == []
    assert [file for file in shipped("conf").rglob("*.yaml") if is_recipe(read(file)[0])] == []
