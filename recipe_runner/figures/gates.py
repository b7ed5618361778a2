"""Expected figures beside what was measured; those that gate on this hardware are judged."""

import difflib
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from recipe_runner.api import Benchmark
from recipe_runner.composition.schema import Expected, Figure
from recipe_runner.errors import Fault, choose
from recipe_runner.figures import best
from recipe_runner.figures.noise import FEWEST, against, noise

Better = Literal["higher", "lower"]
GateVerdict = Literal["passed", "failed", "inconclusive"]


def better_of(metric: str, figure: Figure | None = None) -> Better | None:
    """Which way a metric is better: as the figure says, or else as its name does."""
    return (figure and figure.better) or best.better_of(metric)


def gated(expected: Mapping[str, Expected], benchmark: str, hardware: str) -> bool:
    """Whether a benchmark is judged by a gate on this hardware."""
    return any(
        figure.gate
        for _, item in _of(expected, benchmark)
        if item.hardware == hardware
        for figure in item.metrics.values()
    )


def figures(
    expected: Mapping[str, Expected],
    benchmark: str,
    hardware: str,
    devices: int,
    measured: Sequence[Mapping[str, float]],
) -> list[dict[str, Any]]:
    """One row for each expected figure of a benchmark, from the metrics of its counted measurements."""
    return [
        _row(name, item, metric, hardware, devices, measured)
        for name, item in _of(expected, benchmark)
        for metric in item.metrics
    ]


def verdict(rows: Sequence[Mapping[str, Any]]) -> GateVerdict | None:
    """What the rows of a benchmark come to: the worst of its gates; None where there is none."""
    found = {row["verdict"] for row in rows}
    order: tuple[GateVerdict, ...] = ("failed", "inconclusive", "passed")
    return next((one for one in order if one in found), None)


def contradictions(expected: Mapping[str, Expected], where: Callable[[str], str]) -> Iterator[Fault]:
    """Every figure, gate or not, that says of its metric something else than the metric's name does."""
    for name, item in expected.items():
        for metric, figure in item.metrics.items():
            at = f"expected.{name}.metrics.{metric}"
            units, better = best.units_of(metric), best.better_of(metric)
            if units and figure.unit not in units:
                what = f"{metric} is measured in {units[0]}, not in {figure.unit or 'nothing'}"
                yield Fault(where(f"{at}.unit"), what, f"write `unit: {units[0]}`, and the value in that")
            if better and figure.better not in (better, None):
                what = f"{metric} is better {better}, as its name says"
                yield Fault(where(f"{at}.better"), what, "leave `better` out")


def faults(
    expected: Mapping[str, Expected], benchmarks: Mapping[str, Benchmark], where: Callable[[str], str]
) -> Iterator[Fault]:
    """Every gate that could never be judged; `where` says where a dotted key stands."""
    for name, item in expected.items():
        gates = {metric: figure for metric, figure in item.metrics.items() if figure.gate}
        workload = item.workload or name
        for metric, figure in gates.items():
            at = f"expected.{name}.metrics.{metric}"
            yield from _gate_faults(at, metric, figure, benchmarks.get(workload), where)
        if gates and workload not in benchmarks:
            at = f"expected.{name}.workload" if item.workload else f"expected.{name}"
            yield Fault(where(at), f"it gates {workload}, and there is no such benchmark", choose(workload, benchmarks))
    for name, benchmark in benchmarks.items():
        asked = any(figure.gate for _, item in _of(expected, name) for figure in item.metrics.values())
        if asked and benchmark.repeat is not None and benchmark.repeat < FEWEST:
            do = f"make it {FEWEST} or more, or set `gate: false`"
            yield Fault(where(f"benchmark.{name}.repeat"), f"fewer than {FEWEST} measurements cannot pass a gate", do)


def instead(metric: str, benchmark: Benchmark | None) -> str | None:
    """What to name instead of a metric that a benchmark is known never to give; None where it may give it."""
    known = benchmark.metrics if benchmark else ()
    if not known or metric in known:
        return None
    near = difflib.get_close_matches(metric, known, n=1)
    return f"did you mean {near[0]}?" if near else choose(metric, known)


def _gate_faults(
    at: str, metric: str, figure: Figure, benchmark: Benchmark | None, where: Callable[[str], str]
) -> Iterator[Fault]:
    if not 0 < figure.value < math.inf:
        what = f"a gate of {figure.value:g} has no tolerance in percent"
        yield Fault(where(f"{at}.value"), what, "give a positive value, or set `gate: false`")
    if benchmark and (do := instead(metric, benchmark)):
        yield Fault(where(at), f"{benchmark.uses} gives no {metric}, so this gate could never be judged", do)
    elif better_of(metric, figure) is None:
        what = f"whether more or less of {metric} is better does not follow from its name"
        yield Fault(where(at), what, "say `better: higher` or `better: lower`")


def _of(expected: Mapping[str, Expected], benchmark: str) -> Iterator[tuple[str, Expected]]:
    return ((name, item) for name, item in expected.items() if (item.workload or name) == benchmark)


def _limit(figure: Figure, better: Better) -> float:
    worse = -figure.tolerance if better == "higher" else figure.tolerance
    return figure.value * (1 + worse / 100)


def _row(
    name: str, item: Expected, metric: str, hardware: str, devices: int, measured: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    figure = item.metrics[metric]
    share = devices if figure.per == "gpu" and better_of(metric) != "lower" else 1  # all devices take the same time
    values = [metrics[metric] / share for metrics in measured if metric in metrics]
    better = better_of(metric, figure) if figure.gate and item.hardware == hardware else None
    limit = _limit(figure, better) if better else None
    whole = len(values) == len(measured)
    said = against(values if whole else (), limit, better) if limit and better else None
    apart = f"for {item.hardware}" if figure.gate else "no gate"
    unit = figure.unit + (" per GPU" if figure.per == "gpu" else "")
    return {
        "expected": name,
        "metric": metric,
        "unit": figure.unit,
        "per": figure.per,
        "value": figure.value,
        "measured": statistics.fmean(values) if values else None,
        "tolerance_percent": figure.tolerance,
        "gate": figure.gate,
        "limit": limit,
        "verdict": said,
        "why": _why(values, len(measured), limit, unit, said) if limit else apart,
    }


def _why(values: Sequence[float], times: int, limit: float, unit: str, said: GateVerdict | None) -> str:
    if not values:
        return "not measured"
    if len(values) < times:
        return f"measured in only {len(values)} of {times} measurements"
    if len(values) < FEWEST:
        return f"{len(values)} measurement{'s' * (len(values) > 1)}; a gate takes at least {FEWEST}"
    found = noise(values)
    if found is None:
        return "not all measurements are positive; a gate takes their ratio to its limit"
    measured, bound = (f"{text} {unit}" for text in _apart(statistics.fmean(values), limit))
    noisy = f"the noise of {found.half_width_percent:.1f} %"
    if said == "inconclusive":
        return f"{measured} is within {noisy} of its limit, {bound}"
    if measured == bound:
        return f"{measured} is just its limit"
    return f"{measured} is {'above' if found.mean > limit else 'below'} {bound} by more than {noisy}"


def _apart(*values: float) -> tuple[str, ...]:
    """Numbers with three digits that matter, or as many as it takes to tell them apart if they differ."""
    texts = [tuple(_text(value, digits) for value in values) for digits in range(3, 10)]
    return next((each for each in texts if len({*each}) == len(each)), texts[0])


def _text(value: float, digits: int) -> str:
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(value)))}f}"
