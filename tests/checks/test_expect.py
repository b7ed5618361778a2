import re
from typing import Any

import pytest
from pydantic import ValidationError

from recipe_runner.api import Answer
from recipe_runner.checks.expect import Expect, Generates

PARIS = " The capital of France is Paris.\n"


def judged(expect: dict[str, Any], text: str = PARIS, seconds: float = 1.0) -> tuple[str, str]:
    check = Generates(uses="completion", prompt="?", expect=Expect.model_validate(expect))
    outcome = check.judge(Answer(text, seconds, {}))
    return outcome.verdict, outcome.detail


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        ({"contains": "Paris"}, PARIS),
        ({"contains": "PARIS", "ignore_case": True}, PARIS),
        ({"contains": "STRASSE", "ignore_case": True}, "Straße"),
        ({"any_of": ["Rome", "Paris"]}, PARIS),
        ({"any_of": ["rome", "paris"], "ignore_case": True}, PARIS),
        ({"regex": r"Par[ip]s\.$"}, PARIS),
        ({"regex": "^ THE", "ignore_case": True}, PARIS),
        ({"equals": "The capital of France is Paris."}, PARIS),
        ({"equals": " the capital of france is paris. ", "ignore_case": True}, PARIS),
        ({"equals": ""}, " \n"),
        ({"not_empty": True}, PARIS),
        ({"not_empty": False}, " \n"),
        ({"max_latency_s": 1.0}, PARIS),
        (
            {
                **{"contains": "Paris", "any_of": ["France"], "regex": "capital", "not_empty": True},
                **{"equals": "The capital of France is Paris.", "max_latency_s": 2.0},
            },
            PARIS,
        ),
    ],
)
def test_what_holds(expect: dict[str, Any], text: str) -> None:
    assert judged(expect, text) == ("passed", repr(text))


SAID = repr(PARIS)


@pytest.mark.parametrize(
    ("expect", "text", "detail"),
    [
        ({"contains": "Rome"}, PARIS, f"{SAID} does not contain 'Rome'"),
        ({"contains": "paris"}, PARIS, f"{SAID} does not contain 'paris'"),
        ({"contains": "ROME", "ignore_case": True}, PARIS, f"{SAID} does not contain 'ROME'"),
        ({"any_of": ["Rome", "paris"]}, PARIS, f"{SAID} contains none of 'Rome', 'paris'"),
        ({"regex": "^Paris"}, PARIS, f"{SAID} does not match '^Paris'"),
        ({"equals": "Paris"}, PARIS, f"{SAID} is not 'Paris'"),
        ({"equals": "the capital of France is Paris."}, PARIS, f"{SAID} is not 'the capital of France is Paris.'"),
        ({"not_empty": True}, " \n", "' \\n' is empty"),
        ({"not_empty": False}, PARIS, f"{SAID} is not empty"),
        ({"max_latency_s": 0.5}, PARIS, f"{SAID} took 1.00 s, more than 0.5 s"),
        (
            {"contains": "Rome", "any_of": ["Bonn"], "regex": "[0-9]", "equals": "x", "max_latency_s": 0.25},
            "",
            "'' does not contain 'Rome'; contains none of 'Bonn'; does not match '[0-9]'; is not 'x'; "
            "took 1.00 s, more than 0.25 s",
        ),
        ({"contains": "Paris", "not_empty": False}, PARIS, f"{SAID} is not empty"),
        ({"contains": "x"}, "\x1b[2J\x07\r\n", "'\\x1b[2J\\x07\\r\\n' does not contain 'x'"),
        ({"contains": "x"}, "y" * 200, f"'{'y' * 120}…' does not contain 'x'"),
    ],
)
def test_what_does_not_hold(expect: dict[str, Any], text: str, detail: str) -> None:
    assert judged(expect, text) == ("failed", detail)


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({}, "expect at least one thing, such as `contains: Paris`"),
        ({"ignore_case": True}, "expect at least one thing, such as `contains: Paris`"),
        ({"regex": "("}, "this is not a regular expression: missing ), unterminated subpattern at position 0"),
        ({"any_of": []}, "List should have at least 1 item"),
        ({"max_latency_s": 0}, "Input should be greater than 0"),
        ({"contains": 1}, "Input should be a valid string"),
        ({"contain": "Paris"}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_expected(expect: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Expect.model_validate(expect)


def test_sampling_parameters_are_sent_as_given_and_others_as_they_are() -> None:
    check = Generates.model_validate(
        {
            **{"uses": "completion", "prompt": "?", "temperature": 0, "stop": ["\n"], "extra_body": {"top_k": 1}},
            "expect": {"not_empty": True},
        }
    )
    assert check.parameters() == {"max_tokens": 100, "temperature": 0, "stop": ["\n"], "top_k": 1}


def test_extra_body_has_the_last_word() -> None:
    check = Generates(
        uses="completion", prompt="?", seed=1, top_p=0.5, extra_body={"seed": 2}, expect=Expect(not_empty=True)
    )
    assert check.parameters() == {"max_tokens": 100, "seed": 2, "top_p": 0.5}
