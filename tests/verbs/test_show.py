"""`recipe-run show`: one recipe, with the file and line of each value."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.composition import library
from tests.conftest import Answer

ON = "hardware=a100x2"


def test_every_value_stands_beside_its_origin(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("model: {id: m}\nserve:\n  x: 1\n  list: [a, b]\n", "parent")
    rule = "diagnosis:\n  d: {pattern: p, cause: a, cure: b}\n"
    recipe(f"summary: Mine\ndefaults: [parent, _self_]\nvalidation:\n  v: {{uses: models}}\n{rule}")
    assert cli("show", "mine", ON, "serve.x=2").page == (
        "mine — Mine\n"
        "recipes/mine.yaml, on hardware=a100x2\n"
        "\nmodel:\n"
        '  id: "m"                                                   # recipes/parent.yaml:1\n'
        "\nserve:\n"
        "  x: 2                                                      # command line\n"
        '  list: ["a","b"]                                           # recipes/parent.yaml:4\n'
        "\nvalidation:\n"
        "  v:\n"
        '    uses: "models"                                          # recipes/mine.yaml:4\n'
        "\ndiagnosis:\n"
        "  d:\n"
        '    pattern: "p"                                            # recipes/mine.yaml:6\n'
        '    cause: "a"                                              # recipes/mine.yaml:6\n'
        '    cure: "b"                                               # recipes/mine.yaml:6\n'
    )


def test_a_recipe_without_a_summary_and_notes_on_it(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe('env: {A: "a\\u2028b"}\n', "internvl3")
    assert cli("show", "internvl3", ON).page.splitlines() == [
        "internvl3",
        "recipes/internvl3.yaml, on hardware=a100x2",
        "note: recipe internvl3: recipes/internvl3.yaml is used instead of the shipped recipe of that name",
        "",
        "model:",
        '  id: "a/model"                                             # recipes/internvl3.yaml:2',
        "",
        "env:",
        '  A: "a\\u2028b"                                             # recipes/internvl3.yaml:1',
    ]


def test_as_json(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("summary: Mine\nserve: {x: {y: 1}}\n")
    assert json.loads(cli("show", "recipes/mine.yaml", ON, "--json").page) == {
        "format": 1,
        "recipe": "mine",
        "file": "recipes/mine.yaml",
        "summary": "Mine",
        "hardware": "a100x2",
        "model": {"id": "a/model"},
        "serve": {"x": {"y": 1}},
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "show — no recipe was named; choose one of: {recipes}"),
        (["recipe=internvl3"], "show — recipe=internvl3 is an override, not a recipe; write `recipe-run show NAME`"),
        (["internvl", ON], "recipe — there is no recipe internvl; did you mean internvl3? There are: {recipes}"),
        (["none.yaml", ON], "recipe — there is no file none.yaml; check the path"),
        (["internvl3", "-m"], "recipe-run show — unrecognized arguments: -m; see recipe-run show --help"),
    ],
)
def test_what_is_wrong_is_told_in_words(words: list[str], told: str, cli: Callable[..., Answer]) -> None:
    recipes = ", ".join(sorted(library.names(library.folders())))
    assert cli("show", *words).refusal == [told.format(recipes=recipes)]
