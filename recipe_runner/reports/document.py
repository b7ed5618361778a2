"""The report document as writers take it: whole, whichever release wrote it; and which figures of it lead."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

LEADING: Final = (
    *("slo_max_concurrency", "slo_request_rate"),
    *("output_throughput", "median_ttft_ms", "p99_ttft_ms", "median_tpot_ms"),
)
MOST_LEADING: Final = 6
JUDGES: Final = ("checks", "benchmarks")

RUN: Final[Mapping[str, Any]] = {
    **{"simulated": False, "engine": "unknown", "diagnosis": None, "log_excerpt": [], "log_tail": [], "warnings": []},
    **{"parallelism": {}, "processes": [], "provenance": {}, "choices": {}, "overrides": {}},
}
BENCHMARK: Final[Mapping[str, Any]] = {"fields": {}, "noise": {}, "distributions": {}, "curve": []}
MEASUREMENT: Final[Mapping[str, Any]] = {"seed": None, "server": None, "client_cpu": None, "doubts": []}
FIGURE: Final[Mapping[str, Any]] = {
    **{"per": "total", "tolerance_percent": None, "gate": False, "limit": None, "verdict": None, "why": ""},
}


def complete(report: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every field that there is today; a benchmark of old was measured once."""
    benchmarks = [_benchmark(item, report["expected"].get(item["name"])) for item in report["benchmarks"]]
    return {**RUN, **report, "benchmarks": benchmarks}


def _benchmark(item: Mapping[str, Any], expected: Mapping[str, Any] | None) -> dict[str, Any]:
    once = {"name": item["name"], "counted": True, "seconds": item["seconds"], "metrics": item["metrics"]}
    measured = item.get("measurements", [once] if item["metrics"] else [])
    reported = expected["metrics"] if expected and item["metrics"] else {}
    figures = [
        {"expected": item["name"], "metric": metric, "measured": item["metrics"].get(metric), **figure}
        for metric, figure in reported.items()
    ]
    return {
        **BENCHMARK,
        **item,
        "measurements": [MEASUREMENT | measurement for measurement in measured],
        "figures": [FIGURE | figure for figure in item.get("figures", figures)],
    }


def leading(benchmarks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The metrics that stand for the rest: those of gates, then the usual ones; the first few where it has neither."""
    listed = list(benchmarks)
    gates = [figure["metric"] for item in listed for figure in item["figures"] if figure["gate"]]
    there = dict.fromkeys(metric for item in listed for metric in _metrics(item))
    found = dict.fromkeys(metric for metric in (*gates, *LEADING) if metric in there)
    return list(found or there)[:MOST_LEADING]


def _metrics(benchmark: Mapping[str, Any]) -> Iterable[str]:
    yield from benchmark["metrics"]
    for measurement in benchmark["measurements"]:
        yield from measurement["metrics"]
