"""`recipe-run list`: what there is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import registry
from recipe_runner.composition import library
from recipe_runner.composition.space import Space
from recipe_runner.verbs.list import WHAT
from tests.conftest import Answer

KNOWN = "benchmarks, checks, engines, hardware, presets, recipes, reports"


def listed(cli: Callable[..., Answer], *words: str) -> dict[str, dict[str, Any]]:
    document = json.loads(cli("list", *words, "--json").page)
    assert document.pop("format") == 1
    return {what: {row["name"]: row for row in rows} for what, rows in document.items()}


def test_everything_is_listed_under_its_heading(cli: Callable[..., Answer]) -> None:
    page = cli("list").page
    assert [line[:-1] for line in page.splitlines() if not line.startswith(" ")] == list(WHAT)
    everything = listed(cli)
    assert set(everything["recipes"]) == set(library.names(library.folders()))
    assert set(everything["hardware"]) == {"auto", *Space().names("hardware")}
    assert set(everything["engines"]) == Space().names("engine")
    assert set(everything["presets"]) == {f"{g}={n}" for g in ("validation", "benchmark") for n in Space().names(g)}
    for kind in ("checks", "benchmarks", "reports"):
        assert set(everything[kind]) == set(registry.known(kind))


@pytest.mark.parametrize("what", WHAT)
def test_every_row_has_a_summary_and_a_source(what: str, cli: Callable[..., Answer]) -> None:
    assert all(row["summary"] and row["source"] for row in listed(cli, what)[what].values())


def test_one_list_is_a_table(cli: Callable[..., Answer]) -> None:
    lines = cli("list", "hardware").page.splitlines()
    assert lines[0] == "  auto        The profile that this host is (the default)"
    assert "  a100x2      Two A100-SXM4-40GB on one host" in lines


def test_own_recipes_and_added_folders_are_listed(
    cli: Callable[..., Answer], write: Callable[..., Path], recipe: Callable[..., Path]
) -> None:
    recipe("summary: My own\n", "internvl3")
    recipe("summary: >-\n  Folded over\n  two lines\n", "folded")
    recipe('summary: "tells the \\e[31mterminal\\nwhat to do"\n', "rude")
    recipe("serve: {}\n", "silent")
    recipe("serve: {\n", "broken")
    write("my/hardware/lab.yaml", "# The lab's machine\ncount: 1\n")
    write("my/hardware/bare.yaml", "count: 1\n")
    rows = listed(cli, "recipes")["recipes"]
    assert (rows["internvl3"]["summary"], rows["internvl3"]["source"]) == ("My own", "recipes/internvl3.yaml")
    assert rows["folded"]["summary"] == "Folded over two lines"
    assert rows["rude"]["summary"] == "tells the \\x1b[31mterminal\\nwhat to do"
    assert rows["silent"]["summary"] == ""
    assert rows["broken"]["summary"] == "(cannot be read; `recipe-run show broken` says why)"
    hardware = listed(cli, "hardware", "--config-dir", "my")["hardware"]
    assert hardware["lab"]["summary"] == "The lab's machine"
    assert hardware["bare"]["summary"] == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["recipe"], f"list — there is no list of recipe; did you mean recipes? There are: {KNOWN}"),
        (["xyz"], f"list — there is no list of xyz; choose one of: {KNOWN}"),
        (["--frob"], "recipe-run list — unrecognized arguments: --frob; see recipe-run list --help"),
        (["--config-dir", "nope"], "--config-dir — there is no folder nope; check the path"),
        (["recipes", "hardware"], "recipe-run list — unrecognized arguments: hardware; see recipe-run list --help"),
    ],
)
def test_what_is_wrong_is_told_in_words(words: list[str], told: str, cli: Callable[..., Answer]) -> None:
    assert cli("list", *words).refusal == [told]
