"""Which way a metric is better, and which of several figures is the best by more than noise."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple

from recipe_runner.serialize import MOST_PERCENT

SEARCHED: Final = ("slo_max_concurrency", "slo_request_rate")
UNKNOWN: Final = "no figure is marked as the best: their noise is not known; benchmark.NAME.repeat=5 measures it"
USABLE: Final = ("passed", "measured", "inconclusive")


class Figure(NamedTuple):
    """A figure, and by what ratio it may be off; None where nobody knows, as of one that was measured once."""

    value: float
    off: float | None


def better_of(metric: str) -> Literal["higher", "lower"] | None:
    """Which way a metric is better, where its name says so."""
    if "throughput" in metric or metric.endswith(("_per_s", "goodput")) or metric.startswith("slo_"):
        return "higher"
    return "lower" if metric == "duration" or metric.endswith(("_ms", "_s")) else None


def units_of(metric: str) -> tuple[str, ...]:
    """How the unit of a metric may be written, the usual one first, where its name says which that is."""
    if metric in ("output_throughput", "total_token_throughput"):
        return ("tok/s", "tokens/s")
    if metric in ("request_throughput", "request_goodput", "slo_request_rate"):
        return ("req/s", "requests/s")
    if better_of(metric) == "lower":
        return ("ms",) if metric.endswith("_ms") else ("s",)
    return ()


def usable(benchmark: Mapping[str, Any]) -> bool:
    """Whether a benchmark's figures are of what was asked for, even if they missed a gate."""
    counted = [one.get("verdict") for one in benchmark.get("measurements", ()) if one["counted"]]
    missed = benchmark["verdict"] == "failed" and bool(counted) and {*counted} <= {*USABLE}
    return missed or benchmark["verdict"] in USABLE


def comparable(benchmark: Mapping[str, Any]) -> bool:
    """Whether what a report says of a benchmark may be the best of several: it did not fail, and is not doubted."""
    doubted = any(one["counted"] and one.get("doubts") for one in benchmark.get("measurements", ()))
    return benchmark["verdict"] in USABLE and not doubted


def figure(benchmark: Mapping[str, Any], metric: str) -> Figure | None:
    """What a report says of a metric, if it may be compared with that of others."""
    if metric not in benchmark["metrics"] or not comparable(benchmark):
        return None
    value, noise = benchmark["metrics"][metric], benchmark.get("noise", {}).get(metric)
    more = step(metric, benchmark.get("fields"), value)
    return Figure(value, None if noise is None else (1 + noise["half_width_percent"] / 100) * (1 + more))


def told_apart(figures: Collection[Figure]) -> float | None:
    """By what ratio any two of these must differ, for their intervals to lie apart; None where that is not known."""
    offs = sorted((one.off for one in figures if one.off is not None), reverse=True)
    return offs[0] * offs[1] if len(offs) == len(figures) > 1 else None


def statement(columns: Mapping[str, Collection[Figure]]) -> str:
    """How far two figures of each column have to be apart for the better one to be better, in a sentence."""
    asked = {name: figures for name, figures in columns.items() if len(figures) > 1}
    known = {name: ratio for name, figures in asked.items() if (ratio := told_apart(figures)) is not None}
    if known:
        told = ", ".join(f"{more(ratio)} ({name})" for name, ratio in known.items())
        return f"two figures are told apart where they differ by more than {told}"
    return UNKNOWN if asked else ""


def more(ratio: float) -> str:
    """A ratio as so many percent more."""
    percent = 100 * (ratio - 1)
    return f"{percent:.1f} %" if percent < MOST_PERCENT else f"{MOST_PERCENT} %"


def best_of(metric: str, figures: Collection[Figure]) -> float | None:
    """The figure whose interval lies on the good side of all others; None where none does, or where one is unknown."""
    way = better_of(metric)
    if way is None or told_apart(figures) is None or min(one.value for one in figures) <= 0:
        return None
    ranked = sorted(figures, key=lambda one: one.value, reverse=way == "higher")
    first, others = ranked[0], ranked[1:]
    apart = (abs(math.log(first.value / one.value)) > math.log((first.off or 1) * (one.off or 1)) for one in others)
    return first.value if all(apart) else None


def step(metric: str, asked: Mapping[str, Any] | None, least: float) -> float:
    """How much more, as a share, is the next value that a search could have found; 0 for what is measured."""
    if metric not in SEARCHED or not asked or not least > 0:
        return 0.0
    whole = 1 / least if metric == "slo_max_concurrency" else 0.0
    return max(float(asked.get("precision", 0.0)), whole)
