"""Reasons not to believe a measurement: the client was the limit, or client and server speak of different work."""

from collections.abc import Iterator
from typing import Final

from recipe_runner.api import Benchmark, Outcome
from recipe_runner.figures.counters import Counters

BUSY: Final = 0.9  # of one core: one thread sends and times all requests
TOKENS: Final = 0.02  # how far counts of tokens may be apart
PROMPT: Final = 0.1  # templates and images add to prompts, nothing takes away
PREFIX: Final = 0.02  # what of the prompts may be in the cache by chance: templates, common first words


def doubts(benchmark: Benchmark, outcome: Outcome, server: Counters | None, client_cpu: float | None) -> Iterator[str]:
    """Each reason, in words."""
    if client_cpu is not None and client_cpu >= BUSY:
        yield f"the client took {client_cpu:.0%} of a core, so the figures may be its own limit"
    if server is None or outcome.curve:  # the counts are of all probes, the metrics of one
        return
    counted, unmeasured = int(outcome.metrics.get("completed", 0)), benchmark.unmeasured()
    if counted and not counted <= server.requests <= counted + unmeasured:
        yield _requests(counted, unmeasured, server)
    elif counted:
        yield from _tokens(outcome, counted, unmeasured, server)
    by_design = benchmark.shared_prefix()
    if by_design is not None and server.prefix_hit_share > by_design + PREFIX:
        share = f"{server.prefix_hit_share:.0%} of the prompt tokens were in the prefix cache"
        yield f"{share}, {by_design:.0%} by design: the server had seen the prompts before"


def _requests(counted: int, unmeasured: int, server: Counters) -> str:
    if server.requests < counted:
        return f"the client counted {counted} requests, the server {server.requests}"
    others = server.requests - counted - unmeasured
    return f"somebody else used the server: {others} of {server.requests} requests were not ours"


def _tokens(outcome: Outcome, counted: int, unmeasured: int, server: Counters) -> Iterator[str]:
    """Those that are not measured may be of any length up to about twice the mean."""
    generated, prompts = (outcome.metrics.get(f"total_{kind}_tokens") for kind in ("output", "input"))
    if generated is not None:
        most = generated * (1 + TOKENS + 2 * unmeasured / counted)
        if not generated * (1 - TOKENS) <= server.generation_tokens <= most:
            yield f"the client counted {generated:.0f} generated tokens, the server {server.generation_tokens}"
    if prompts is not None and server.prompt_tokens < prompts * (1 - PROMPT):
        yield f"the client counted {prompts:.0f} prompt tokens, the server {server.prompt_tokens}"
