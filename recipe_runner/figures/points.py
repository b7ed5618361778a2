"""The points of a sweep beside each other: what is their own, what they came to, their headline figures, the best."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recipe_runner.figures.better import best_of, comparable
from recipe_runner.serialize import one_line, to_json

HEADLINES: Final = {  # and what they are called
    "output_throughput": "output tok/s",
    "median_ttft_ms": "median TTFT ms",
    "median_tpot_ms": "median TPOT ms",
}
USABLE: Final = ("passed", "measured", "inconclusive")
NOTHING: Final[Mapping[str, Any]] = {"verdict": "skipped", "metrics": {}}
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
        items = [_item(point, name) for point in points]
        for metric, heading in HEADLINES.items():
            if any(metric in item["metrics"] for item in items):
                yield f"{name}: {heading}" if len(names) > 1 else heading, _marked(items, metric)


def _item(point: Mapping[str, Any], benchmark: str) -> Mapping[str, Any]:
    """A benchmark as a point has it, if it has figures of it."""
    items = (point["report"] or {}).get("benchmarks", ())
    found = (item for item in items if item["name"] == benchmark and item["verdict"] in USABLE)
    return next(found, NOTHING)


def _marked(items: list[Mapping[str, Any]], metric: str) -> list[str]:
    judged = [item["metrics"].get(metric) if comparable(item) else None for item in items]
    best = best_of(metric, [value for value in judged if value is not None])
    values = [item["metrics"].get(metric) for item in items]
    shown = [
        "" if value is None else f"{value:,.2f}{f' {BEST}' if may == best is not None else '  '}"
        for value, may in zip(values, judged, strict=True)
    ]
    return [text.rjust(max(map(len, shown))) for text in shown]


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else to_json(value), most=60)
