"""`csv`: figures.csv, every metric of every measurement on a line of its own."""

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from recipe_runner.api import Report
from recipe_runner.reports.document import complete
from recipe_runner.reports.sweeps import table
from recipe_runner.reports.words import shown
from recipe_runner.serialize import one_line

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute
COLUMNS: Final = ("benchmark", "measurement", "counted", "metric", "value")


class Csv(Report):
    """Writes `figures.csv`, a line for each measurement and metric; `sweep.csv`, a line for each point of a sweep.

    The figures of a benchmark that failed are there, too: its verdict stands before them.

    Text that a spreadsheet would take for a formula gets a `'` before it.
    """

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        return _written(folder / "figures.csv", [COLUMNS, *_figures(complete(report))])

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path:
        return _written(folder / "sweep.csv", _points(sweep))


def _figures(report: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    for benchmark in report["benchmarks"]:
        for item in benchmark["measurements"]:
            counted = "yes" if item["counted"] else "no"
            for metric, value in item["metrics"].items():
                yield benchmark["name"], item["name"], counted, metric, value


def _points(sweep: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    found = table(sweep)
    benchmarks = found.items().items()
    metrics = {name: dict.fromkeys(metric for item in each for metric in item["metrics"]) for name, each in benchmarks}
    yield "point", *found.axes, "verdict", *(f"{name}.{key}" for name in metrics for key in ("verdict", *metrics[name]))
    for point in found.points:
        items = [(point.benchmark(name), keys) for name, keys in metrics.items()]
        cells = [[item["verdict"], *map(item["metrics"].get, keys)] for item, keys in items]
        yield point.number, *point.at, point.verdict, *itertools.chain(*cells)


def _written(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return path


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = one_line(shown(value), most=10_000)
    return f"'{text}" if text.startswith(FORMULAS) else text
