"""Every single value in a result, from the arrays of `vllm bench serve --save-detailed`, and what they come to."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

KINDS: Final = ("ttft", "tpot", "itl", "e2el")
STATS: Final = ("mean", "median", "p90", "p95", "p99")
NAMES: Final = tuple(f"{stat}_{kind}_ms" for kind in KINDS for stat in STATS)


class Samples(NamedTuple):
    """Milliseconds by what was measured (`KINDS`), and when the first request began and the last one ended."""

    ms: Mapping[str, Sequence[float]]
    span: tuple[float, float] | None


def samples(result: Mapping[str, Any]) -> Samples:
    """The values of the requests that generated something; none where the tool wrote no arrays."""
    if not all(isinstance(result.get(name), list) for name in ("output_lens", "ttfts", "itls")):
        return Samples({}, None)
    tokens, ttfts, itls = result["output_lens"], result["ttfts"], result["itls"]
    latencies = result.get("latencies") or [first + sum(gaps) for first, gaps in zip(ttfts, itls, strict=True)]
    starts = result.get("start_times") or [None] * len(tokens)
    done = [one for one in zip(tokens, ttfts, itls, latencies, starts, strict=True) if one[0]]
    seconds = {
        "ttft": [first for _, first, *_ in done],
        "tpot": [(latency - first) / (count - 1) for count, first, _, latency, _ in done if count > 1],
        "itl": [gap for _, _, gaps, *_ in done for gap in gaps],
        "e2el": [latency for *_, latency, _ in done],
    }
    spans = [(start, start + latency) for *_, latency, start in done if start is not None]
    span = (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None
    return Samples({kind: [1000 * value for value in values] for kind, values in seconds.items()}, span)


def statistics_of(ms: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Mean, median and percentiles of each kind, interpolated as numpy does; nothing of nothing."""
    found: dict[str, float] = {}
    for kind, values in ms.items():
        if values:
            inner = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [*values] * 99
            percentiles = (inner[percent - 1] for percent in (90, 95, 99))
            stats = (statistics.fmean(values), statistics.median(values), *percentiles)
            found |= {f"{stat}_{kind}_ms": value for stat, value in zip(STATS, stats, strict=True)}
    return found
