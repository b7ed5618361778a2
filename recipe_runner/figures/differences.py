"""How two runs differ: in their configuration, in what they measured, in their verdicts; and what of that is noise."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.figures.gates import better_of
from recipe_runner.figures.noise import ALPHA, FEWEST, difference, holm, noise
from recipe_runner.figures.runs import Measured, Run, Source, alike

JUDGED: Final = ("output_throughput", "median_ttft_ms", "median_tpot_ms")
GOOD: Final = ("passed", "measured")
LOST: Final = ("failed", "error")
ENDED: Final = ("passed", "failed", "inconclusive")


@dataclass(frozen=True)
class Setting:
    """Something that is configured differently; None where one side does not have it."""

    point: str
    key: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Turned:
    """A check, a benchmark, or the whole run, that was good in A and is not in B."""

    point: str
    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Change:
    """One metric from A to B, in percent of A, with the bounds of its interval; None is what cannot be said.

    `p` is adjusted for all metrics of the comparison; `smallest_percent` is the difference that would have been seen.
    """

    metric: str
    a: float
    b: float
    percent: float | None
    low_percent: float | None = None
    high_percent: float | None = None
    p: float | None = None
    smallest_percent: float | None = None
    verdict: str = "not judged"
    regression: bool = False


@dataclass(frozen=True)
class Compared:
    """One benchmark that is in both; `not_judged` are reasons against any verdict, `others` metrics not looked for."""

    point: str
    name: str
    a: str
    b: str
    not_judged: tuple[str, ...]
    metrics: tuple[Change, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that differs from A to B in the metrics `looked_for`; `notes` say what could not be compared."""

    notes: tuple[str, ...]
    configuration: tuple[Setting, ...]
    turned: tuple[Turned, ...]
    benchmarks: tuple[Compared, ...]
    looked_for: tuple[str, ...]

    @property
    def changes(self) -> list[Change]:
        return [change for benchmark in self.benchmarks for change in benchmark.metrics]

    @property
    def judged(self) -> list[Change]:
        return [change for change in self.changes if change.p is not None]

    @property
    def verdict(self) -> str:
        if self.turned or any(change.regression for change in self.judged):
            return "regression"
        return "no regression" if self.judged else "nothing judged"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def compare(a: Source, b: Source, metrics: Sequence[str] = (), min_change: float = 0) -> Comparison:
    """Everything that differs; `metrics` instead of the usual ones; less than `min_change` percent is no regression.

    Raises:
        RecipeError: A and B are not of a kind, or a metric is in neither.

    """
    if a.is_sweep != b.is_sweep:
        sweep, run = (a, b) if a.is_sweep else (b, a)
        do = f"compare two of a kind: two sweeps, or two runs, such as {sweep.path}/000"
        raise RecipeError(Fault(sweep.path, f"it is a sweep, and {run.path} is one run", do))
    pairs = {point: alike(a.runs[point], b.runs[point]) for point in a.runs if point in b.runs}
    if metrics:
        _known(metrics, pairs.values())
    found = [benchmark for point, pair in pairs.items() for benchmark in _benchmarks(point, *pair, metrics or JUDGED)]
    return Comparison(
        notes=(*_unrecorded(pairs.values()), *_unpaired(a, b)),
        configuration=tuple(_configuration(pairs)),
        turned=tuple(turned for point, pair in pairs.items() for turned in _turned(point, *pair, found)),
        benchmarks=tuple(_judged(found, min_change)),
        looked_for=tuple(metrics or JUDGED),
    )


def _known(metrics: Sequence[str], pairs: Iterable[tuple[Run, Run]]) -> None:
    """Refuse metrics that cannot be judged anywhere."""
    common = {
        metric for pair in pairs for one, other in _common(*pair) for metric in one.metrics if metric in other.metrics
    }
    usable = [metric for metric in common if better_of(metric)]
    faults = []
    for metric in metrics if common else ():
        if metric not in common:
            faults.append(Fault("--metric", f"no benchmark has {metric} in both", choose(metric, usable)))
        elif metric not in usable:
            what = f"it is not known which way {metric} is better"
            faults.append(Fault("--metric", what, choose(metric, usable)))
    if faults:
        raise RecipeError(*faults)


def _common(a: Run, b: Run) -> list[tuple[Measured, Measured]]:
    others = {benchmark.name: benchmark for benchmark in b.benchmarks}
    return [(one, others[one.name]) for one in a.benchmarks if one.name in others]


def _unrecorded(pairs: Iterable[tuple[Run, Run]]) -> Iterator[str]:
    """Sides of which it is not known how their server was started."""
    for side, runs in zip("AB", zip(*pairs, strict=True), strict=False):
        if any(run.processes is None for run in runs):
            yield f"{side} does not say with which flags its server was started: an earlier release wrote it"


def _unpaired(a: Source, b: Source) -> Iterator[str]:
    """What has no partner on the other side."""
    for side, one, other in (("A", a, b), ("B", b, a)):
        yield from (f"only in {side}: {point}" for point in one.runs if point not in {*other.runs, *other.unfinished})
        yield from (f"{side} has no report of {point}" for point in one.unfinished)
        for point in (point for point in one.runs if point in other.runs):
            where = f"{point}: " if point else ""
            lone = (name for name in one.runs[point].items if name not in other.runs[point].items)
            yield from (f"only in {side}: {where}{name}" for name in lone)


def _configuration(pairs: Mapping[str, tuple[Run, Run]]) -> Iterator[Setting]:
    """What is configured differently: first what is so at every point, then what is so at one."""
    found: dict[tuple[str, str | None, str | None], list[str]] = {}
    for point, (a, b) in pairs.items():
        before, after = a.configuration, b.configuration
        for key in dict.fromkeys((*before, *after)):
            if before.get(key) != after.get(key):
                found.setdefault((key, before.get(key), after.get(key)), []).append(point)
    yield from (Setting("", *row) for row, points in found.items() if len(points) == len(pairs))
    some = [(point, row) for row, points in found.items() if len(points) < len(pairs) for point in points]
    yield from (Setting(point, *row) for of in pairs for point, row in some if point == of)


def _turned(point: str, a: Run, b: Run, found: Iterable[Compared]) -> Iterator[Turned]:
    """What was good in A and is not in B; where the two do not compare, nothing is."""
    if a.simulated != b.simulated:
        return
    kept = {f"benchmark {one.name}" for one in found if one.point == point and one.not_judged}
    for name, before in a.items.items():
        after = b.items.get(name, "")
        lost = before in ENDED and after == "error" if name == "run" else before in GOOD and after in LOST
        if lost and name not in kept:
            yield Turned(point, name, before, after)


def _benchmarks(point: str, a: Run, b: Run, metrics: Sequence[str]) -> Iterator[Compared]:
    """Each benchmark that is in both, with what can be said of its metrics one by one."""
    for one, other in _common(a, b):
        against = tuple(_against(a, b, one, other))
        known = [metric for metric in metrics if metric in one.metrics and metric in other.metrics]
        changes = tuple(_change(metric, one, other, judge=not against) for metric in known)
        both = (metric for metric in one.metrics if metric in other.metrics and better_of(metric))
        others = tuple(metric for metric in both if metric not in known)
        yield Compared(point, one.name, one.verdict, other.verdict, against, changes, others)


def _against(a: Run, b: Run, one: Measured, other: Measured) -> Iterator[str]:
    """What speaks against any verdict on a benchmark."""
    if a.simulated != b.simulated:
        yield "{} is simulated, and {} is real".format(*("AB" if a.simulated else "BA"))
    before, after = one.workload, other.workload
    if before is None or after is None:
        yield f"{'A' if before is None else 'B'} does not say what was asked of the server"
    else:
        different = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
        if different:
            told = ", ".join(key.removeprefix(f"{one.name} ") for key in different)
            yield f"the workloads are not the same: {told}"
    for side, measured in (("A", one), ("B", other)):
        yield from (f"{side} is in doubt: {doubt}" for doubt in measured.doubts)


def _change(metric: str, one: Measured, other: Measured, *, judge: bool) -> Change:
    a, b = one.metrics[metric], other.metrics[metric]
    before, after = one.values(metric), other.values(metric)
    plain = Change(metric, a, b, 100 * (b / a - 1) if a > 0 else None)
    if not judge:
        return plain
    if min(len(before), len(after)) < FEWEST:
        return replace(plain, verdict="too few repeats")
    found, noises = difference(before, after), [one for one in (noise(before), noise(after)) if one]
    if found is None:
        return plain
    smallest = math.hypot(*(one.smallest_difference_percent for one in noises)) / math.sqrt(2)
    return Change(metric, a, b, found.percent, found.low_percent, found.high_percent, found.p, smallest)


def _judged(found: Sequence[Compared], min_change: float) -> Iterator[Compared]:
    """The same with a verdict on each metric: all of them are one family, so that none is significant by chance."""
    family = iter(holm([change.p for one in found for change in one.metrics if change.p is not None]))
    for one in found:
        yield replace(one, metrics=tuple(_verdict(change, family, min_change) for change in one.metrics))


def _verdict(change: Change, family: Iterator[float], min_change: float) -> Change:
    if change.p is None or change.percent is None:
        return change
    p = next(family)
    if p >= ALPHA:
        return replace(change, p=p, verdict="no difference seen")
    worse = (change.percent > 0) == (better_of(change.metric) == "lower")
    regression = worse and abs(change.percent) >= min_change
    return replace(change, p=p, verdict="slower" if worse else "faster", regression=regression)
