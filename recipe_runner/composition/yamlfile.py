"""YAML files as recipes use them: plain data, and the line on which each key stands.

Unquoted scalars are null, booleans, decimal numbers or text, so `on`, `no`, `12:30` and `2026-01-01` stay text.
Aliases, tags, duplicate keys and keys that are not text are refused: recipes come from anybody and mean what they show.
"""

import math
import re
from pathlib import Path
from typing import Any, Final

import yaml

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import short

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 40
MAX_DIGITS: Final = 40
NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
SLIPS: Final = {  # what libyaml says of what happens most often, and what a person did
    "found character that cannot start any token": (
        "a tab, or another character with which nothing can begin",
        "indent with spaces, and put such a value in quotes",
    ),
    "mapping values are not allowed in this context": (
        "a second `: ` in one line",
        "put the value in quotes, or what is inside it in lines of its own",
    ),
}
Lines = dict[tuple[str, ...], int]


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the implicit types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def read(path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping in a file, and the line of each of its keys by path (`("serve", "port")`)."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _fault(path, 1, "the file is larger than 1 MiB", "a recipe is a page of facts")
        text = data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise RecipeError(Fault(short(path), f"the file cannot be read: {reason}", "check the path")) from exc
    try:
        _scan(path, text)
        node = yaml.compose(text, Loader=Loader)
        lines: Lines = {}
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return {}, lines
        if not isinstance(node, yaml.MappingNode):
            raise _fault(path, 1, "this is not a mapping", "write `key: value` lines")
        _walk(path, node, (), lines)
        return Loader("").construct_document(node), lines
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        what, do = SLIPS.get(exc.problem or "", (f"YAML error: {exc.problem}", "correct the line, or the one above"))
        raise _fault(path, line, what, do) from exc
    except yaml.YAMLError as exc:  # a control character
        raise _fault(path, 1, f"YAML error: {str(exc).splitlines()[0]}", "correct the file") from exc


def places(path: Path, prefix: str = "") -> dict[str, str]:
    """Where each dotted key of a file stands (`file:line`), and under `prefix` alone the file itself."""
    head = (prefix,) if prefix else ()
    whole = {prefix: str(path)} if prefix else {}
    return whole | {".".join((*head, *at)): f"{path}:{line}" for at, line in read(path)[1].items()}


def _scan(path: Path, text: str) -> None:
    """Refuse what plain data does without, before anything is built from it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _fault(path, line, "YAML aliases are not read", "write the value out, or inherit from a recipe")
        if tag := getattr(event, "tag", None):
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise _fault(
                path, line, f"the tag {shown} is not read", "write the value without it, in quotes if it is text"
            )
        if "\0" in getattr(event, "value", ""):
            raise _fault(path, line, "there is a NUL character in this text", "remove it")
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise _fault(path, line, "a second document begins here", "keep one, without `---` lines")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _fault(path, line, "this is nested too deeply", "a recipe is a page of facts")


def _walk(path: Path, node: yaml.Node, at: tuple[str, ...], lines: Lines) -> None:
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(path, item, (*at, str(i)), lines)
    if node.tag in NUMBERS and (len(node.value) > MAX_DIGITS or not math.isfinite(float(node.value))):
        raise _fault(
            path, node.start_mark.line + 1, f"{node.value[:MAX_DIGITS]} is too large", "write a smaller number"
        )
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str" or not key.value:
            name = repr(key.value) if isinstance(key, yaml.ScalarNode) else "of several parts"
            raise _fault(path, line, f"the key {name} is not text", "put it in quotes")
        here = (*at, key.value)
        if here in lines:
            raise _fault(path, line, f"the key {key.value} stands twice", f"see line {lines[here]}; keep one")
        lines[here] = line
        _walk(path, value, here, lines)


def _fault(path: Path, line: int, what: str, do: str) -> RecipeError:
    return RecipeError(Fault(f"{short(path)}:{line}", what, do))
