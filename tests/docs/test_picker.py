"""What a recipe's page shows as a command is what `recipe-run plan` says, and what it refuses, plan refuses so."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from recipe_runner.composition import library
from recipe_runner.paths import shipped
from tests.conftest import Answer

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
RECIPES = sorted(library.names([shipped("recipes")]))
SHELL = re.compile(r"^# server\n(.*?)\n\n", re.M | re.S)


def data(recipe: str) -> dict[str, Any]:
    """What the picker of a recipe's page has, with its texts in their places."""
    found = json.loads((ROOT / "docs" / "recipes" / f"{recipe}.plans.json").read_text(encoding="utf-8"))
    for profile in found["hardware"].values():
        for plan in profile["plans"].values():
            plan |= {key: found["texts"][plan[key]] for key in ("told", "run", "server") if key in plan}
            plan["notes"] = [found["texts"][note] for note in plan.get("notes", ())]
    return dict(found)


def cases() -> list[tuple[str, str, str]]:
    """Of each recipe, three combinations on each profile: another three on the next, so that all are met."""
    found = []
    for recipe in RECIPES:
        for at, (name, profile) in enumerate(sorted(data(recipe)["hardware"].items())):
            found += [(recipe, name, pair) for pair in list(profile["plans"])[at % 5 :: 5]]
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_combination_is_there(recipe: str, generate: ModuleType) -> None:
    found = data(recipe)
    profiles = {file.stem for file in shipped("conf").glob("hardware/*.yaml")} - {"host"}
    assert found["hardware"].keys() == profiles
    for profile in found["hardware"].values():
        pairs = {f"{tp},{dp}" for tp in (1, 2, 4, 8) for dp in (1, 2, 4, 8)}
        assert pairs <= profile["plans"].keys()
        assert ",".join(map(str, profile["start"])) in profile["plans"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_begins_as_the_golden_plans_have_it(recipe: str) -> None:
    """Where the recipe's own TP and DP stand: the command of tests/golden/, to the letter."""
    found, met = data(recipe), 0
    for name, profile in found["hardware"].items():
        golden = (GOLDEN / recipe / f"{name}.txt").read_text(encoding="utf-8")
        own = [plan for plan in profile["plans"].values() if plan.get("run", "").endswith(f" hardware={name}")]
        assert len(own) == (1 if SHELL.search(golden) else 0)
        for plan in own:
            assert plan["server"] == shell(golden)
            met += 1
    assert met


@pytest.mark.usefixtures("no_vllm")
def test_the_others_are_what_plan_says(cli: Callable[..., Answer]) -> None:
    for recipe, hardware, pair in cases():
        tp, dp = pair.split(",")
        shown = data(recipe)["hardware"][hardware]["plans"][pair]
        words = [f"parallelism.tp={tp}", f"parallelism.dp={dp}"]
        if "run" in shown:
            words = shown["run"].removeprefix("recipe-run ").split()[2:]
        answer = cli("plan", f"recipe={recipe}", f"hardware={hardware}", *words)
        assert answer.code == (0 if "run" in shown else 2), (recipe, hardware, pair)
        if answer.code == 0:
            assert shown["server"] == shell(answer.stdout.replace(str(ROOT), "<repo>"))
            noted = re.findall(r"^# note: (.+)$", answer.stdout, re.M)
            assert [note for note in shown["notes"] if note not in noted] == []
        else:
            told = [line.partition(" — ")[2] for line in answer.stderr.splitlines()]
            assert shown["told"] == f"Refused: {'; '.join(told)}."


def test_nothing_of_this_machine_is_told() -> None:
    for recipe in RECIPES:
        text = (ROOT / "docs" / "recipes" / f"{recipe}.plans.json").read_text(encoding="utf-8")
        for word in ("no NVIDIA GPU", "no vllm command", "flags not checked", "this host", str(ROOT)):
            assert word not in text, recipe


def test_a_recipe_that_fits_nowhere_has_a_page(generate: ModuleType, write: Callable[[str, str], Path]) -> None:
    facts = "{source: made up, config: CONFIG}"
    config = (
        "{architectures: [LlamaForCausalLM], hidden_size: 8192, num_hidden_layers: 9000, num_attention_heads: 64, "
        "num_key_value_heads: 8, intermediate_size: 28672, vocab_size: 128256, max_position_embeddings: 8192, "
        "torch_dtype: bfloat16}"
    )
    file = write("recipes/huge.yaml", f"model: {{id: a/huge, facts: {facts.replace('CONFIG', config)}}}\nserve: {{}}\n")
    text = generate.page(generate.recipe("huge", file))
    (told,) = re.findall(r"role=\"status\">(.+)</p>", text)
    assert told.startswith("On a100x1. Refused: a/huge on a100x1 does not fit")
    assert "recipe-run recipe=huge" not in text.replace("recipe-run recipe=huge …", "")
    assert "server" not in generate.plans("huge").partition('"texts"')[0]


def shell(plan: str) -> str:
    """The server's command in what `plan` prints, with paths as pages have them."""
    found = SHELL.search(plan)
    assert found is not None
    return found[1].replace("<repo>/", "")
