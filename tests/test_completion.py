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
from recipe_runner.paths import shipped

ASKED = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\v", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "COMP_TYPE": "9"}


def answer(line: str, tmp_path: Path) -> set[str]:
    """What argcomplete's shell function would be offered for a line with the cursor at its end."""
    out = tmp_path / "completions"
    env = {**os.environ, **ASKED, "COMP_LINE": line, "COMP_POINT": str(len(line.encode()))}
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


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {"recipe=", "hardware=", "engine=", "validation=", "benchmark=", *completion.KEYS, *cli.VERBS}),
        ("recipe=", {f"recipe={name}" for name in library.names([shipped("recipes")])}),
        ("hardware=", {"hardware=auto", *(f"hardware={name}" for name in Space().names("hardware"))}),
        ("engine=", {f"engine={name}" for name in Space().names("engine")}),
        ("validation=s", {f"validation={name}" for name in Space().names("validation")}),
        ("serve.port=", set()),
    ],
)
def test_what_is_offered(typed: str, offered: set[str]) -> None:
    assert set(completion._words(cli.VERBS, typed)) == offered


def test_argcomplete_is_given_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.ArgumentParser] = []
    monkeypatch.setattr(argcomplete, "autocomplete", lambda parser, **options: seen.append(parser))
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert cli.main(["--version"]) == 0  # the real one ends the process instead
    (overrides,) = (action for action in seen[0]._actions if action.dest == "overrides")
    assert "recipe=" in set(overrides.completer(""))  # type: ignore[attr-defined]
