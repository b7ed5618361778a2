import math
from typing import Any

import pytest

from recipe_runner.api import Outcome
from recipe_runner.checks.embedding import Embedding, cosine
from tests.checks.saying import Saying, check, refusal

CAT, SLEEPS, BANK = "A cat sleeps on the sofa.", "The cat is asleep on the sofa.", "Central banks raised interest rates"
GOOD = ([1.0, 0.0], [4.0, 3.0], [0.0, 2.0])


def test_what_is_asked() -> None:
    client = Saying(vectors=GOOD)
    detail = "2 numbers a vector; cosine ≥ 0.800 where alike, ≤ 0.600 where different"
    assert check(Embedding, client, dimension=2) == Outcome("passed", detail)
    assert client.asked == [([CAT, SLEEPS, f"{BANK} this spring."], {})]


@pytest.mark.parametrize(
    ("vectors", "fields", "detail"),
    [
        (GOOD[:2], {}, "2 vectors for 3 texts"),
        ((), {}, "0 vectors for 3 texts"),
        (GOOD, {"dimension": 3}, f"the vector of {CAT!r} has 2 numbers, not 3"),
        ((GOOD[0], [1.0], GOOD[2]), {}, f"the vector of {SLEEPS!r} has 1 numbers, not 2"),
        ((GOOD[0], [math.nan, 1], GOOD[2]), {}, f"the vector of {SLEEPS!r} has a number that is not finite"),
        ((GOOD[0], GOOD[1], [math.inf, 1]), {"different": ["x"]}, "the vector of 'x' has a number that is not finite"),
        (([0.0, 0.0], *GOOD[1:]), {}, f"the vector of {CAT!r} is all zero"),
        (([], *GOOD[1:]), {}, f"the vector of {CAT!r} is all zero"),
        (
            (GOOD[0], GOOD[2], GOOD[1]),
            {},
            "what is alike is no nearer than what is different: cosine ≥ 0.000 where alike, ≤ 0.800 where different",
        ),
        (
            ([1e-200, 0.0], [1e-200, 0.0], [1e308, 0.0]),
            {},
            "what is alike is no nearer than what is different: cosine ≥ 1.000 where alike, ≤ 1.000 where different",
        ),
        (
            (GOOD[0],) * 3,
            {},
            "what is alike is no nearer than what is different: cosine ≥ 1.000 where alike, ≤ 1.000 where different",
        ),
    ],
)
def test_what_is_no_embedding(vectors: Any, fields: dict[str, Any], detail: str) -> None:
    assert check(Embedding, Saying(vectors=vectors), **fields) == Outcome("failed", detail)


def test_the_farthest_of_those_alike_and_the_nearest_of_the_others_count() -> None:
    client = Saying(vectors=([1, 0], [1, 0], [1, 1], [0, 1], [1, 2]))
    outcome = check(Embedding, client, alike=["a", "b", "c"], different=["d", "e"])
    assert (outcome.verdict, outcome.detail.partition(": ")[2]) == (
        "failed",
        "cosine ≥ 0.707 where alike, ≤ 0.949 where different",
    )


def test_cosines() -> None:
    assert cosine([1, 2], [2, 4]) == pytest.approx(1)
    assert cosine([1, 0], [0, 5]) == 0
    assert cosine([1, 0], [-3, 0]) == -1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alike": ["one"]}, "alike: List should have at least 2 items after validation, not 1"),
        ({"different": []}, "different: List should have at least 1 item after validation, not 0"),
        ({"dimension": 0}, "dimension: Input should be greater than or equal to 1"),
        ({"alike": "one"}, "alike: Input should be a valid list"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    assert refusal(Embedding, **fields) == message
