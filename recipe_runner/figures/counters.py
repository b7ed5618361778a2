"""What the server counted, by its own `/metrics`: to hold against what the client says."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from recipe_runner.client import AnswerError, Client

LATE_S: Final = 2.0
LOOK_S: Final = 0.05
NAMES: Final = {
    "vllm:request_success": "requests",
    "vllm:prompt_tokens": "prompt_tokens",
    "vllm:generation_tokens": "generation_tokens",
    "vllm:prefix_cache_queries": "prefix_queries",
    "vllm:prefix_cache_hits": "prefix_hits",
    "vllm:num_preemptions": "preemptions",
    "vllm:num_requests_running": "running",
}


@dataclass(frozen=True)
class Counters:
    """Totals since the server's start, or what was added to them; of all engines together. `running` are those now."""

    requests: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    running: int = field(default=0, compare=False)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The counters in a page; None where it has none of vLLM's.

        Raises:
            ValueError: it is not in Prometheus' format.

        """
        from prometheus_client.parser import text_string_to_metric_families

        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            if name := NAMES.get(family.name.removesuffix("_total")):
                counted = family.name if family.type == "gauge" else f"{family.name}_total"
                totals[name] = sum(sample.value for sample in family.samples if sample.name == counted)
        return cls(**{name: int(value) for name, value in totals.items()}) if "requests" in totals else None

    @classmethod
    def of(cls, client: Client) -> Self | None:
        """What the server has counted so far; None where it does not say."""
        try:
            return cls.read(client.metrics())
        except (AnswerError, ValueError, OverflowError):
            return None

    @classmethod
    def settled(cls, client: Client) -> Self | None:
        """The same once nothing runs; the server may count a request a moment after its answer."""
        deadline = time.monotonic() + LATE_S
        while (now := cls.of(client)) and now.running and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return now

    @classmethod
    def since(cls, before: "Counters | None", client: Client, requests: int) -> "Counters | None":
        """What was added; the server may count the last of so many requests a moment after its answer."""
        if before is None:
            return None
        deadline = time.monotonic() + LATE_S
        while (now := cls.of(client)) and (now - before).requests < requests and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return now and now - before

    def __sub__(self, before: "Counters") -> "Counters":
        return Counters(**{name: getattr(self, name) - getattr(before, name) for name in self._names()})

    @property
    def prefix_hit_share(self) -> float:
        """The share of prompt tokens that were found in the prefix cache."""
        return self.prefix_hits / self.prefix_queries if self.prefix_queries else 0.0

    def as_dict(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in self._names() if not name.startswith(("prefix", "running"))}
        return {**shown, "prefix_hit_share": round(self.prefix_hit_share, 4)}

    @classmethod
    def _names(cls) -> Iterable[str]:
        return (field.name for field in fields(cls))
