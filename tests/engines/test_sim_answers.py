import json
from typing import Any

import pytest

from recipe_runner.engines.sim_answers import Answer, Model, Refused

MODEL = Model([("capital", "Which one?"), ("capital of France", " Paris."), ("weather in Paris", '{"city": "Paris"}')])
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"type": "string", "enum": ["C", "F"]},
                "exact": {"type": "boolean"},
            },
        },
    },
}
TIME = {"type": "function", "function": {"name": "time"}}


def chat(content: Any, *more: dict[str, Any], auto_tools: bool = True, **body: Any) -> Answer:
    model = Model(MODEL.replies, auto_tools=auto_tools)
    return model.chat({"messages": [{"role": "user", "content": content}, *more], **body})


@pytest.mark.parametrize(
    ("body", "text", "tokens", "finish"),
    [
        ({"prompt": "The capital of France is"}, " Paris.", (5, 1), "stop"),
        ({"prompt": "A capital"}, "Which one?", (2, 2), "stop"),
        ({"prompt": "A capital", "max_tokens": 1}, "Which", (2, 1), "length"),
        ({"prompt": "A capital", "max_tokens": 2}, "Which one?", (2, 2), "stop"),
        ({"prompt": "A capital", "max_tokens": 5, "ignore_eos": True}, "Which one? Which one? Which", (2, 5), "length"),
        ({"prompt": [7, 8, 9], "max_tokens": 2}, "This is", (3, 2), "length"),
        ({"prompt": "x", "ignore_eos": True}, "This is a simulated answer. " * 3 + "This", (1, 16), "length"),
        ({}, "This is a simulated answer.", (0, 5), "stop"),
    ],
)
def test_completions(body: dict[str, Any], text: str, tokens: tuple[int, int], finish: str) -> None:
    answer = MODEL.complete(body)
    assert (answer.text, answer.finish, answer.chat) == (text, finish, False)
    prompt, completion = tokens
    usage = {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}
    assert answer.usage == usage


def test_a_chat_knows_all_of_the_conversation() -> None:
    said = {"role": "assistant", "content": None}, {"role": "user", "content": "And now?"}
    assert chat("A capital?", *said).text == "Which one?"
    assert chat("Hi", max_completion_tokens=2).text == "This is"


def test_an_image_is_seen() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    text = {"type": "text", "text": "What is this?"}
    assert chat([image, text]).text == "This is a simulated answer to an image."
    model = Model([("<image_url> What is", "red")])
    assert model.chat({"messages": [{"role": "user", "content": [image, text]}]}).text == "red"


@pytest.mark.parametrize("most", [0, -1, "5"])
def test_a_length_that_is_none(most: object) -> None:
    with pytest.raises(Refused) as caught:
        MODEL.complete({"prompt": "x", "max_tokens": most})
    assert (caught.value.status, str(caught.value)) == (400, f"max_tokens must be at least 1, got {most}.")


@pytest.mark.parametrize(
    ("words", "most", "told"),
    [
        (
            5,
            1,
            "This model's maximum context length is 4 tokens. However, your prompt contains 5 input tokens, which "
            "exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
        ),
        (1, 5, "max_tokens=5 cannot be greater than max_model_len=4. Please request fewer output tokens."),
    ],
)
def test_a_request_that_is_longer_than_the_server_takes(words: int, most: int, told: str) -> None:
    model = Model((), longest=4)
    for ask, body in (
        (model.complete, {"prompt": "a " * words}),
        (model.chat, {"messages": [{"content": "a " * words}]}),
    ):
        with pytest.raises(Refused) as caught:
            ask({**body, "max_tokens": most})
        assert (caught.value.status, str(caught.value)) == (400, told)
    cut = model.complete({"prompt": "a a a", "max_tokens": 4, "ignore_eos": True})
    assert (cut.text, cut.finish) == ("This", "length")
    assert model.complete({"prompt": "a"}).tokens == 3


@pytest.mark.parametrize(
    ("choice", "name", "finish"),
    [
        ({}, "weather", "tool_calls"),
        ({"tool_choice": "auto"}, "weather", "tool_calls"),
        ({"tool_choice": "required"}, "weather", "tool_calls"),
        ({"tool_choice": {"type": "function", "function": {"name": "time"}}}, "time", "stop"),
        ({"tool_choice": "none"}, None, "stop"),
    ],
)
def test_a_tool_is_called_when_it_should_be(choice: dict[str, Any], name: str | None, finish: str) -> None:
    answer = chat("Hi", tools=[WEATHER, TIME], **choice)
    assert (answer.tool, answer.finish, answer.chat) == (name, finish, True)


def test_arguments_are_of_the_right_types_or_those_of_a_reply() -> None:
    def arguments(prompt: str, tool: dict[str, Any]) -> Any:
        return json.loads(chat(prompt, tools=[tool]).text)

    assert arguments("Hi", WEATHER) == {"city": "simulated", "days": 1, "unit": "C", "exact": True}
    assert arguments("The weather in Paris?", WEATHER) == {"city": "Paris"}
    assert arguments("Hi", TIME) == {}


def test_what_a_tool_said_is_answered_in_words() -> None:
    answer = chat("Hi", {"role": "tool", "content": "sunny"}, tools=[WEATHER])
    assert (answer.tool, answer.text) == (None, "This is a simulated answer.")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        ({"tool_choice": {"function": {"name": "x"}}}, "`tool_choice` names x, which is none of the `tools`"),
    ],
)
def test_tools_that_cannot_be_called(body: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as caught:
        chat("Hi", auto_tools=False, tools=[TIME], **body)
    assert (caught.value.status, str(caught.value)) == (400, message)


CAPITALS = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["size"],
}


@pytest.mark.parametrize(
    ("prompt", "text"),
    [("Hi", '{"size": 1}'), ("A capital?", '{"size": 1}'), ("The weather in Paris?", '{"city": "Paris"}')],
)
def test_an_answer_keeps_to_a_schema_unless_a_reply_says_otherwise(prompt: str, text: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": CAPITALS}}
    assert chat(prompt, response_format=form).text == text
    assert chat("Hi", response_format={"type": "text"}).text == "This is a simulated answer."


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("It rains. It rains. The key is 7. It rains.\n\nWhich key?", "The key is 7."),
        ("The key is 3.14! It rains. It rains.\n\nWhich key?", "The key is 3.14!"),
        ("It rains. The key is 7. Which key?", "This is a simulated answer."),
        ("It rains. It rains.", "This is a simulated answer."),
        ("The capital of France. The capital of France. The key is 7.", " Paris."),
        ("", "This is a simulated answer."),
    ],
)
def test_what_comes_once_among_repetitions_is_found(prompt: str, text: str) -> None:
    assert chat(prompt).text == text
