"""What the simulated server counts, under vLLM's names, as Prometheus reads it."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

KV_TOKENS: Final = 65_536
BLOCK: Final = 16
ENDS: Final = ("stop", "length", "abort", "error")


class Metrics:
    """Counts requests and tokens; a prefix that was seen before counts as cached, in whole blocks."""

    def __init__(self, model: str) -> None:
        self.labels = f'engine="0",model_name="{model}"'
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._blocks: set[int] = set()
        self._running = self._held = 0

    @contextmanager
    def request(self, prompt: Sequence[Any], tokens: int, finish: str) -> Iterator[int]:
        """One request while it runs: how many there are, with it.

        One whose client went away is aborted, and generated nothing that counts.
        """
        held = len(prompt) + tokens
        with self._lock:
            self._running, self._held = self._running + 1, self._held + held
            running = self._running
            self._counts["prompt_tokens"] += len(prompt)
            self._counts["prefix_cache_queries"] += len(prompt)
            self._counts["prefix_cache_hits"] += self._cached(prompt)
        end = "abort"
        try:
            yield running
            end = {"tool_calls": "stop"}.get(finish, finish)
        finally:
            with self._lock:
                self._running, self._held = self._running - 1, self._held - held
                self._counts["generation_tokens"] += tokens if end != "abort" else 0
                self._ended[end] += 1

    def error(self) -> None:
        """One request came to nothing."""
        with self._lock:
            self._ended["error"] += 1

    def text(self) -> str:
        """The page `/metrics`."""
        with self._lock:
            return "\n".join(("# simulated", *self._lines(), ""))

    def _lines(self) -> Iterator[str]:
        usage = min(1.0, self._held / KV_TOKENS)
        gauges = {"num_requests_running": self._running, "num_requests_waiting": 0, "kv_cache_usage_perc": usage}
        for name, value in gauges.items():
            yield f"# TYPE vllm:{name} gauge\nvllm:{name}{{{self.labels}}} {float(value)}"
        counters = (
            "prompt_tokens",
            "generation_tokens",
            "prefix_cache_queries",
            "prefix_cache_hits",
            "num_preemptions",
        )
        for name in counters:
            yield f"# TYPE vllm:{name}_total counter\nvllm:{name}_total{{{self.labels}}} {float(self._counts[name])}"
        yield "# TYPE vllm:request_success_total counter"
        for end in ENDS:
            yield f'vllm:request_success_total{{{self.labels},finished_reason="{end}"}} {float(self._ended[end])}'

    def _cached(self, prompt: Sequence[Any]) -> int:
        """How many leading tokens were seen before; from now on all of them were."""
        chain, hits, whole = 0, 0, True
        for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
            chain = hash((chain, tuple(prompt[start : start + BLOCK])))
            whole = whole and chain in self._blocks
            hits += BLOCK * whole
            self._blocks.add(chain)
        return hits
