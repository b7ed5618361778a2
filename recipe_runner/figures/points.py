"""The points of a sweep beside each other: what is their own, what they came to, their headline figures, the best."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recipe_runner.serialize import one_line, to_json

HEADLINES: Final = {  # what it is called, and whether more of it is better
    "output_throughput": ("output tok/s", True),
    "median_ttft_ms": ("median TTFT ms", False),
    "median_tpot_ms": ("median TPOT ms", False),
}
USABLE: Final = ("passed", "measured", "inconclusive")
BEST: Final = "*"
Column = tuple[str, list[str]]


def columns(sweep: Mapping[str, Any]) -> Iterator[Column]:
    """Each column of the table, with its heading; the best figure of a column is marked."""
    points = sweep["points"]
    yield "point", [f"{point['number']:03}" for point in points]
    for key in sweep["axes"]:
        yield key, [_shown(point["overrides"][key]) for point in points]
    yield "verdict", [point["verdict"] or ("cannot begin" if point["errors"] else "not run") for point in points]
    names = dict.fromkeys(
        item["name"] for point in points for item in (point["report"] or {}).get("benchmarks", ()) if item["metrics"]
    )
    for name in names:
        for metric, (heading, more) in HEADLINES.items():
            values = [_value(point, name, metric) for point in points]
            if any(value is not None for value in values):
                yield f"{name}: {heading}" if len(names) > 1 else heading, _marked(values, more=more)


def _value(point: Mapping[str, Any], benchmark: str, metric: str) -> float | None:
    items = (point["report"] or {}).get("benchmarks", ())
    found = (item["metrics"].get(metric) for item in items if item["name"] == benchmark and item["verdict"] in USABLE)
    return next(found, None)


def _marked(values: list[float | None], *, more: bool) -> list[str]:
    known = [value for value in values if value is not None]
    best = (max if more else min)(known) if min(known) != max(known) else None
    shown = ["" if value is None else f"{value:,.2f}{f' {BEST}' if value == best else '  '}" for value in values]
    return [text.rjust(max(map(len, shown))) for text in shown]


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else to_json(value), most=60)
