"""The tables of reference/configuration.md that follow from conf/ and the classes; used by generate.py."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from generate_reference import typed
from generate_text import code, ours, slug
from pydantic import BaseModel

from recipe_runner.authoring import about
from recipe_runner.composition.meant import OF_THEIR_OWN
from recipe_runner.composition.schema import (
    Address,
    Expected,
    Figure,
    Hardware,
    Model,
    ModelFacts,
    Parallelism,
    Preflight,
    Reporting,
    Rule,
    Timeouts,
)
from recipe_runner.composition.space import DEFAULTS, Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.paths import shipped

SETTINGS: Final[Mapping[str, type[BaseModel]]] = {"preflight": Preflight, "timeouts": Timeouts, "report": Reporting}
PARTS: Final[Mapping[type[BaseModel], str]] = {  # of a recipe, with a section each
    Model: "model",
    ModelFacts: "model.facts",
    Parallelism: "parallelism",
    Expected: "expected.NAME",
    Figure: "expected.NAME.metrics.METRIC",
    Rule: "diagnosis.NAME",
}
ANCHORS: Final[Mapping[type[BaseModel], str]] = {cls: f"#{slug(key)}" for cls, key in PARTS.items()}
PLUGINS: Final = {"validation": "plugins.md#checks", "benchmark": "plugins.md#benchmarks"}


def choices() -> Iterator[str]:
    """Each group with what is chosen where nothing is typed, and what there is."""
    yield "| group | without a word | choices |\n| --- | --- | --- |"
    yield "| `recipe` | must be given | the files in `./recipes`, then `recipes/` of each `--config-dir`, then ours |"
    for group in ("hardware", "engine", "parallelism", "validation", "benchmark"):
        names = sorted({*Space().names(group), *(["auto"] if group == "hardware" else [])})
        default = "auto" if group == "hardware" else DEFAULTS.get(group, _defaults().get(group, ""))
        yield f"| `{group}` | `{default}` | {', '.join(f'`{name}`' for name in names)} |"


def settings() -> Iterator[str]:
    """Each key of conf/config.yaml, with the comment beside it."""
    file = shipped("conf") / "config.yaml"
    text, values = file.read_text(encoding="utf-8"), read(file)[0]
    yield "| key | type | default | what it is |\n| --- | --- | --- | --- |"
    for section, cls in SETTINGS.items():
        about_all = _comment(text, section)
        for name, field in cls.model_fields.items():
            told = " ".join(filter(None, (about_all, _comment(text, name))))
            yield f"| `{section}.{name}` | {typed(field, {})} | {code(values[section][name])} | {ours(told)} |"


def sections() -> Iterator[str]:
    """What a recipe may say."""
    yield "| section | what it says |\n| --- | --- |"
    links = PLUGINS | {key.partition(".")[0]: ANCHORS[cls] for cls, key in reversed(PARTS.items())}
    for name, told in {"defaults": about.SECTIONS["defaults"], **about.SECTIONS}.items():
        key = f"[`{name}`]({links[name]})" if name in links else f"`{name}`"
        yield f"| {key} | {ours(told)} |"
    yield ""
    for cls, key in PARTS.items():
        yield f"### {key}\n"
        yield from _table(cls)


def flags() -> Iterator[str]:
    """The flags that recipe-runner reads itself, and those that have a place of their own."""
    yield "| flag | what it is |\n| --- | --- |"
    yield from (f"| `serve.{name}` | {ours(told)} |" for name, told in about.FIELDS[Address].items())
    yield from (f"| `serve.{name}` | Refused: write `{place}`. |" for name, place in OF_THEIR_OWN.items())


def hardware() -> Iterator[str]:
    yield from _table(Hardware)


def _table(cls: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | what it is |\n| --- | --- | --- | --- |"
    for name, field in cls.model_fields.items():
        told = ours(about.FIELDS[cls][name])
        yield f"| `{name}` | {typed(field, ANCHORS)} | {_default(field)} | {told} |"
    yield ""


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return "" if field.default in (None, "", [], {}) else code(field.default)


def _defaults() -> dict[str, str]:
    """What conf/config.yaml chooses."""
    listed = read(shipped("conf") / "config.yaml")[0]["defaults"]
    return {group: name for entry in listed if isinstance(entry, dict) for group, name in entry.items()}


def _comment(text: str, key: str) -> str:
    """The comment beside a key."""
    found = re.search(rf"^\s*{key}:[^#\n]*#\s*(.+)$", text, re.M)
    return found[1] if found else ""
