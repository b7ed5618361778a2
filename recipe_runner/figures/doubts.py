"""Reasons not to believe a measurement: the client was the limit, or client and server speak of different work."""

from collections.abc import Iterator, Mapping
from typing import Final

from recipe_runner.api import Benchmark, Outcome
from recipe_runner.figures.counters import Counters

BUSY: Final = 0.9  # of one core: one thread sends and times all requests
TOKENS: Final = 0.02  # how far counts of tokens may be apart
PROMPT: Final = 0.1  # templates and images add to prompts, nothing takes away
COUNTED: Final = ("completed", "total_input_tokens", "total_output_tokens")
PREFIX: Final = 0.02  # what of the prompts may be in the cache by chance: templates, common first words


def doubts(
    benchmark: Benchmark,
    outcome: Outcome,
    server: Counters | None,
    client_cpu: float | None,
    first: Counters | None = None,
) -> Iterator[str]:
    """Each reason, in words; `first` is what the server counted the first time that the benchmark was measured."""
    if client_cpu is not None and client_cpu >= BUSY:
        yield f"the client took {client_cpu:.0%} of a core, so the figures may be its own limit"
    if server is None:
        return
    parts = outcome.curve or (outcome.metrics,)  # of a search, what was made at every load
    totals = {name: sum(part.get(name, 0) for part in parts) for name in COUNTED if all(name in part for part in parts)}
    counted, unmeasured = int(totals.get("completed", 0)), benchmark.unmeasured() * len(parts)
    if counted and not counted <= server.requests <= counted + unmeasured:
        yield _requests(counted, unmeasured, server)
    elif counted:
        yield from _tokens(totals, counted, unmeasured, server)
    yield from _seen(benchmark.shared_prefix(), server, first)


def _seen(by_design: float | None, server: Counters, first: Counters | None) -> Iterator[str]:
    """Prompts that were in the cache; where nobody knows how many should be, no more than the first time."""
    share = f"{server.prefix_hit_share:.0%} of the prompt tokens were in the prefix cache"
    seen = "the server had seen the prompts before"
    if by_design is None and first is not None and server.prefix_hit_share > first.prefix_hit_share + PREFIX:
        do = "serve.enable_prefix_caching=false keeps them apart"
        yield f"{share}, {first.prefix_hit_share:.0%} the first time: {seen}; {do}"
    if by_design is not None and server.prefix_hit_share > by_design + PREFIX:
        yield f"{share}, {by_design:.0%} by design: {seen}"


def _requests(counted: int, unmeasured: int, server: Counters) -> str:
    if server.requests < counted:
        return f"the client counted {counted} requests, the server {server.requests}"
    others = server.requests - counted - unmeasured
    return f"somebody else used the server: {others} of {server.requests} requests were not ours"


def _tokens(totals: Mapping[str, float], counted: int, unmeasured: int, server: Counters) -> Iterator[str]:
    """Those that are not measured may be of any length up to about twice the mean."""
    generated, prompts = (totals.get(f"total_{kind}_tokens") for kind in ("output", "input"))
    if generated is not None:
        most = generated * (1 + TOKENS + 2 * unmeasured / counted)
        if not generated * (1 - TOKENS) <= server.generation_tokens <= most:
            yield f"the client counted {generated:.0f} generated tokens, the server {server.generation_tokens}"
    if prompts is not None and server.prompt_tokens < prompts * (1 - PROMPT):
        yield f"the client counted {prompts:.0f} prompt tokens, the server {server.prompt_tokens}"
