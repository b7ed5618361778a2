"""The JSON Schema of a recipe: its sections from the classes that read them, each check and benchmark by its `uses`.

Draft 7, which editors read. A recipe is a layer: whatever it has from its parents it may leave out, and `null` takes
a key away. So only a recipe without `defaults` must have what a class requires.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from recipe_runner import registry
from recipe_runner.api import Plugin
from recipe_runner.authoring import about
from recipe_runner.composition.meant import OF_THEIR_OWN
from recipe_runner.composition.schema import Address, Expected, Figure, Model, ModelFacts, Parallelism, Rule
from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
REF: Final = "#/$defs/{model}"
SECTIONS: Final[tuple[type[BaseModel], ...]] = (Model, Parallelism, Address, Expected, Rule)
BLOCKS: Final = {"validation": "checks", "benchmark": "benchmarks"}
Schema = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    """Without a title for each field, which says its name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 — pydantic's signature
        return False


def document(distribution: str | None = None) -> Schema:
    """The schema, with the plugins that are installed; or only those of one distribution."""
    plugins = {kind: dict(_plugins(kind, distribution)) for kind in BLOCKS.values()}
    classes = [*SECTIONS, *(cls for found in plugins.values() for cls in found.values())]
    refs, made = models_json_schema(
        [(cls, "validation") for cls in dict.fromkeys(classes)], ref_template=REF, schema_generator=_Untitled
    )
    told = {cls.__name__: words for cls, words in about.FIELDS.items()}
    defs = {name: _layer(found, told.get(name, {})) for name, found in made["$defs"].items()}
    for kind, found in plugins.items():
        for uses, cls in found.items():
            own = defs[_name(refs[cls, "validation"])]
            stated = {**own, "properties": {**own["properties"], "uses": {"const": uses}}, "required": ["uses"]}
            defs[f"{kind[:-1]}.{uses}"] = {key: value for key, value in stated.items() if key != "title"}
    for cls in {cls for found in plugins.values() for cls in found.values()}:
        del defs[_name(refs[cls, "validation"])]
    sections = _sections(plugins)
    profile = {name: part for name, part in sections.items() if name not in ("summary", "profiles")}
    defs["profile"] = {"type": ["object", "null"], "additionalProperties": False, "properties": profile}
    return {
        "$schema": DRAFT,
        "title": "A recipe of recipe-runner",
        "type": "object",
        "additionalProperties": False,
        "properties": {"defaults": _defaults(), **sections, "lock": {"type": "object"}},
        "if": {"not": {"required": ["defaults"]}},
        "then": _whole(plugins),
        "$defs": dict(sorted(defs.items())),
    }


def _plugins(kind: str, distribution: str | None) -> Iterable[tuple[str, type[Plugin]]]:
    """The plugins of one kind by name; one that cannot be loaded, or has no schema, is left to whoever names it."""
    for name, installed in registry.known(kind).items():
        if distribution in (None, *(one.distribution for one in installed)):
            with contextlib.suppress(RecipeError, PydanticUserError):
                cls = registry.load(kind, name, kind)
                cls.model_json_schema()
                yield name, cls


def _sections(plugins: Mapping[str, Mapping[str, type[Plugin]]]) -> Schema:
    hardware = {name: {"$ref": "#/$defs/profile"} for name in sorted(Space().names("hardware"))}
    sections: Schema = {
        "summary": {"type": ["string", "number", "null"]},
        "model": _nullable(_ref("Model")),
        "parallelism": _nullable(_ref("Parallelism")),
        "serve": _serve(),
        "env": _by_name({"type": ["string", "number", "null"]}, r"^[A-Za-z_][A-Za-z0-9_]*$"),
        **{section: _by_name(_block(kind, plugins[kind])) for section, kind in BLOCKS.items()},
        "expected": _by_name(_nullable(_ref("Expected"))),
        "diagnosis": _by_name(_nullable(_ref("Rule"))),
        "profiles": {**_by_name({"$ref": "#/$defs/profile"}), "properties": hardware},
    }
    return {name: {**part, "description": about.SECTIONS[name]} for name, part in sections.items()}


def _serve() -> Schema:
    """Any flag; those that have a place of their own are refused."""
    values = [{"type": kind} for kind in ("boolean", "number", "string", "array", "object", "null")]
    read = {name: {"$ref": f"#/$defs/Address/properties/{name}"} for name in Address.model_fields}
    flags = _by_name({"anyOf": values}, r"^[a-z_][a-z0-9_]*$")
    barred = {name: {"not": {}, "description": f"Write {place}."} for name, place in OF_THEIR_OWN.items()}
    return {**flags, "properties": {**read, **barred}}


def _block(kind: str, plugins: Iterable[str]) -> Schema:
    """A check or a benchmark: one that is known by name, one by its place, or what a layer changes of a parent's."""
    by_place = {"type": "object", "required": ["uses"], "properties": {"uses": {"type": "string", "pattern": ":"}}}
    changed = {"type": "object", "not": {"required": ["uses"]}}
    return {"oneOf": [*(_ref(f"{kind[:-1]}.{name}") for name in plugins), by_place, changed, {"type": "null"}]}


def _whole(plugins: Mapping[str, Mapping[str, type[Plugin]]]) -> Schema:
    """What a recipe must say that inherits nothing."""
    blocks = {section: {"additionalProperties": _complete(plugins[kind])} for section, kind in BLOCKS.items()}
    metrics = {"additionalProperties": {"required": _required(Figure)}}
    return {
        "required": ["model"],
        "properties": {
            "model": {"required": _required(Model), "properties": {"facts": {"required": _required(ModelFacts)}}},
            **blocks,
            "expected": {"additionalProperties": {"required": _required(Expected), "properties": {"metrics": metrics}}},
            "diagnosis": {"additionalProperties": {"required": _required(Rule)}},
        },
    }


def _complete(plugins: Mapping[str, type[Plugin]]) -> Schema:
    """`uses`, and what the class of that name requires."""
    cases = [
        {"if": {"properties": {"uses": {"const": name}}}, "then": {"required": _required(cls)}}
        for name, cls in plugins.items()
    ]
    return {"required": ["uses"], "allOf": cases}


def _required(cls: type[BaseModel]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if field.is_required()]


def _defaults() -> Schema:
    presets = [
        {
            "type": "object",
            "additionalProperties": False,
            "required": [f"/{group}@{group}"],
            "properties": {f"/{group}@{group}": {"enum": sorted(Space().names(group))}},
        }
        for group in BLOCKS
    ]
    names = {"type": "string", "pattern": r"^\w[\w.+-]*$"}
    return {"type": "array", "items": {"anyOf": [names, *presets]}, "description": about.SECTIONS["defaults"]}


def _layer(schema: Schema, told: Mapping[str, str]) -> Schema:
    """The same where any key may be missing, or be taken away; with what is told of each."""
    found = {key: value for key, value in schema.items() if key not in ("required", "title")}
    if properties := schema.get("properties"):
        found["properties"] = {
            name: {**_nullable(part), **({"description": told[name]} if name in told else {})}
            for name, part in properties.items()
        }
    return found


def _nullable(schema: Schema) -> Schema:
    if {"type": "null"} in schema.get("anyOf", ()):
        return schema
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _by_name(values: Schema, names: str = r"^\w[\w-]*$") -> Schema:
    return {"type": ["object", "null"], "propertyNames": {"pattern": names}, "additionalProperties": values}


def _name(ref: Mapping[str, Any]) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _ref(name: str) -> Schema:
    return {"$ref": REF.format(model=name)}
