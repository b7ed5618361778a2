"""The points of a sweep beside each other: what is their own, what they came to, their headline figures, the best."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recipe_runner.figures.best import Figure, best_of, figure, statement, usable
from recipe_runner.serialize import one_line, to_json

HEADLINES: Final = {  # and what they are called
    "slo_max_concurrency": "concurrency within SLO",
    "slo_request_rate": "req/s within SLO",
    "output_throughput": "output tok/s",
    "median_ttft_ms": "median TTFT ms",
    "median_tpot_ms": "median TPOT ms",
}
NOTHING: Final[Mapping[str, Any]] = {"verdict": "skipped", "metrics": {}}
BEST: Final = "*"
Column = tuple[str, list[str]]


def columns(sweep: Mapping[str, Any]) -> Iterator[Column]:
    """Each column of the table, with its heading; the best figure of a column is marked, where one is."""
    points = sweep["points"]
    yield "point", [f"{point['number']:03}" for point in points]
    for key in sweep["axes"]:
        yield key, [_shown(point["overrides"][key]) for point in points]
    yield "verdict", [point["verdict"] or ("cannot begin" if point["errors"] else "not run") for point in points]
    for name, heading, metric, items in _figures(sweep):
        yield f"{name}: {heading}" if name else heading, _marked(items, metric)


def statements(sweep: Mapping[str, Any]) -> Iterator[str]:
    """How far two figures of a column have to be apart to be told apart, in a line for each benchmark."""
    said: dict[str, dict[str, list[Figure]]] = {}
    for name, heading, metric, items in _figures(sweep):
        said.setdefault(name, {})[heading] = _known(items, metric)
    for name, found in said.items():
        if told := statement(found):
            yield f"{name}: {told}" if name else told


def _figures(sweep: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Mapping[str, Any]]]]:
    """Each headline metric of each benchmark: the name, if there are several, how the metric is called, all points'."""
    points = sweep["points"]
    names = dict.fromkeys(
        item["name"] for point in points for item in (point["report"] or {}).get("benchmarks", ()) if item["metrics"]
    )
    for name in names:
        items = [_item(point, name) for point in points]
        for metric, heading in HEADLINES.items():
            if any(metric in item["metrics"] for item in items):
                yield name if len(names) > 1 else "", heading, metric, items


def _item(point: Mapping[str, Any], benchmark: str) -> Mapping[str, Any]:
    """A benchmark as a point has it, if it has figures of it."""
    items = (point["report"] or {}).get("benchmarks", ())
    found = (item for item in items if item["name"] == benchmark and usable(item))
    return next(found, NOTHING)


def _known(items: list[Mapping[str, Any]], metric: str) -> list[Figure]:
    return [one for item in items if (one := figure(item, metric)) is not None]


def _marked(items: list[Mapping[str, Any]], metric: str) -> list[str]:
    best = best_of(metric, _known(items, metric))
    values = [item["metrics"].get(metric) for item in items]
    shown = [
        "" if value is None else f"{value:,.2f}{f' {BEST}' if figure(item, metric) and value == best else '  '}"
        for value, item in zip(values, items, strict=True)
    ]
    return [text.rjust(max(map(len, shown))) for text in shown]


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else to_json(value), most=60)
