"""YAML files as recipes use them: plain data, and the line on which each key stands.

The scalars are those of YAML 1.2's core schema, so `on`, `no`, `12:30` and `2026-01-01` stay text. Aliases,
duplicate keys and keys that are not text are refused: recipes come from anybody, and mean what they show.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import short

MAX_BYTES: Final = 1 << 20
Lines = dict[tuple[str, ...], int]


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the implicit types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def read(path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping in a file, and the line of each of its keys by path (`("serve", "port")`)."""
    try:
        text = path.read_bytes()[: MAX_BYTES + 1].decode()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise RecipeError(Fault(short(path), f"the file cannot be read: {reason}", "check the path")) from exc
    if len(text) > MAX_BYTES:
        raise _fault(path, 1, "the file is larger than 1 MiB", "a recipe is a page of facts")
    try:
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _fault(path, line, "YAML aliases are not read", "write the value out, or inherit from a recipe")
        node = yaml.compose(text, Loader=Loader)
        lines: Lines = {}
        if node is None:
            return {}, lines
        if not isinstance(node, yaml.MappingNode):
            raise _fault(path, 1, "this is not a mapping", "write `key: value` lines")
        _walk(path, node, (), lines)
        return Loader("").construct_document(node), lines
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        what = f"YAML error: {exc.problem or exc.context}"
        raise _fault(path, mark.line + 1 if mark else 1, what, "correct the line") from exc
    except (yaml.YAMLError, ValueError) as exc:  # a control character; a number that is none
        raise _fault(path, 1, f"YAML error: {str(exc).splitlines()[0]}", "correct the file") from exc
    except RecursionError as exc:
        raise _fault(path, 1, "the file is nested too deeply", "a recipe is a page of facts") from exc


def _walk(path: Path, node: yaml.Node, at: tuple[str, ...], lines: Lines) -> None:
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(path, item, (*at, str(i)), lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str" or not key.value:
            raise _fault(path, line, f"the key {getattr(key, 'value', '')!r} is not text", "put it in quotes")
        here = (*at, key.value)
        if here in lines:
            raise _fault(path, line, f"the key {key.value} stands twice", f"see line {lines[here]}; keep one")
        lines[here] = line
        _walk(path, value, here, lines)


def _fault(path: Path, line: int, what: str, do: str) -> RecipeError:
    return RecipeError(Fault(f"{short(path)}:{line}", what, do))
