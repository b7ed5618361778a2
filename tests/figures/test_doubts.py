"""Reasons not to believe a measurement."""

from typing import Any

import pytest

from recipe_runner.api import Benchmark, Outcome
from recipe_runner.figures.counters import Counters
from recipe_runner.figures.doubts import doubts

CLIENT = {"completed": 50, "total_output_tokens": 3200, "total_input_tokens": 12800}
SERVER = {
    "requests": 51,
    "prompt_tokens": 13056,
    "generation_tokens": 3264,
    "prefix_queries": 10000,
    "prefix_hits": 196,
}


class Bench(Benchmark):
    """One request that is not measured; 2 % of the prompts are alike by design, or that is not known."""

    known: bool = True

    def unmeasured(self) -> int:
        return 1

    def shared_prefix(self) -> float | None:
        return 0.02 if self.known else None


def found(
    cpu: float | None = 0.5, *, known: bool = True, curve: Any = (), first: Counters | None = None, **server: int
) -> list[str]:
    outcome = Outcome("measured", metrics=CLIENT, curve=curve)
    return list(doubts(Bench(uses="b", known=known), outcome, Counters(**SERVER | server), cpu, first))


def test_none() -> None:
    assert found() == []
    assert found(None) == []
    assert list(doubts(Bench(uses="b"), Outcome("measured", metrics=CLIENT), None, None)) == []


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({"requests": 49}, "the client counted 50 requests, the server 49"),
        ({"requests": 60}, "somebody else used the server: 9 of 60 requests were not ours"),
        ({"generation_tokens": 3100}, "the client counted 3200 generated tokens, the server 3100"),
        ({"generation_tokens": 3500}, "the client counted 3200 generated tokens, the server 3500"),
        ({"prompt_tokens": 10000}, "the client counted 12800 prompt tokens, the server 10000"),
        (
            {"prefix_hits": 3900},
            "39% of the prompt tokens were in the prefix cache, 2% by design: the server had seen the prompts before",
        ),
    ],
)
def test_client_and_server_speak_of_different_work(server: dict[str, int], told: str) -> None:
    assert found(**server) == [told]


@pytest.mark.parametrize(
    "server", [{"generation_tokens": 3200}, {"generation_tokens": 3300}, {"prompt_tokens": 12000}, {"requests": 50}]
)
def test_within_what_is_not_measured(server: dict[str, int]) -> None:
    assert found(**server) == []


def test_nobody_knows_what_is_alike_by_design() -> None:
    assert found(known=False, prefix_hits=9000) == []
    first = Counters(prefix_queries=100, prefix_hits=89)
    assert found(known=False, first=first, prefix_hits=9000) == []
    assert found(known=False, first=Counters(prefix_queries=100), prefix_hits=9000) == [
        "90% of the prompt tokens were in the prefix cache, 0% the first time: the server had seen the prompts before; "
        "serve.enable_prefix_caching=false keeps them apart"
    ]


def test_the_counts_of_a_search_are_of_all_its_probes() -> None:
    curve = [{"load": load, **CLIENT} for load in (1, 2)]
    twice = {name: 2 * count for name, count in SERVER.items()}
    assert found(curve=curve, **twice) == []
    assert found(curve=curve, **twice | {"requests": 103}) == [
        "somebody else used the server: 1 of 103 requests were not ours"
    ]
    assert found(curve=[{"load": 1}], **twice) == []


def test_the_client_was_the_limit() -> None:
    assert found(0.97) == ["the client took 97% of a core, so the figures may be its own limit"]
    assert found(0.89) == []
