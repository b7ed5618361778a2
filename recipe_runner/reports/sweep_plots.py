"""What is plotted of a sweep: figures over its axes, and throughput against latency."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recipe_runner.api import better_of
from recipe_runner.reports.drawing import INK, MUTED, SERIES, Draw, label
from recipe_runner.reports.plots import Plot, plot
from recipe_runner.reports.sweeps import Column, Point, Sweep, front, some
from recipe_runner.reports.words import number, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED: Final = 30  # points; of more, only some of the front have their names
MOST_DRAWN: Final = 500  # points
MOST_LINES: Final = 12
MOST_TICKS: Final = 12
Placed = tuple[Point, float, float]
Line = list[tuple[Any, float]]


def of_sweep(sweep: Sweep) -> list[Plot]:
    """Throughput against latency, and each over each axis, for each benchmark; what tells most comes first."""
    found: list[Plot] = []
    for name in sweep.items():
        columns = [column for column in sweep.columns() if column[0] == name]
        rate = next((column for column in columns if better_of(column[1]) == "higher"), None)
        latency = next((column for column in columns if better_of(column[1]) == "lower"), None)
        measured = [column for column in columns if not column[1].startswith("slo_")]  # not what was searched for
        throughput = next((column for column in measured if better_of(column[1]) == "higher"), None)
        if throughput and latency:
            found += _trade(sweep, throughput, latency)
        for column in (rate, latency):
            if column is not None:
                found += _over_axes(sweep, column)
    return found


def _over_axes(sweep: Sweep, column: Column) -> Iterator[Plot]:
    for place, axis in enumerate(sweep.axes):
        values = list({shown(point.at[place]): point.at[place] for point in sweep.points}.values())
        lines = _lines(sweep, place, column)
        if len(values) > 1 and any(lines.values()):
            benchmark, metric = column
            told = f"{len(lines)} line{'s' * (len(lines) > 1)}, one for each combination of the other axes"
            if len(lines) > MOST_LINES:
                told = f"highest, middle and lowest of the {len(lines)} combinations of the other axes"
                lines = _spread(lines)
            yield plot(benchmark, f"{metric} over {axis}", told, _over(lines, values, axis, metric))


def _lines(sweep: Sweep, place: int, column: Column) -> dict[str, Line]:
    """Values of a column along one axis, a line for each combination of the others."""
    lines: dict[str, Line] = {}
    for point in sweep.points:
        rest = (f"{axis.rpartition('.')[2]}={shown(at)}" for axis, at in zip(sweep.axes, point.at, strict=True))
        name = ", ".join(word for i, word in enumerate(rest) if i != place)
        line = lines.setdefault(name, [])
        if (value := point.figure(column)) is not None:
            line.append((point.at[place], value))
    return lines


def _spread(lines: Mapping[str, Line]) -> dict[str, Line]:
    """What so many lines come to at each place."""
    there: dict[str, tuple[Any, list[float]]] = {}
    for at, value in (pair for line in lines.values() for pair in line):
        there.setdefault(shown(at), (at, []))[1].append(value)
    kinds: dict[str, Callable[[list[float]], float]] = {"highest": max, "middle": statistics.median, "lowest": min}
    return {name: [(at, kind(values)) for at, values in there.values()] for name, kind in kinds.items()}


def _over(lines: Mapping[str, Line], values: Sequence[Any], axis: str, metric: str) -> Draw:
    """Numbers lie where they are, other values side by side."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    places = {shown(value): value if numeric else place for place, value in enumerate(values)}

    def draw(axes: "Axes") -> None:
        for i, (name, line) in enumerate(lines.items()):
            placed = sorted((places[shown(value)], figure) for value, figure in line)
            xs, ys = [x for x, _ in placed], [y for _, y in placed]
            marker = "o" if len(xs) <= MOST_DRAWN // MOST_LINES else ""
            axes.plot(xs, ys, color=SERIES[i % len(SERIES)], marker=marker, label=label(name))
        ticks = some(list(places), MOST_TICKS)
        axes.set_xticks([places[name] for name in ticks], list(map(label, ticks)))
        axes.set_ylim(0, 1.08 * max((figure for line in lines.values() for _, figure in line), default=0) or 1)
        axes.set_xlabel(label(axis.rpartition(".")[2]))
        axes.set_ylabel(label(metric))
        if 1 < len(lines) <= len(SERIES):
            axes.legend(loc="best")

    return draw


def _trade(sweep: Sweep, rate: Column, latency: Column) -> Iterator[Plot]:
    """Every point by its throughput and its latency, and those that no other beats in both."""
    placed: list[Placed] = []
    for point in sweep.points:
        more, less = (point.comparable(column) for column in (rate, latency))
        if more is not None and less is not None and less.value > 0:  # a time of 0 was not measured
            placed.append((point, more.value, less.value))
    if len(placed) < 2:
        return
    best = [placed[place] for place in front([(more, less) for _, more, less in placed])]
    named, drawn = some(best, MOST_NAMED), some(placed, MOST_DRAWN)
    told = "points that no other beats in both, as measured: " + "; ".join(
        f"{point.folder} ({number(more)}, {number(less)})" for point, more, less in named
    )
    told += f"; and {len(best) - len(named)} more" if len(named) < len(best) else ""
    told += f"; of all {len(placed)} points, {len(drawn)} are drawn" if len(drawn) < len(placed) else ""

    def draw(axes: "Axes") -> None:
        axes.plot([less for _, _, less in drawn], [more for _, more, _ in drawn], "o", color=MUTED, label="points")
        xs, ys = [less for _, _, less in best], [more for _, more, _ in best]
        marker = "o" if len(best) <= MOST_DRAWN else ""
        axes.plot(xs, ys, color=SERIES[1], marker=marker, drawstyle="steps-pre", label="Pareto front")
        for point, more, less in placed if len(placed) <= MOST_NAMED else some(best, MOST_TICKS):
            name, near = label(point.folder), (4, 4)
            axes.annotate(name, (less, more), xytext=near, textcoords="offset points", fontsize=9, color=INK)
        axes.set_xlabel(label(latency[1]))
        axes.set_ylabel(label(rate[1]))
        axes.margins(0.12)
        axes.legend(loc="best")

    yield plot(rate[0], f"{rate[1]} against {latency[1]}", told, draw)
