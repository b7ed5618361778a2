"""Tab completion, asked as a shell asks it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import argcomplete
import pytest

from recipe_runner import cli, completion
from recipe_runner.composition import library
from recipe_runner.composition.space import Space
from recipe_runner.host import environments
from recipe_runner.paths import shipped
from recipe_runner.verbs.list import WHAT

ASKED = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\v", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "COMP_TYPE": "9"}


def answer(line: str, tmp_path: Path, **more: str) -> set[str]:
    """What argcomplete's shell function would be offered for a line with the cursor at its end."""
    out = tmp_path / "completions"
    env = {**os.environ, **more, **ASKED, "COMP_LINE": line, "COMP_POINT": str(len(line.encode()))}
    env["_ARGCOMPLETE_STDOUT_FILENAME"] = str(out)
    done = subprocess.run([sys.executable, "-m", "recipe_runner"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return set(filter(None, out.read_text().split("\v")))


def test_the_shell_is_offered_recipes(tmp_path: Path, recipe: Callable[..., Path]) -> None:
    recipe("")
    found = {word.removeprefix("recipe=").strip() for word in answer("recipe-run recipe=", tmp_path)}
    assert found == {"mine", *library.names([shipped("recipes")])}


def test_the_shell_is_offered_what_begins_as_typed(tmp_path: Path) -> None:
    assert {word.strip() for word in answer("recipe-run plan recipe=internvl3 hard", tmp_path)} == {"hardware="}


CHOICES = {"recipe=", "hardware=", "engine=", "parallelism=", "validation=", "benchmark="}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("show int", {name for name in library.names([shipped("recipes")]) if name.startswith("int")}),
        ("show internvl3 hardw", {"hardware="}),
        ("plan ", {*CHOICES, *completion.KEYS}),
        ("plan --config-dir my hardware=lab", {"hardware=lab"}),
        ("list r", {what for what in WHAT if what.startswith("r")}),
        ("setup ", {*environments.LOCKS}),
        ("doctor --", {"--help", "--json", "--flags", "--clean"}),
        ("--multi", {"--multirun"}),
        ("engine=sim engine.fault=d", {"engine.fault=dies", "engine.fault=data_dependent_branching"}),
        ("engine=vllm_cpu engine.c", {"engine.command="}),
        ("recipe=internvl3 benchmark.", {"benchmark.guide."}),
        (
            "plan recipe=internvl3-graphs benchmark.guide.num",
            {f"benchmark.guide.num_{n}=" for n in ("prompts", "warmups")},
        ),
        ("plan recipe=my/r.yaml validation.", {"validation.ours.", "validation.theirs."}),
        ("plan recipe=my/r.yaml validation.ours.top", {"validation.ours.top_p="}),
        ("plan recipe=my/r.yaml validation.theirs.", set()),
        ("plan recipe=internvl3 validation=smoke validation.", {"validation.models.", "validation.answers."}),
        ("plan recipe=none benchmark.x.", set()),
    ],
)
def test_each_verb_has_words_of_its_own(line: str, offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "my" / "hardware").mkdir(parents=True)
    (tmp_path / "my" / "hardware" / "lab.yaml").touch()
    checks = "{ours: {uses: completion}, theirs: {uses: 'theirs:Check'}}"
    (tmp_path / "my" / "r.yaml").write_text(f"model: {{id: a/model}}\nvalidation: {checks}\n")
    (tmp_path / "theirs.py").write_text("raise SystemExit('loaded')")
    assert {word.strip() for word in answer(f"recipe-run {line}", tmp_path)} == offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {*CHOICES, *completion.KEYS, *cli.VERBS}),
        ("recipe=", {f"recipe={name}" for name in library.names([shipped("recipes")])}),
        ("hardware=", {"hardware=auto", *(f"hardware={name}" for name in Space().names("hardware"))}),
        ("engine=", {f"engine={name}" for name in Space().names("engine")}),
        ("validation=s", {f"validation={name}" for name in Space().names("validation")}),
        ("serve.port=", set()),
    ],
)
def test_what_is_offered(typed: str, offered: set[str]) -> None:
    assert set(completion._words(cli.VERBS, typed)) == offered


def test_a_broken_package_hides_nothing(tmp_path: Path, package: Callable[..., Path]) -> None:
    entries = {"checks": ["broken = broken:C"], "engines": ["worse = no.module:C"], "folders": ["gone = broken.data"]}
    site = package("broken-package", entries, {"broken.py": "raise SystemExit('broken')\n"})
    (site / "broken_package-1.0.dist-info" / "RECORD").write_bytes(b"\xff")
    names = library.names([shipped("recipes")])
    found = {word.strip() for word in answer("recipe-run show ", tmp_path, PYTHONPATH=str(site))}
    assert {*names} <= found
    listed = {word.strip() for word in answer("recipe-run list ", tmp_path, PYTHONPATH=str(site))}
    assert listed == {*WHAT}


def test_argcomplete_is_given_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.ArgumentParser] = []
    monkeypatch.setattr(argcomplete, "autocomplete", lambda parser, **options: seen.append(parser))
    for name, value in {"_ARGCOMPLETE": "1", "COMP_LINE": "recipe-run ", "COMP_POINT": "11"}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["--version"]) == 0  # the real one ends the process instead
    (overrides,) = (action for action in seen[0]._actions if action.dest == "overrides")
    assert "recipe=" in set(overrides.completer(""))  # type: ignore[attr-defined]
