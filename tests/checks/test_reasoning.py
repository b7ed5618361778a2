import pytest

from recipe_runner.api import Answer, Outcome
from recipe_runner.checks.reasoning import Reasoning
from tests.checks.saying import Saying, check, refusal, user

NONE = "comes without reasoning; vLLM needs serve.reasoning_parser"


def said(text: str, reasoning: str = "Let me see.", finish: str = "stop") -> Saying:
    return Saying(Answer(text, 0.1, {}, reasoning=reasoning, finish=finish))


def test_what_is_asked() -> None:
    client = said("9.9")
    assert check(Reasoning, client) == Outcome("passed", "'9.9' after 11 characters of reasoning")
    assert client.asked == [(user("Which is larger, 9.11 or 9.9?"), {"max_tokens": 1024})]


@pytest.mark.parametrize(
    ("client", "detail"),
    [
        (said("9.9", ""), f"'9.9' {NONE}"),
        (said("9.9", " \n"), f"'9.9' {NONE}"),
        (said(""), "'' is empty"),
        (said(" ", finish="length"), "' ' is empty (it was cut at max_tokens=1024)"),
        (said("Hm.</think>9.9", ""), f"'Hm.</think>9.9' {NONE}; contains '</think>'"),
        (said("<think>Hm.</think>9.9"), "'<think>Hm.</think>9.9' contains '<think>'; contains '</think>'"),
        (said("", ""), f"'' {NONE}; is empty"),
    ],
)
def test_what_does_not_come_apart(client: Saying, detail: str) -> None:
    assert check(Reasoning, client) == Outcome("failed", detail)


def test_the_answer_may_be_judged() -> None:
    assert check(Reasoning, said("9.9"), expect={"contains": "9.9"}).verdict == "passed"
    outcome = check(Reasoning, said("9.11", "9.9"), expect={"equals": "9.9"})
    assert outcome == Outcome("failed", "'9.11' is not '9.9'")


def test_what_is_refused() -> None:
    assert refusal(Reasoning, expect={}) == "expect: expect at least one thing, such as `contains: Paris`"
    assert refusal(Reasoning, parser="qwen3") == "parser: Extra inputs are not permitted"
