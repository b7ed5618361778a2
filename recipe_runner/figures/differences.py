"""How two runs differ: in their configuration, in what they measured, in their verdicts; and what of that is noise."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.figures.best import SEARCHED, better_of
from recipe_runner.figures.changes import Change, Pair, judged
from recipe_runner.figures.family import USUAL, judged_of
from recipe_runner.figures.runs import Measured, Run, Source, alike

JUDGED: Final = (*SEARCHED, *USUAL)
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
        if self.turned or any(change.regression for change in self.changes):
            return "regression"
        if self.judged:
            return "not all judged" if any(change.silent for change in self.changes) else "no regression"
        return "nothing judged"

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
    found = list(_benchmarks(pairs, metrics, min_change))
    return Comparison(
        notes=(*_unrecorded(pairs.values()), *_unpaired(a, b)),
        configuration=tuple(_configuration(pairs)),
        turned=tuple(turned for point, pair in pairs.items() for turned in _turned(point, *pair, found)),
        benchmarks=tuple(found),
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


def _benchmarks(pairs: Mapping[str, tuple[Run, Run]], metrics: Sequence[str], min_change: float) -> Iterator[Compared]:
    """Each benchmark that is in both, with what can be said of its metrics."""
    listed = []
    for point, (a, b) in pairs.items():
        for one, other in _common(a, b):
            both = [metric for metric in one.metrics if metric in other.metrics]
            against, wanted = tuple(_against(a, b, one, other)), metrics or judged_of(both)
            listed.append((point, against, Pair(one, other, not against), [key for key in wanted if key in both], both))
    changes = judged([(pair, known) for _, _, pair, known, _ in listed], min_change)
    for (point, against, pair, known, both), metric in zip(listed, changes, strict=True):
        others = tuple(key for key in both if better_of(key) and key not in known)
        yield Compared(point, pair.a.name, pair.a.verdict, pair.b.verdict, against, metric, others)


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
