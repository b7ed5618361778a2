"""Tab completion: verbs, their options and names, choices (`recipe=`, `hardware=`), and the keys that people type."""

import argparse
import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import argcomplete
from argcomplete.lexers import split_line

from recipe_runner.composition import library
from recipe_runner.composition.meant import GROUPS
from recipe_runner.composition.space import DEFAULTS, Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import RecipeError

KEYS: Final = (
    *("parallelism.tp=", "parallelism.dp=", "parallelism.pp=", "serve.port=", "serve.max_model_len="),
    *("engine.url=", "model.path=", "report.folder=", "timeouts.ready_s=", "preflight.host="),
)
KINDS: Final = {"engine": "engines", "validation": "checks", "benchmark": "benchmarks"}


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
    space = Space(tuple(getattr(parsed_args, "config_dir", [])))
    if not equals:
        yield from (f"{group}=" for group in GROUPS)
        yield from KEYS
        yield from verbs
        yield from _fields(key, space)
    elif key in GROUPS:
        yield from (f"{key}={name}" for name in space.names(key))
        if key == "hardware":
            yield "hardware=auto"
    else:
        yield from (f"{key}={value}" for value in _fields(key, space).get(f"{key}=", ()))


def _fields(key: str, space: Space) -> dict[str, list[Any]]:
    """The fields of the engine, a check or a benchmark that was chosen, each with the values that it can have.

    Only what is installed is asked for its fields: to press a key loads no code that a recipe brings.
    """
    section, _, rest = key.partition(".")
    found: dict[str, list[Any]] = {}
    if section not in KINDS or not key.startswith(f"{section}."):
        return found
    from recipe_runner import registry  # and pydantic, which other words do without

    with contextlib.suppress(RecipeError):
        for name, block in _blocks(section, space).items():
            at = f"{section}.{name}" if name else section
            uses = block.get("uses") if isinstance(block, dict) else None
            if name and not rest.startswith(f"{name}."):
                found[f"{at}."] = []
            elif isinstance(uses, str) and ":" not in uses:
                fields = registry.load(KINDS[section], uses, at).model_fields
                found |= {f"{at}.{field}=": told.examples or [] for field, told in fields.items() if field != "uses"}
    return found


def _blocks(section: str, space: Space) -> dict[str, Any]:
    """What stands in a section, by name; the engine has no name."""
    chosen = _chosen(section)
    if section == "engine":
        return {"": read(space.file("engine", chosen or DEFAULTS["engine"]))[0]}
    if chosen not in (None, "recipe"):
        return read(space.file(section, chosen))[0]
    blocks: dict[str, Any] = {}
    left, seen = [_chosen("recipe")], {None, "_self_"}
    while left:  # the recipe, then those that it inherits from
        name = left.pop(0)
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            data = read(library.find(name, space.recipes) or Path(name))[0]
            inner, parents = data.get(section), data.get("defaults")
            blocks = {**(inner if isinstance(inner, dict) else {}), **blocks}
            left += parents if isinstance(parents, list) else []
    return blocks


def _chosen(group: str) -> str | None:
    """What was typed for a group, before where the cursor stands."""
    *_, words, _ = split_line(os.environ.get("COMP_LINE", ""), int(os.environ.get("COMP_POINT", 0)))
    typed = [word.removeprefix(f"{group}=") for word in words if word.startswith(f"{group}=")]
    return typed[-1] if typed else None
