"""JSON as a schema wants it; schemas come from recipes, so they may not send us anywhere."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

if TYPE_CHECKING:
    from referencing._core import Resolver


def misfit(text: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The value that a text is as JSON, and what is wrong with it; nothing, if the second is empty."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None, "is no JSON"
    try:
        worst = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(value))
    except RecursionError:
        return value, "cannot be held against the schema, which has no end"
    except Unresolvable:
        return value, "cannot be held against the schema, whose `$ref` leads to no schema"
    return value, f"does not fit the schema: {worst.json_path}: {worst.message}" if worst else ""


def _is_schema(value: dict[str, Any]) -> dict[str, Any]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as exc:
        raise ValueError(f"this is not a JSON schema: {exc.json_path}: {exc.message}") from exc
    for reference, resolver in _references(value, Registry().resolver_with_root(DRAFT202012.create_resource(value))):
        try:
            found = resolver.lookup(reference).contents
        except (Unresolvable, TypeError):  # the latter where it leads through a number
            found = None
        if not isinstance(found, dict | bool):
            raise ValueError(f"`$ref` leads to {reference!r}, which is no schema in here")
    return value


def _references(schema: Any, resolver: "Resolver") -> Iterator[tuple[str, "Resolver"]]:
    """Where a schema leads to, and from where: below an `$id` all is relative to that."""
    from referencing.jsonschema import DRAFT202012

    if isinstance(schema, dict):
        if isinstance(schema.get("$id"), str):
            resolver = resolver.in_subresource(DRAFT202012.create_resource(schema))
        yield from ((schema[key], resolver) for key in ("$ref", "$dynamicRef") if isinstance(schema.get(key), str))
        for inner in schema.values():
            yield from _references(inner, resolver)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner, resolver)


Schema = Annotated[dict[str, Any], AfterValidator(_is_schema)]
"""A JSON schema; a wrong one is refused when the recipe is read."""
