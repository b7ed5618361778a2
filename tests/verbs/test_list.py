"""`recipe-run list`: what there is."""

import json
import sys
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
    rows = listed(cli, what)[what].values()
    assert all(row["summary"] and row["source"] and row["origin"] == "recipe-runner" for row in rows)


def test_one_list_is_a_table(cli: Callable[..., Answer]) -> None:
    lines = cli("list", "hardware").page.splitlines()
    assert lines[0] == "  auto        recipe-runner  The profile that this host is (the default)"
    assert "  a100x2      recipe-runner  Two A100-SXM4-40GB on one host" in lines


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
    assert rows["internvl3"]["origin"] == "recipes"
    assert rows["folded"]["summary"] == "Folded over two lines"
    assert rows["rude"]["summary"] == "tells the \\x1b[31mterminal\\nwhat to do"
    assert rows["silent"]["summary"] == ""
    assert rows["broken"]["summary"] == "(cannot be read; `recipe-run show broken` says why)"
    hardware = listed(cli, "hardware", "--config-dir", "my")["hardware"]
    assert (hardware["lab"]["summary"], hardware["lab"]["origin"]) == ("The lab's machine", "my/hardware")
    assert hardware["bare"]["summary"] == ""


def test_it_imports_no_package_and_outlives_broken_ones(
    cli: Callable[..., Answer], package: Callable[..., Path]
) -> None:
    ends = "raise SystemExit('imported')\n"
    package(
        "their-package",
        {
            "checks": [
                "brief = theirs.checks:Brief",
                "gone = theirs.gone:Gone",
                "odd = !",
                "chat = theirs.checks:Chat",
            ],
            "engines": ["own = theirs.engine:Own", "vllm = theirs.engine:Vllm"],
        },
        {
            "theirs/__init__.py": ends,
            "theirs/checks.py": f'{ends}class Brief:\n    """Is it brief?\n\n    More."""\n',
            "theirs/engine.py": "this is no Python\n",
        },
    )
    package("no-folder", {"folders": ["no = no_such_package.within"]})
    lines = cli("list", "checks")
    assert lines.code == 0
    assert lines.stderr == (
        "note: no-folder 1.0 — its folder no_such_package.within is not there; "
        "mend or update no-folder, or remove it: `pip uninstall no-folder`\n"
    )
    rows = [" ".join(line.split()) for line in lines.stdout.splitlines()]
    assert "brief their-package 1.0 Is it brief?" in rows
    assert "gone their-package 1.0 theirs.gone:Gone" in rows
    assert "odd their-package 1.0 !" in rows
    assert "chat their-package 1.0 theirs.checks:Chat (there are 2 of this name)" in rows
    (ours,) = [row for row in rows if row.startswith("chat recipe-runner Sends ")]
    assert ours.endswith(" (there are 2 of this name)")
    engines = [" ".join(line.split()) for line in cli("list", "engines").stdout.splitlines()]
    assert "own their-package 1.0 theirs.engine:Own (no engine/own.yaml chooses it)" in engines
    assert "vllm their-package 1.0 theirs.engine:Vllm (there are 2 of this name)" in engines
    assert "theirs" not in sys.modules


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
