"""What the points of a sweep come to together: one table over the axes, its best values, and the Pareto front."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from recipe_runner.api import Figure, best_of, better_of, figure, statement, usable
from recipe_runner.reports.document import complete, leading
from recipe_runner.reports.words import tally

WORST_FIRST: Final = ("interrupted", "error", "failed", "inconclusive", "passed")
NOTHING: Final[Mapping[str, Any]] = {"verdict": None, "metrics": {}}
_Any = TypeVar("_Any")
Column = tuple[str, str]  # a benchmark and a metric of it


@dataclass(frozen=True)
class Point:
    """One point: where it lies on the axes, what it came to, and its report, if there is one."""

    number: int
    folder: str
    at: tuple[Any, ...]
    verdict: str | None
    errors: tuple[str, ...]  # that kept it from beginning
    report: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        return self.verdict or ("cannot begin" if self.errors else "not run")

    def benchmark(self, name: str) -> Mapping[str, Any]:
        """What came of a benchmark; nothing where it was not begun."""
        return next((item for item in (self.report or {}).get("benchmarks", ()) if item["name"] == name), NOTHING)

    def figure(self, column: Column) -> float | None:
        """A metric of a benchmark; None where it has none, or could not be measured."""
        item = self.benchmark(column[0])
        return item["metrics"].get(column[1]) if usable(item) else None

    def comparable(self, column: Column) -> Figure | None:
        """The same with its noise, but for what may not be compared with that of other points."""
        return figure(self.benchmark(column[0]), column[1])


@dataclass(frozen=True)
class Sweep:
    """A sweep as a table."""

    axes: tuple[str, ...]
    points: tuple[Point, ...]
    words: tuple[str, ...]
    started: str

    @functools.cached_property
    def _best(self) -> dict[Column, float | None]:
        """What was looked for so far: a table asks at each of its cells."""
        return {}

    @property
    def reports(self) -> list[Mapping[str, Any]]:
        return [point.report for point in self.points if point.report]

    @property
    def simulated(self) -> bool:
        return any(report["simulated"] for report in self.reports)

    @property
    def verdict(self) -> str:
        """The worst of its points; one that cannot begin is an error, one that did not run was interrupted."""
        instead = {"cannot begin": "error", "not run": "interrupted"}
        return min((instead.get(point.state, point.state) for point in self.points), key=WORST_FIRST.index)

    @property
    def tally(self) -> str:
        return tally([point.state for point in self.points])

    def items(self) -> dict[str, list[Mapping[str, Any]]]:
        """Every benchmark by name, as each point has it."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for report in self.reports:
            for item in report["benchmarks"]:
                found.setdefault(item["name"], []).append(item)
        return found

    def columns(self) -> list[Column]:
        """The figures that lead, of each benchmark."""
        return list(self._columns)

    @functools.cached_property
    def _columns(self) -> list[Column]:
        return [(name, metric) for name, items in self.items().items() for metric in leading(filter(usable, items))]

    def best(self, column: Column) -> float | None:
        """The figure of a column that is better than all others by more than noise; None where none is."""
        if column not in self._best:
            self._best[column] = best_of(column[1], self._comparable(column))
        return self._best[column]

    @property
    def marked(self) -> bool:
        """Whether any figure is the best of its column."""
        return any(self.best(column) is not None for column in self.columns())

    def listed(self, most_cells: int) -> list[Point]:
        """The points that a table of so many cells has room for: the best of each column, and of the others some."""
        most = most_cells // (2 + len(self.axes) + len(self._columns))
        best = [point for point in self.points if any(self.is_best(point, column) for column in self._columns)]
        chosen = {id(point) for point in best[: most // 2]}
        others = [point for point in self.points if id(point) not in chosen]
        chosen |= {id(point) for point in some(others, most - len(chosen))}
        return [point for point in self.points if id(point) in chosen]

    def is_best(self, point: Point, column: Column) -> bool:
        found = point.comparable(column)
        return found is not None and found.value == self.best(column)

    def statements(self) -> list[str]:
        """What it takes for a figure to be the best, for each benchmark."""
        columns: dict[str, dict[str, list[Figure]]] = {}
        for name, metric in self.columns():
            if better_of(metric):
                columns.setdefault(name, {})[metric] = self._comparable((name, metric))
        told = {name: statement(found) for name, found in columns.items()}
        return [f"{name}: {said}." for name, said in told.items() if said]

    def _comparable(self, column: Column) -> list[Figure]:
        return [found for point in self.points if (found := point.comparable(column)) is not None]


def table(sweep: Mapping[str, Any]) -> Sweep:
    """The table of a sweep's document."""
    axes = tuple(sweep["axes"])
    return Sweep(axes, tuple(_points(sweep["points"], axes)), tuple(sweep["words"]), sweep["started"])


def _points(points: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Iterator[Point]:
    for point in points:
        at = tuple(point["overrides"].get(axis) for axis in axes)
        report = complete(point["report"]) if point["report"] else None
        errors = tuple(f"{error['where']} — {error['what']}; {error['do']}" for error in point.get("errors", ()))
        yield Point(point["number"], point["folder"], at, point["verdict"], errors, report)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points (more is better, less is better) that no other beats in both, by their place, best first value first.

    Of equal points each is on the front.
    """
    found: list[int] = []
    for place in sorted(range(len(points)), key=lambda i: (-points[i][0], points[i][1])):
        if not found or points[place][1] < points[found[-1]][1] or points[place] == points[found[-1]]:
            found.append(place)
    return found


def some(items: Sequence[_Any], most: int) -> list[_Any]:
    """So many of them at most, evenly, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]
