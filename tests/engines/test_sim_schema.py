from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recipe_runner.engines.sim_schema import instance


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "simulated"),
        ({"type": "string"}, "simulated"),
        ({"type": "string", "minLength": 11}, "simulated.."),
        ({"type": "string", "maxLength": 3}, "sim"),
        ({"type": ["null", "string"]}, None),
        ({"type": "boolean"}, True),
        ({"type": "integer"}, 1),
        ({"type": "number", "minimum": 2.5}, 2.5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "array"}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "null"}, "b": {}}}, {"a": None, "b": "simulated"}),
        ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "simulated"}),
        ({"required": ["x"], "type": "object"}, {"x": "simulated"}),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"type": "integer", "default": 7}, 7),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"items": {"$ref": "#/$defs/x"}, "type": "array"}}}, []),
    ],
)
def test_what_is_made_up_fits(schema: dict[str, Any], expected: Any) -> None:
    made = instance(schema)
    assert (made, type(made)) == (expected, type(expected))
    Draft202012Validator(schema).validate(made)
