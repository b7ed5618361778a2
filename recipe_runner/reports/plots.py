"""What is plotted of a run: measurements, latencies, the curve of a search, phases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipe_runner.api import better_of
from recipe_runner.reports.document import leading
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
    return [*_repeats(benchmark), *_distributions(benchmark), *_curve(benchmark)]


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
    """What a search found at each load: rates and latencies, and how far the objective was met."""
    points = sorted(benchmark["curve"], key=lambda point: point["load"])
    names = dict.fromkeys(name for point in points for name in point if name not in ("load", "met"))
    rates = [name for name in names if better_of(name) == "higher"]
    latencies = [name for name in names if better_of(name) == "lower"]
    met = [point["load"] for point in points if point.get("met")]
    told = f"the objective was met up to a load of {number(max(met))}" if met else "the objective was met at no load"
    drawn = (("Throughput against load", rates, False), ("Latency against load", latencies, True))
    for title, chosen, ratios in drawn:
        if len(points) > 1 and chosen:
            yield plot(benchmark["name"], title, told, _against_load(points, chosen[: len(SERIES)], ratios=ratios))


def _against_load(points: Sequence[Mapping[str, float]], names: Sequence[str], *, ratios: bool) -> Draw:
    def draw(axes: "Axes") -> None:
        for colour, name in zip(SERIES, names, strict=False):
            there = [(point["load"], point[name]) for point in points if name in point]
            axes.plot(*_columns(there), color=colour, marker="o", label=label(name))
        if (edge := boundary(points)) is not None:
            axes.axvspan(edge, max(point["load"] for point in points) * 1.05, color=BAD, alpha=0.12, linewidth=0)
            axes.axvline(edge, color=BAD, linestyle="--", linewidth=1, label="objective missed beyond")
        if ratios and all(point[name] > 0 for point in points for name in names if name in point):
            logarithmic(axes)
        axes.set_xlabel("load")
        axes.legend(loc="best")

    return draw


def boundary(points: Sequence[Mapping[str, float]]) -> float | None:
    """Between the highest load that met the objective and the next one; None where all did, or nobody asked."""
    missed = [point["load"] for point in points if "met" in point and not point["met"]]
    met = [point["load"] for point in points if point.get("met")]
    beyond = [load for load in missed if load > max(met, default=float("-inf"))]
    if not beyond:
        return None
    return (max(met) + min(beyond)) / 2 if met else min(beyond)


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
