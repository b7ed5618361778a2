"""What is plotted of a sweep: figures over its axes, and throughput against latency."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recipe_runner.api import better_of
from recipe_runner.reports.drawing import INK, MUTED, SERIES, Draw, label
from recipe_runner.reports.plots import Plot, plot
from recipe_runner.reports.sweeps import Column, Point, Sweep, front
from recipe_runner.reports.words import number, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED: Final = 30  # points; of more, only those on the front have their names
Placed = tuple[Point, float, float]
Line = list[tuple[Any, float]]


def of_sweep(sweep: Sweep) -> list[Plot]:
    """Throughput and latency over each axis, and against each other, for each benchmark."""
    found: list[Plot] = []
    for name in sweep.items():
        columns = [column for column in sweep.columns() if column[0] == name]
        rate = next((column for column in columns if better_of(column[1]) == "higher"), None)
        latency = next((column for column in columns if better_of(column[1]) == "lower"), None)
        for column in (rate, latency):
            if column is not None:
                found += _over_axes(sweep, column)
        measured = [column for column in columns if not column[1].startswith("slo_")]  # not what was searched for
        throughput = next((column for column in measured if better_of(column[1]) == "higher"), None)
        if throughput and latency:
            found += _trade(sweep, throughput, latency)
    return found


def _over_axes(sweep: Sweep, column: Column) -> Iterator[Plot]:
    for place, axis in enumerate(sweep.axes):
        values = list({shown(point.at[place]): point.at[place] for point in sweep.points}.values())
        lines = _lines(sweep, place, column)
        if len(values) > 1 and any(lines.values()):
            benchmark, metric = column
            told = f"{len(lines)} line{'s' * (len(lines) > 1)}, one for each combination of the other axes"
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


def _over(lines: Mapping[str, Line], values: Sequence[Any], axis: str, metric: str) -> Draw:
    """Numbers lie where they are, other values side by side."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    places = {shown(value): value if numeric else place for place, value in enumerate(values)}

    def draw(axes: "Axes") -> None:
        for i, (name, line) in enumerate(lines.items()):
            placed = sorted((places[shown(value)], figure) for value, figure in line)
            xs, ys = [x for x, _ in placed], [y for _, y in placed]
            axes.plot(xs, ys, color=SERIES[i % len(SERIES)], marker="o", label=label(name))
        axes.set_xticks(list(places.values()), list(map(label, places)))
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
    told = "points that no other beats in both, as measured: " + "; ".join(
        f"{point.folder} ({number(more)}, {number(less)})" for point, more, less in best
    )

    def draw(axes: "Axes") -> None:
        axes.plot([less for _, _, less in placed], [more for _, more, _ in placed], "o", color=MUTED, label="points")
        xs, ys = [less for _, _, less in best], [more for _, more, _ in best]
        axes.plot(xs, ys, color=SERIES[1], marker="o", drawstyle="steps-pre", label="Pareto front")
        for point, more, less in placed if len(placed) <= MOST_NAMED else best:
            name, near = label(point.folder), (4, 4)
            axes.annotate(name, (less, more), xytext=near, textcoords="offset points", fontsize=9, color=INK)
        axes.set_xlabel(label(latency[1]))
        axes.set_ylabel(label(rate[1]))
        axes.margins(0.12)
        axes.legend(loc="best")

    yield plot(rate[0], f"{rate[1]} against {latency[1]}", told, draw)
