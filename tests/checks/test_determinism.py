import pytest

from recipe_runner.api import Answer, Outcome
from recipe_runner.checks.determinism import Determinism
from tests.checks.saying import Saying, check, refusal, user

BATCHING = "what else is in the batch may change it"


def test_what_is_asked() -> None:
    client = Saying("Once.")
    outcome = check(Determinism, client)
    assert outcome == Outcome("passed", f"2 answers are the same 5 characters; {BATCHING}")
    asked = (user("Tell a story of a lighthouse."), {"max_tokens": 100, "temperature": 0})
    assert client.asked == [asked, asked]
    check(Determinism, client, times=4, prompt="Hi", temperature=0.7, seed=1)
    assert client.asked[2:] == [(user("Hi"), {"max_tokens": 100, "temperature": 0.7, "seed": 1})] * 4


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        (["A cat.", "A dog."], "answer 2 differs from the first at character 3: 'dog.' instead of 'cat.'"),
        (["A cat.", "A cat.", "A cat"], "answer 3 differs from the first at character 6: '' instead of '.'"),
        (["A", "A cat"], "answer 2 differs from the first at character 2: ' cat' instead of ''"),
        (["A", ""], "answer 2 differs from the first at character 1: '' instead of 'A'"),
        (["x" * 9 + "a" * 30, "x" * 9 + "b\n" * 30], None),
    ],
)
def test_where_they_first_differ(answers: list[str], detail: str | None) -> None:
    long = "answer 2 differs from the first at character 10: '" + r"b\n" * 10 + f"' instead of '{'a' * 20}'"
    outcome = check(Determinism, Saying(*answers), times=3)
    assert outcome == Outcome("failed", f"{detail or long}; {BATCHING}")


def test_reasoning_is_compared_too() -> None:
    one, other = (Answer("", 0.1, {}, reasoning=text) for text in ("Hm.", "So."))
    assert check(Determinism, Saying(one, one)).verdict == "passed"
    assert check(Determinism, Saying(one, other)).verdict == "failed"


def test_nothing_is_not_the_same_as_nothing() -> None:
    outcome = check(Determinism, Saying(""))
    assert outcome == Outcome("failed", "the first answer is empty: there is nothing to compare")


def test_what_is_refused() -> None:
    assert refusal(Determinism, times=1) == "times: Input should be greater than or equal to 2"
    assert refusal(Determinism, times=101) == "times: Input should be less than or equal to 100"
