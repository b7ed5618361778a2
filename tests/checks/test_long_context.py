from typing import Any

import pytest

from recipe_runner.api import Answer, Client, Outcome
from recipe_runner.checks.long_context import FILLER, LongContext
from tests.checks.saying import Saying, check, refusal

NEEDLE = "The number of the lighthouse is 48213."


class Counting(Client):
    """Counts a token for each `each` characters, and `more` for each prompt; says where the needle stands."""

    def __init__(self, each: float = 4.0, more: int = 7, answer: str = "It is 48213.") -> None:
        self.model, self.each, self.more, self.said = "small", each, more, answer
        self.counts: list[int] = []
        self.most: list[int] = []

    def chat(self, messages: Any, **parameters: Any) -> Answer:
        self.text = messages[0]["content"]
        self.counts.append(self.more + round(len(self.text) / self.each))
        self.most.append(parameters["max_tokens"])
        return Answer(self.said, 0.1, {"prompt_tokens": self.counts[-1]}, finish="stop")


@pytest.mark.parametrize(("tokens", "each", "more"), [(200, 4, 7), (1000, 1.3, 0), (32_000, 4.7, 300), (5000, 97, 3)])
def test_the_length_is_what_the_server_counts(tokens: int, each: float, more: int) -> None:
    client = Counting(each, more)
    outcome = check(LongContext, client, tokens=tokens)
    *short, full = client.counts
    assert client.most == [1, 1, *[100] * (len(client.counts) - 2)]
    assert len(short) <= 3
    assert min(0.95 * tokens, tokens - len(FILLER) / each - 1) <= full <= tokens
    assert outcome == Outcome("passed", f"'It is 48213.' found at depth 0.5 of {full} tokens")


@pytest.mark.parametrize("depth", [0.0, 0.25, 0.5, 1.0])
def test_the_needle_stands_at_its_depth(depth: float) -> None:
    client = Counting()
    check(LongContext, client, tokens=10_000, depth=depth)
    text = client.text.removesuffix("\n\nWhat is the number of the lighthouse?")
    before, _, after = text.partition(NEEDLE)
    assert len(before) / (len(before) + len(after)) == pytest.approx(depth, abs=0.005)


def test_every_request_has_the_parameters() -> None:
    client = Saying(*(Answer("48213", 0.1, {"prompt_tokens": count}) for count in (100, 200, 300)))
    assert check(LongContext, client, tokens=300, temperature=0, extra_body={"top_k": 1}).verdict == "passed"
    asked = [parameters for _, parameters in client.asked]
    assert asked == [{"max_tokens": most, "temperature": 0, "top_k": 1} for most in (1, 1, 100)]


def test_a_length_that_is_not_met_is_tried_again() -> None:
    class Growing(Counting):
        """A filler has fewer tokens when there are many of them."""

        def chat(self, messages: Any, **parameters: Any) -> Answer:
            self.each = 4 if len(messages[0]["content"]) < 1000 else 6
            return super().chat(messages, **parameters)

    client = Growing()
    assert check(LongContext, client, tokens=5000).verdict == "passed"
    assert client.most == [1, 1, 100, 100, 100]
    assert 4750 <= client.counts[-1] <= 5000


def test_a_server_that_counts_as_it_likes_is_given_up() -> None:
    answers = [Answer("48213", 0.1, {"prompt_tokens": count}) for count in (50, 150, 9000, 8000, 7000)]
    client = Saying(*answers)
    detail = "no text of 1000 tokens came about in 5 requests; the last had 7000"
    assert check(LongContext, client, tokens=1000) == Outcome("failed", detail)
    assert len(client.asked) == 5


@pytest.mark.parametrize(
    ("client", "detail"),
    [
        (Saying("48213"), "the server does not count the tokens of a prompt in `usage`"),
        *(
            (
                Saying(Answer("", 0.1, {"prompt_tokens": count})),
                "the server does not count the tokens of a prompt in `usage`",
            )
            for count in (40, "many", [1], -1, 10**400, float("nan"))
        ),
        (Counting(more=300), "the question alone has 320 tokens; ask for more than 300"),
        (
            Counting(answer="I see no number."),
            "'I see no number.' does not contain '48213', which stands at depth 0.5 of 282 tokens",
        ),
    ],
)
def test_what_is_not_found(client: Client, detail: str) -> None:
    assert check(LongContext, client, tokens=300) == Outcome("failed", detail)


def test_a_needle_of_ones_own() -> None:
    client = Counting(answer="In Oslo.")
    own = {"needle": "Ann lives in Oslo.", "prompt": "Where does Ann live?", "answer": "Oslo", "filler": "Well. "}
    outcome = check(LongContext, client, tokens=500, depth=1, **own)
    assert outcome.verdict == "passed"
    assert client.text.startswith("Well. Well. ")
    assert client.text.endswith("Well. Ann lives in Oslo. \n\nWhere does Ann live?")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "tokens: Field required"),
        ({"tokens": 0}, "tokens: Input should be greater than or equal to 1"),
        ({"tokens": 10**9}, "tokens: Input should be less than or equal to 10000000"),
        ({"tokens": 9, "depth": 1.5}, "depth: Input should be less than or equal to 1"),
        ({"tokens": 9, "needle": "x"}, ": give `needle`, `prompt` and `answer`, or none of them"),
        (
            {"tokens": 9, "needle": "x", "prompt": "?", "answer": "y"},
            ": the needle does not contain 'y', so no answer could",
        ),
        ({"tokens": 9, "filler": ""}, "filler: String should have at least 1 character"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    assert refusal(LongContext, **fields) == message
