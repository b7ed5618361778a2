from typing import Any

import pytest

from recipe_runner.api import Answer, Outcome
from recipe_runner.checks.json_schema import misfit
from recipe_runner.checks.structured_output import CITY, StructuredOutput
from tests.checks.saying import Saying, check, refusal, user

TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}


def test_what_is_asked() -> None:
    client = Saying('{"city": "Paris", "is_a_capital": true}')
    outcome = check(StructuredOutput, client)
    assert outcome == Outcome("passed", """'{"city": "Paris", "is_a_capital": true}'""")
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": CITY, "strict": True}}
    prompt = "Which city is Paris, and is it a capital? Answer in JSON."
    assert client.asked == [(user(prompt), {"response_format": form, "max_tokens": 512})]


@pytest.mark.parametrize(
    ("answer", "schema", "detail"),
    [
        ("Paris", CITY, "'Paris' is no JSON"),
        ("", CITY, "'' is no JSON"),
        ("[" * 100_000, CITY, f"'{'[' * 120}…' is no JSON"),
        ('{"city": 1, "is_a_capital": true}', CITY, "$.city: 1 is not of type 'string'"),
        ('{"city": "Paris"}', CITY, "$: 'is_a_capital' is a required property"),
        ('"green"', {"enum": ["red", "blue"]}, "$: 'green' is not one of ['red', 'blue']"),
        ("[[], [1]]", TREE, "$[1][0]: 1 is not of type 'array'"),
    ],
)
def test_what_does_not_fit(answer: str, schema: dict[str, Any], detail: str) -> None:
    outcome = check(StructuredOutput, Saying(answer), json_schema=schema)
    expected = detail if detail.endswith("is no JSON") else f"{answer!r} does not fit the schema: {detail}"
    assert outcome == Outcome("failed", expected)


def test_an_answer_that_was_cut_says_so() -> None:
    outcome = check(StructuredOutput, Saying(Answer('{"city', 0.1, {}, finish="length")), max_tokens=3)
    assert outcome == Outcome("failed", """'{"city' is no JSON (it was cut at max_tokens=3)""")


def test_below_an_id_references_are_relative_to_it() -> None:
    inner = {"$id": "https://example.org/x", "$ref": "#/$defs/b", "$defs": {"b": {"type": "string"}}}
    schema = {"properties": {"a": inner}}
    assert check(StructuredOutput, Saying('{"a": "b"}'), json_schema=schema).verdict == "passed"
    assert check(StructuredOutput, Saying('{"a": 1}'), json_schema=schema).verdict == "failed"


def test_what_only_shows_when_it_is_judged() -> None:
    told = "cannot be held against the schema, whose `$ref` leads to no schema"
    assert misfit("1", {"$ref": "#/$defs/b"}) == (1, told)


def test_a_schema_may_refer_to_itself() -> None:
    assert check(StructuredOutput, Saying("[[], [[]]]"), json_schema=TREE).verdict == "passed"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": 5}, "this is not a JSON schema: $.type: 5 is not valid under any of the given schemas"),
        ({"items": {"minItems": -1}}, "this is not a JSON schema: $.items.minItems: -1 is less than the minimum of 0"),
        ({"$ref": "#/$defs/x"}, "`$ref` leads to '#/$defs/x', which is no schema in here"),
        (
            {"items": [{"$ref": "https://example.org/x"}][0]},
            "`$ref` leads to 'https://example.org/x', which is no schema in here",
        ),
        (
            {"properties": {"a": {"$id": "https://example.org/x", "$ref": "#/$defs/b"}}, "$defs": {"b": {}}},
            "`$ref` leads to '#/$defs/b', which is no schema in here",
        ),
        (
            {"anyOf": [{"$ref": "file:///etc/passwd"}]},
            "`$ref` leads to 'file:///etc/passwd', which is no schema in here",
        ),
    ],
)
def test_what_is_no_schema(schema: dict[str, Any], message: str) -> None:
    assert refusal(StructuredOutput, json_schema=schema) == f"json_schema: {message}"


@pytest.mark.parametrize("reference", ["#/a/b", "#/b/0", "#/b", "#/c", "#anchor", "http://["])
@pytest.mark.parametrize("key", ["$ref", "$dynamicRef"])
def test_what_leads_to_no_schema(key: str, reference: str) -> None:
    message = refusal(StructuredOutput, json_schema={key: reference, "a": 3, "b": [3]})
    assert message == f"json_schema: `$ref` leads to {reference!r}, which is no schema in here"


def test_a_schema_without_an_end() -> None:
    outcome = check(StructuredOutput, Saying("5"), json_schema={"$ref": "#"})
    assert outcome == Outcome("failed", "'5' cannot be held against the schema, which has no end")


def test_a_schema_is_a_mapping() -> None:
    assert refusal(StructuredOutput, json_schema="object") == "json_schema: Input should be a valid dictionary"
