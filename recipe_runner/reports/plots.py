"""What is plotted of a run: measurements, latencies, the curve of a search, phases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipe_runner.api import better_of, is_number
from recipe_runner.reports.document import LEADING, leading
from recipe_runner.reports.drawing import BAD, INK, MUTED, SERIES, Draw, label, logarithmic, svg
from recipe_runner.reports.words import number
from recipe_runner.serialize import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Plot:
    """A drawing with the words that say what it shows."""

    title: str
    caption: str
    svg: str


def plot(of: str, title: str, caption: str, draw: Draw, *, height: float = 2.7) -> Plot:
    """A plot of something that has a name; where it stands more than once, its ids differ by that."""
    return Plot(title, caption, svg(one_line(f"{of}, {title}: {caption}"), draw, height=height))


def of_benchmark(benchmark: Mapping[str, Any]) -> list[Plot]:
    """Everything that there is to see of one benchmark."""
    return [*_repeats(benchmark), *_curve(benchmark), *_distributions(benchmark)]


def _repeats(benchmark: Mapping[str, Any]) -> Iterator[Plot]:
    """The figure that leads, measurement by measurement."""
    metric = next((name for name in leading([benchmark]) if name.endswith("throughput")), None)
    metric = metric or next(iter(leading([benchmark])), None)
    values = [(item["counted"], item["metrics"].get(metric)) for item in benchmark["measurements"]]
    points = [(place, counted, value) for place, (counted, value) in enumerate(values, 1) if value is not None]
    if metric is None or len(points) < 2:
        return
    limit = next(
        (item["limit"] for item in benchmark["figures"] if (item["metric"], item["per"]) == (metric, "total")), None
    )

    def draw(axes: "Axes") -> None:
        counted = [(place, value) for place, counts, value in points if counts]
        warmups = [(place, value) for place, counts, value in points if not counts]
        axes.plot(*_columns(counted), color=SERIES[0], marker="o", label="counted")
        if warmups:
            axes.plot(*_columns(warmups), color=MUTED, marker="o", markerfacecolor="none", ls="none", label="warm-up")
        if limit is not None:
            axes.axhline(limit, color=BAD, linestyle="--", linewidth=1, label="limit")
        axes.set_xticks([place for place, _, _ in points][:: 1 + len(points) // 12])
        axes.set_xlabel("measurement")
        axes.set_ylabel(label(metric))
        axes.margins(y=0.25)
        axes.legend(loc="best", ncols=3)

    told = ", ".join(number(value) + ("" if counts else " (warm-up)") for _, counts, value in points)
    yield plot(benchmark["name"], f"{metric} of each measurement", told, draw)


def _distributions(benchmark: Mapping[str, Any]) -> Iterator[Plot]:
    """Of each latency, the share of values up to each value."""
    for name, percentiles in benchmark["distributions"].items():
        if len(percentiles) != 101:
            continue
        half, most, nearly_all = (percentiles[percent] for percent in (50, 95, 99))

        def draw(axes: "Axes", values: Sequence[float] = percentiles, name: str = name) -> None:
            axes.plot(values, range(101), color=SERIES[0])
            for percent in (50, 95, 99):
                axes.plot(values[percent], percent, color=SERIES[1], marker="o", linestyle="none")
            axes.set_ylim(0, 103)
            axes.set_xlim(left=0)
            axes.set_xlabel(label(name))
            axes.set_ylabel("% of values")

        told = f"half up to {number(half)}, 95 % up to {number(most)}, 99 % up to {number(nearly_all)}"
        yield plot(benchmark["name"], f"Distribution of {name}", told, draw)


def _curve(benchmark: Mapping[str, Any]) -> Iterator[Plot]:
    """What was measured at each load: throughput, and what the objective is about, beside its limits."""
    points = sorted(benchmark["curve"], key=lambda point: point["load"])
    if len(points) < 2:
        return
    objective = _objective(benchmark)
    edge = boundary(points, _found(benchmark) if objective else _highest(points))
    for name in _of_curve(points, objective):
        limit = objective.get(name)
        told = f"at most {number(limit)} is asked" if limit is not None else ""
        caption = "; ".join(filter(None, (told, edge.told))) or "as it was measured"
        yield plot(benchmark["name"], f"{name} against load", caption, _against_load(points, name, edge, limit))


def _of_curve(points: Sequence[Mapping[str, float]], objective: Mapping[str, float]) -> list[str]:
    """The metrics that are drawn: one that is better higher, and those of the objective, or else one that is a time."""
    names = dict.fromkeys(name for point in points for name in point)
    rates = [name for name in names if better_of(name) == "higher"]
    times = [name for name in names if better_of(name) == "lower" and name != "duration"]
    return [
        *([name for name in LEADING if name in rates] or rates)[:1],
        *(
            [name for name in objective if name in names]
            or [name for name in LEADING if name in times][:1]
            or times[:1]
        ),
    ]


def _objective(benchmark: Mapping[str, Any]) -> Mapping[str, float]:
    """The most that each metric of the objective may be, where the benchmark says so."""
    asked = benchmark["fields"].get("slo")
    return {name: most for name, most in asked.items() if is_number(most)} if isinstance(asked, Mapping) else {}


def _found(benchmark: Mapping[str, Any]) -> float | None:
    """The load that the search found of which the curve is: that of the last measurement that counts."""
    counted = [item["metrics"] for item in benchmark["measurements"] if item["counted"]]
    metrics = counted[-1] if counted else benchmark["metrics"]
    return next((value for name, value in metrics.items() if name.startswith("slo_")), None)


def _highest(points: Sequence[Mapping[str, float]]) -> float | None:
    return max((point["load"] for point in points if point.get("met")), default=None)


@dataclass(frozen=True)
class Edge:
    """The largest load that met an objective, and the smallest above it that did not; None where there is none."""

    low: float | None
    high: float | None

    @property
    def told(self) -> str:
        if self.low is None:
            return "" if self.high is None else f"the objective is missed at a load of {number(self.high)}"
        beyond = "no larger one misses it" if self.high is None else f"{number(self.high)} does not"
        return f"a load of {number(self.low)} meets the objective, {beyond}"


def boundary(points: Sequence[Mapping[str, float]], low: float | None) -> Edge:
    """The edge of which the lower side is known, and is no miss: what is above it, and was missed."""
    missed = (point["load"] for point in points if "met" in point and not point["met"])
    return Edge(low, min((load for load in missed if low is None or load > low), default=None))


def _against_load(points: Sequence[Mapping[str, float]], name: str, edge: Edge, limit: float | None) -> Draw:
    def draw(axes: "Axes") -> None:
        there = [(point["load"], point[name], point.get("met", 1)) for point in points if name in point]
        axes.plot(*_columns([(load, value) for load, value, _ in there]), color=SERIES[0], marker="o")
        if missed := [(load, value) for load, value, met in there if not met]:
            axes.plot(*_columns(missed), color=BAD, marker="x", markersize=8, ls="none", label="objective missed")
        if limit is not None:
            axes.axhline(limit, color=BAD, linestyle="--", linewidth=1, label=f"limit {number(limit)}")
        if edge.low is not None:
            axes.axvline(edge.low, color=MUTED, linestyle=":", linewidth=1.5, label=f"found: {number(edge.low)}")
        if better_of(name) == "lower" and all(value > 0 for _, value, _ in there):
            logarithmic(axes)
        axes.set_xlabel("load")
        axes.set_ylabel(label(name))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best")

    return draw


def of_phases(phases: Sequence[Mapping[str, Any]]) -> Plot:
    """The phases one after another, as long as they took."""
    longest = max(phases, key=lambda phase: phase["seconds"])
    whole = sum(phase["seconds"] for phase in phases)

    def draw(axes: "Axes") -> None:
        start = 0.0
        for row, phase in enumerate(phases):
            axes.barh(row, phase["seconds"], left=start, color=SERIES[0], height=0.55)
            start += phase["seconds"]
            axes.text(start + whole * 0.01, row, f"{phase['seconds']:.1f} s", va="center", fontsize=9, color=INK)
        axes.set_yticks(range(len(phases)), [label(phase["name"]) for phase in phases])
        axes.set_xlim(0, (whole or 1) * 1.14)
        axes.invert_yaxis()
        axes.set_xlabel("seconds")
        axes.grid(visible=False, axis="y")

    told = f"{whole:.1f} s in all, most of it for {longest['name']}: {longest['seconds']:.1f} s"
    return plot("run", "Phases", told, draw, height=0.8 + 0.28 * len(phases))


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]
