"""From streams to figures, by the definitions of `vllm bench serve`.

Times are those of each event that carries a choice: the one that only says who speaks, too, and not the last ones.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from recipe_runner.benchmarks.samples import NAMES, samples, statistics_of


class Stream:
    """One streamed answer: when each event came, in seconds from its start, and what the server counted."""

    def __init__(self, started: float = 0.0) -> None:
        self.started = started
        self.times: list[float] = []
        self.usage: dict[str, Any] = {}
        self.ended = False

    def take(self, line: bytes, seconds: float) -> None:
        if not line.startswith(b"data:"):
            return  # between two events, or a comment
        data = line.removeprefix(b"data:").strip()
        self.ended = data == b"[DONE]"
        event = {} if self.ended else json.loads(data)
        if "error" in event:
            raise ValueError(f"an error in the stream: {event['error']}")
        if event.get("choices"):
            self.times.append(seconds)
        self.usage = {**self.usage, **(event.get("usage") or {})}

    @property
    def prompt_tokens(self) -> int:
        return int(self.usage.get("prompt_tokens") or 0)

    @property
    def tokens(self) -> int:
        """What was generated; where the server does not say, an event counts as one."""
        return int(self.usage.get("completion_tokens", len(self.times)))


def figures(streams: Sequence[Stream], failed: int, seconds: float) -> dict[str, Any]:
    """What the requests came to, under the names that `vllm bench serve` gives; of nothing, times are 0 as there."""
    inputs = sum(stream.prompt_tokens for stream in streams)
    output = sum(stream.tokens for stream in streams)
    return {
        "completed": len(streams),
        "failed": failed,
        "duration": seconds,
        "total_input_tokens": inputs,
        "total_output_tokens": output,
        "request_throughput": len(streams) / seconds,
        "output_throughput": output / seconds,
        "total_token_throughput": (inputs + output) / seconds,
        **dict.fromkeys(NAMES, 0.0),
        **statistics_of(samples(arrays(streams)).ms),
    }


def arrays(streams: Sequence[Stream]) -> dict[str, list[Any]]:
    """Every single value in seconds, as `--save-detailed` has them there."""
    return {
        "output_lens": [stream.tokens for stream in streams],
        "ttfts": [stream.times[0] for stream in streams],
        "itls": [[after - before for before, after in pairwise(stream.times)] for stream in streams],
        "start_times": [stream.started for stream in streams],
    }
