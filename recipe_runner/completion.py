"""Tab completion: verbs, their options and names, choices (`recipe=`, `hardware=`), and the keys that people type."""

import argparse
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import argcomplete
from argcomplete.lexers import split_line

from recipe_runner.composition.space import Space

KEYS: Final = (
    *("parallelism.tp=", "parallelism.dp=", "parallelism.pp=", "serve.port=", "serve.max_model_len="),
    *("engine.url=", "model.path=", "report.folder=", "timeouts.ready_s=", "preflight.host="),
)
GROUPS: Final = ("recipe", "hardware", "engine", "parallelism", "validation", "benchmark")


def complete(
    verbs: Collection[str],
    parser: Callable[[str], argparse.ArgumentParser],
    names: Callable[[str], Iterable[str]],
) -> None:
    """Answer the shell and exit; called only when the shell asks. `names` are those that a verb takes."""
    verb = _verb(verbs)
    made = parser(verb or "run")
    for action in made._actions:
        if action.dest == "overrides":
            action.completer = functools.partial(_words, () if verb else verbs)  # type: ignore[attr-defined]
        elif verb and not action.option_strings and (found := list(names(verb))):
            action.completer = lambda *, found=found, **_: found  # type: ignore[attr-defined]
    argcomplete.autocomplete(made, always_complete_options=False)


def _verb(verbs: Collection[str]) -> str | None:
    """The verb that was typed, if one was; then it stands where the command did, which argcomplete leaves out."""
    start = int(os.environ["_ARGCOMPLETE"])
    *_, words, _ = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))
    if len(words) <= start or words[start] not in verbs:
        return None
    os.environ["_ARGCOMPLETE"] = str(start + 1)
    return words[start]


def _words(verbs: Iterable[str], prefix: str, parsed_args: argparse.Namespace | None = None, **_: Any) -> Iterator[str]:
    key, equals, _value = prefix.partition("=")
    if getattr(parsed_args, "recipe", None) == "":  # of `show`, where its name comes first
        return
    if not equals:
        yield from (f"{group}=" for group in GROUPS)
        yield from KEYS
        yield from verbs
    elif key in GROUPS:
        folders: list[Path] = getattr(parsed_args, "config_dir", [])
        yield from (f"{key}={name}" for name in Space(tuple(folders)).names(key))
        if key == "hardware":
            yield "hardware=auto"
