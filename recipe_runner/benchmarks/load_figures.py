"""From streams to figures, by the definitions of `vllm bench serve`.

Times are those of each event that carries a choice: the one that only says who speaks, too, and not the last ones.
"""

import json
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any


class Stream:
    """One streamed answer: when each event came, in seconds from the request, and what the server counted."""

    def __init__(self) -> None:
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
    """What the requests came to, under the names that `vllm bench serve` gives."""
    inputs = sum(stream.prompt_tokens for stream in streams)
    output = sum(stream.tokens for stream in streams)
    long = [stream for stream in streams if stream.tokens > 1]
    return {
        "completed": len(streams),
        "failed": failed,
        "duration": seconds,
        "total_input_tokens": inputs,
        "total_output_tokens": output,
        "request_throughput": len(streams) / seconds,
        "output_throughput": output / seconds,
        "total_token_throughput": (inputs + output) / seconds,
        **_spread("ttft", [stream.times[0] for stream in streams]),
        **_spread("tpot", [(stream.times[-1] - stream.times[0]) / (stream.tokens - 1) for stream in long]),
        **_spread("itl", [after - before for stream in streams for before, after in pairwise(stream.times)]),
    }


def _spread(of: str, seconds: Sequence[float]) -> dict[str, float]:
    """Mean, median and 99th percentile in milliseconds; 0 of nothing, as there."""
    values = [1000 * value for value in seconds] or [0.0]
    p99 = statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
    stats = {"mean": statistics.fmean(values), "median": statistics.median(values), "p99": p99}
    return {f"{stat}_{of}_ms": value for stat, value in stats.items()}
