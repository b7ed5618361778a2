"""Something that a JSON schema allows, for a simulated model that has to keep to one."""

from collections.abc import Mapping
from typing import Any, Final

WORD: Final = "simulated"
Schema = Mapping[str, Any]


def instance(schema: Schema, root: Schema | None = None) -> Any:
    """What fits; of an object's properties the required ones, or all where none is.

    Patterns and formats are beyond it, and combinations of schemas beyond their first.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return instance(_at(root, schema["$ref"]), root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return instance(schema[key][0], root)
    return schema["enum"][0] if schema.get("enum") else _of_type(schema, root)


def _of_type(schema: Schema, root: Schema) -> Any:
    known = schema.get("properties") or {}
    kind = schema.get("type", "object" if known else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: instance(known.get(name, {}), root) for name in schema.get("required") or known}
        case "array":
            return [instance(schema.get("items") or {}, root) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return min(least, schema.get("maximum", least))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return WORD.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _at(root: Any, pointer: str) -> Any:
    """What `#/a/b` points to."""
    for name in pointer.split("/")[1:]:
        root = root[name]
    return root
