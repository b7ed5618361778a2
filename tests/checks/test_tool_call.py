from typing import Any

import pytest

from recipe_runner.api import Answer, Outcome
from recipe_runner.checks.tool_call import WEATHER, ToolCall
from recipe_runner.client import Call
from tests.checks.saying import Saying, check, refusal, user

PARIS = Call("get_weather", '{"city": "Paris"}')


def calls(*made: Call, text: str = "", finish: str = "tool_calls") -> Saying:
    return Saying(Answer(text, 0.1, {}, calls=made, finish=finish))


def test_what_is_asked_by_itself() -> None:
    client = calls(PARIS)
    assert check(ToolCall, client) == Outcome("passed", 'get_weather({"city": "Paris"})')
    assert client.asked == [
        (
            user("What is the weather in Paris? Ask the tool."),
            {
                "tools": [{"type": "function", "function": WEATHER.model_dump()}],
                "tool_choice": "auto",
                "max_tokens": 512,
            },
        )
    ]


def test_a_tool_of_ones_own() -> None:
    client = calls(Call("now", "{}"))
    outcome = check(ToolCall, client, tool={"name": "now"}, prompt="What time is it?", temperature=0)
    assert outcome == Outcome("passed", "now({})")
    tool = {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": tool}]
    wanted = {"tools": tools, "tool_choice": "auto", "max_tokens": 512, "temperature": 0}
    assert client.asked == [(user("What time is it?"), wanted)]


@pytest.mark.parametrize(
    ("client", "detail"),
    [
        (Saying("<tool_call>{}"), "no call of get_weather; the answer is '<tool_call>{}'"),
        (calls(text="I", finish="length"), "no call of get_weather; the answer is 'I' (it was cut at max_tokens=512)"),
        (calls(Call("weather", "{}"), Call("", "")), "no call of get_weather; it calls 'weather', ''"),
        (calls(Call("get_weather", "{'city'")), """get_weather is called with "{'city'", which is no JSON"""),
        (
            calls(Call("get_weather", '{"ci'), finish="length"),
            """get_weather is called with '{"ci', which is no JSON (it was cut at max_tokens=512)""",
        ),
        (calls(Call("get_weather", "")), "get_weather is called with '', which is no JSON"),
        (
            calls(Call("get_weather", '{"city": 5}')),
            """get_weather is called with '{"city": 5}', which does not fit the schema: """
            "$.city: 5 is not of type 'string'",
        ),
        (
            calls(Call("get_weather", "[]")),
            "get_weather is called with '[]', which does not fit the schema: $: [] is not of type 'object'",
        ),
        (
            calls(Call("get_weather", "{}")),
            "get_weather is called with '{}', which does not fit the schema: $: 'city' is a required property",
        ),
    ],
)
def test_what_is_no_call(client: Saying, detail: str) -> None:
    assert check(ToolCall, client) == Outcome("failed", detail)


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        ({"city": "Paris"}, Outcome("passed", 'get_weather({"city": "Paris"})')),
        ({"city": "Rome"}, Outcome("failed", 'get_weather({"city": "Paris"}): city is "Paris", not "Rome"')),
        (
            {"city": "Rom", "days": 2},
            Outcome("failed", 'get_weather({"city": "Paris"}): city is "Paris", not "Rom"; days is missing, not 2'),
        ),
    ],
)
def test_arguments_may_be_expected(expected: dict[str, Any], outcome: Outcome) -> None:
    assert check(ToolCall, calls(PARIS), expect_arguments=expected) == outcome


def test_the_server_may_be_made_to_call() -> None:
    client = calls(PARIS)
    assert check(ToolCall, client, extra_body={"tool_choice": "required"}).verdict == "passed"
    assert client.asked[0][1]["tool_choice"] == "required"


def test_one_call_of_several_will_do() -> None:
    assert check(ToolCall, calls(Call("other", "{}"), PARIS)).verdict == "passed"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tool": {"name": "x"}}, ": give a `prompt` for which the model should call this tool"),
        ({"tool": {"name": "a b"}, "prompt": "x"}, r"tool.name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
        ({"tool": {}, "prompt": "x"}, "tool.name: Field required"),
        ({"tool": {"name": "x", "args": {}}, "prompt": "x"}, "tool.args: Extra inputs are not permitted"),
        (
            {"tool": {"name": "x", "parameters": {"type": "objekt"}}, "prompt": "x"},
            "tool.parameters: this is not a JSON schema: $.type: 'objekt' is not valid under any of the given schemas",
        ),
        ({"expect_arguments": ["Paris"]}, "expect_arguments: Input should be a valid dictionary"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    assert refusal(ToolCall, **fields) == message
