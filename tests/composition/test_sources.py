"""A recipe is data from anybody: what it may say, what stays text, and how one inherits from another."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from recipe_runner import prepare
from recipe_runner.composition import library, sources
from recipe_runner.composition.layers import Folded
from recipe_runner.composition.sources import RecipeSource, literal
from recipe_runner.composition.space import Space
from tests.conftest import Answer

HARDWARE = ", ".join(sorted(Space().names("hardware")))
ON = "hardware=a100x2"
SECTIONS = ", ".join(sorted(library.SECTIONS))
IN_PROFILE = ", ".join(sorted(sources.IN_PROFILE))
TAKES = "it takes names of recipes, /validation@validation: NAME or /benchmark@benchmark: NAME"
NASTY = (
    "${oc.env:HOME}",
    "\\${a}",
    "\\\\${a}",
    "a \\",
    "$",
    "${",
    "}${}",
    "???",
    "${..x}",
    "$${x}",
    "'${x}'",
    "{a: 1}",
)


def folded(*words: str) -> Folded:
    return prepare.requested([*words, ON], [])[1].folded


chars = st.sampled_from("${}\\:.a?'\" ") | st.characters(exclude_categories=("Cs",), exclude_characters="\0")
texts = st.text(chars, max_size=90)  # YAML keys have at most 1,024 characters, and an escaped one takes ten


@given(texts)
@settings(max_examples=150, deadline=None)
def test_any_text_survives_omegaconf(text: str) -> None:
    values = {"text": text, "list": [1, {"deep": text}], "none": None}
    assert OmegaConf.to_container(OmegaConf.create(literal(values)), resolve=True) == values


@given(texts.filter(bool), texts)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_the_recipe_source(tmp_path: Path, key: str, text: str) -> None:
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'

    (tmp_path / "any.yaml").write_text(f"serve: {{x: {{{quoted(key)}: {quoted(text)}}}, list: [{quoted(text)}]}}\n")
    result = RecipeSource("test", f"recipes://{tmp_path}").load_config("recipe/any")
    assert result.header == {"package": "recipe"}
    found = OmegaConf.to_container(result.config, resolve=True)
    assert isinstance(found, dict)
    assert found["serve"] == {"x": {key: text}, "list": [text]}


def test_nothing_in_a_recipe_is_interpolated(recipe: Callable[..., Path]) -> None:
    lines = (
        "".join(f"  x{i}: {text!r}\n" for i, text in enumerate(NASTY[1:], 1)).replace("\\\\", "\\").replace('"', "'")
    )
    recipe("serve:\n  x0: ${oc.env:HOME}\n" + lines.replace("''${x}''", "'''${x}'''"))
    serve = folded("recipe=mine").values["serve"]
    assert [serve[f"x{i}"] for i in range(len(NASTY))] == list(NASTY)


def test_a_package_header_has_no_effect(recipe: Callable[..., Path]) -> None:
    recipe("# @package _global_\nmodel: {id: a/model}\nserve: {x: 1}\n")
    assert folded("recipe=mine").values["serve"] == {"x": 1}


def test_the_source_lists_recipes_and_no_group_but_that(recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe("")
    source = RecipeSource("test", f"recipes://{tmp_path / 'recipes'}")
    assert source.available()
    assert source.list("recipe", None) == ["mine"]
    assert source.list("", None) == []
    assert source.is_group("recipe")
    assert not source.is_group("hardware")
    assert source.is_config("recipe/mine")
    assert not source.is_config("recipe/other")
    assert not source.is_config("hardware/mine")


def test_folders_with_colons_in_their_names_are_found(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("a:b/recipes/mine.yaml", "model: {id: a/model}\n").parents[1])
    assert folded("recipe=mine").values["model"] == {"id": "a/model"}


def test_a_child_overrides_and_removes_what_its_parent_says(recipe: Callable[..., Path]) -> None:
    recipe("model: {id: p}\nserve:\n  keep: 1\n  change: 1\n  remove: 1\nvalidation: {v: {uses: models}}\n", "parent")
    recipe(
        "defaults: [parent, _self_]\nserve:\n  change: 2\n  remove: null\n  add: 3\nvalidation: {v: null}\n", "child"
    )
    found = folded("recipe=child")
    assert found.values["serve"] == {"keep": 1, "change": 2, "add": 3}
    assert found.values["validation"] == {}
    assert {key: str(origin) for key, origin in found.origins.items() if key.startswith("serve.")} == {
        "serve.keep": "recipes/parent.yaml:3",
        "serve.change": "recipes/child.yaml:3",
        "serve.add": "recipes/child.yaml:5",
    }
    assert {found.origins[key].layer for key in found.origins if key.startswith(("serve", "model"))} == {"recipe"}


@pytest.mark.parametrize(
    ("defaults", "value"),
    [("[parent]", 2), ("[parent, _self_]", 2), ("[_self_, parent]", 1), ("[grandchild, _self_]", 2), ("[]", 2)],
)
def test_the_later_of_two_wins_and_a_recipe_itself_is_the_last(
    defaults: str, value: int, recipe: Callable[..., Path]
) -> None:
    recipe("serve: {x: 1}\n", "parent")
    recipe("defaults: [parent, _self_]\nserve: {y: 1}\n", "grandchild")
    recipe(f"defaults: {defaults}\nmodel: {{id: m}}\nserve: {{x: 2}}\n", "child")
    assert folded("recipe=child").values["serve"]["x"] == value


def test_a_recipe_may_be_reached_twice(recipe: Callable[..., Path]) -> None:
    recipe("serve: {x: 1}\n", "top")
    recipe("defaults: [top, _self_]\n", "left")
    recipe("defaults: [top, _self_]\n", "right")
    recipe("defaults: [left, right, _self_]\n", "bottom")
    assert folded("recipe=bottom").values["serve"] == {"x": 1}


def test_a_shipped_recipe_can_be_inherited_under_another_name(recipe: Callable[..., Path]) -> None:
    recipe("defaults: [internvl3, _self_]\nserve: {enforce_eager: null}\n", "internvl3-graphs")
    assert "enforce_eager" not in folded("recipe=internvl3-graphs").values["serve"]
    assert folded("recipe=internvl3-graphs").values["parallelism"] == {"tp": 2, "dp": 1}


def test_presets_as_parents_keep_their_own_lines(recipe: Callable[..., Path]) -> None:
    recipe(
        "defaults: [{/validation@validation: smoke}, _self_]\n"
        "validation:\n  answers: {max_tokens: 3}\n  models: null\nmodel: {id: m}\n"
    )
    found = folded("recipe=mine")
    assert found.values["validation"]["answers"]["max_tokens"] == 3
    assert "models" not in found.values["validation"]
    assert str(found.origins["validation.answers.max_tokens"]) == "recipes/mine.yaml:3"
    assert str(found.origins["validation.answers.uses"]) == "conf/validation/smoke.yaml:3"


def test_dict_over_list_is_refused_in_words(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("serve: {x: [1]}\n", "parent")
    recipe("defaults: [parent]\nserve: {x: {a: 1}}\n")
    assert cli("plan", "recipe=mine", ON).refusal == [
        "configuration — In 'recipe/mine': ConfigTypeError raised while composing config: "
        "Cannot merge DictConfig with ListConfig; correct the file that it names"
    ]


def may_not_hold(*entries: str) -> list[str]:
    return [f"1 — `defaults` may not hold {entry}; {TAKES}" for entry in entries]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sreve: {}", [f"1 — unknown section sreve; did you mean serve? There are: {SECTIONS}"]),
        (
            "a: {}\nengine: {}",
            [f"{at} — unknown section {key}; choose one of: {SECTIONS}" for at, key in ((1, "a"), (2, "engine"))],
        ),
        ("origin: {}", [f"1 — unknown section origin; choose one of: {SECTIONS}"]),
        ("serve: [a]", ["1 — serve is not a mapping; write `serve:` with indented `key: value` lines"]),
        ("\nmodel: m", ["2 — model is not a mapping; write `model:` with indented `key: value` lines"]),
        ("profiles: 3", ["1 — profiles is not a mapping; write `profiles:` with indented `key: value` lines"]),
        (
            "profiles:\n  cpu: 3\n  host: {sreve: {}, summary: {}, env: 3}",
            [
                "2 — profiles.cpu is not a mapping; write `cpu:` with indented `key: value` lines",
                f"3 — unknown section profiles.host.sreve; did you mean serve? There are: {IN_PROFILE}",
                f"3 — unknown section profiles.host.summary; choose one of: {IN_PROFILE}",
                "3 — profiles.host.env is not a mapping; write `env:` with indented `key: value` lines",
            ],
        ),
        (
            "profiles: {a100x22: {}}",
            [f"1 — there is no hardware a100x22; did you mean a100x2? There are: {HARDWARE}"],
        ),
        ("defaults: internvl3", ["1 — `defaults` is not a list; write `defaults: [RECIPE, _self_]`"]),
        ("serve: {}\ndefaults:", ["2 — `defaults` is not a list; write `defaults: [RECIPE, _self_]`"]),
        ("defaults: [mine]", ["1 — inherits from itself through mine; remove one of the `defaults`"]),
        ("defaults: [../mine, .., /etc/passwd]", may_not_hold("'../mine'", "'..'", "'/etc/passwd'")),
        ("defaults: [hydra/job_logging, 3, null]", may_not_hold("'hydra/job_logging'", "3", "None")),
        (
            "defaults: [{/engine: sim}, {override /engine: sim}]",
            may_not_hold("{'/engine': 'sim'}", "{'override /engine': 'sim'}"),
        ),
        ("defaults: [optional internvl3, internvl3@model]", may_not_hold("'optional internvl3'", "'internvl3@model'")),
        ("defaults: [{/validation@validation: smok}]", may_not_hold("{'/validation@validation': 'smok'}")),
        ("defaults: [{/validation@benchmark: smoke}]", may_not_hold("{'/validation@benchmark': 'smoke'}")),
        ("defaults: [{/benchmark@benchmark: [smoke]}]", may_not_hold("{'/benchmark@benchmark': ['smoke']}")),
        ("a: 1\na: 2", ["2 — the key a stands twice; see line 1; keep one"]),
    ],
)
def test_what_a_recipe_may_not_say(
    text: str, told: list[str], recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe(text, bare=True)
    assert cli("plan", "recipe=mine", ON).refusal == [f"recipes/mine.yaml:{line}" for line in told]


def test_a_missing_parent_is_named_with_the_nearest(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("defaults: [internvl]\n")
    listing = ", ".join(sorted(library.names(library.folders())))
    assert cli("plan", "recipe=mine", ON).refusal == [
        "recipes/mine.yaml:1 — there is no recipe internvl to inherit from; "
        f"did you mean internvl3? There are: {listing}"
    ]


def test_a_cycle_is_found_wherever_it_closes(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("defaults: [b, _self_]\n", "a")
    recipe("# b\ndefaults: [c, _self_]\n", "b")
    recipe("defaults: [a, _self_]\n", "c")
    assert cli("plan", "recipe=a", ON).refusal == [
        "recipes/c.yaml:1 — inherits from itself through a; remove one of the `defaults`"
    ]


def test_faults_of_all_files_of_a_family_are_told_at_once(
    recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("sreve: {}\n", "parent", bare=True)
    recipe("defaults: [parent, 3]\nenv: 3\n")
    assert cli("plan", "recipe=mine", ON).refusal == [
        "recipes/mine.yaml:2 — env is not a mapping; write `env:` with indented `key: value` lines",
        f"recipes/parent.yaml:1 — unknown section sreve; did you mean serve? There are: {SECTIONS}",
        f"recipes/mine.yaml:1 — `defaults` may not hold 3; {TAKES}",
    ]
