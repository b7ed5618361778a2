"""Which of several figures is better, and which may be compared at all."""

from collections.abc import Collection, Mapping
from typing import Any, Literal


def better_of(metric: str) -> Literal["higher", "lower"] | None:
    """Which way a metric is better, where its name says so."""
    if "throughput" in metric or metric.endswith(("_per_s", "goodput")) or metric.startswith("slo_"):
        return "higher"
    return "lower" if metric == "duration" or metric.endswith(("_ms", "_s")) else None


def best_of(metric: str, values: Collection[float]) -> float | None:
    """The best of several values of a metric; None where none of two is better."""
    way = better_of(metric)
    if way is None or len(set(values)) < 2:
        return None
    return max(values) if way == "higher" else min(values)


def comparable(benchmark: Mapping[str, Any]) -> bool:
    """Whether what a report says of a benchmark may be better than that of others: it came to its end, undoubted."""
    doubted = any(one["counted"] and one.get("doubts") for one in benchmark.get("measurements", ()))
    return benchmark["verdict"] in ("passed", "measured", "inconclusive") and not doubted
