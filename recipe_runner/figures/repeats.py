"""The measurements of one benchmark: how many there are to be, and what they come to together."""

import importlib.util
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from recipe_runner.api import Outcome, Verdict
from recipe_runner.composition.schema import Expected
from recipe_runner.figures import family, gates
from recipe_runner.figures.counters import Counters
from recipe_runner.figures.noise import FEWEST, noise
from recipe_runner.plan import Plan
from recipe_runner.serialize import around

PER_CENT: Final = 101
BROKEN: Final = ("failed", "error", "skipped")  # a measurement that says nothing
SHORT: Final = "too short to see whether the client was the limit"
UNJUDGED: Final = "so its gate was not judged"
WORST_FIRST: Final[tuple[Verdict, ...]] = ("failed", "inconclusive", "passed", "measured")


@dataclass(frozen=True)
class Measurement:
    """One time that a benchmark was run; `client_cpu` is the share of a core that its busiest thread took."""

    name: str
    counted: bool
    outcome: Outcome
    seconds: float
    seed: int | None = None
    server: Counters | None = None
    client_cpu: float | None = None
    doubts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "counted": self.counted,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "verdict": self.outcome.verdict,
            "detail": self.outcome.detail,
            "metrics": dict(self.outcome.metrics),
            "server": self.server and self.server.as_dict(),
            "client_cpu": self.client_cpu and round(self.client_cpu, 3),
            "doubts": list(self.doubts),
        }


@dataclass
class Repeats:
    """The measurements of the benchmark `name`: `times` that count, on `devices` devices of a hardware profile.

    A comparison of the run with another would judge `benchmarks` together: those that are repeated often enough.
    """

    name: str
    times: int
    expected: Mapping[str, Expected]
    hardware: str
    devices: int
    benchmarks: int
    made: list[Measurement] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, name: str) -> Self:
        request = plan.request
        repeated = sum(plan.times(each) >= FEWEST for each in plan.benchmarks)
        return cls(name, plan.times(name), request.expected, plan.gates_on, request.parallelism.world, repeated)

    def names(self) -> Iterator[tuple[str, bool]]:
        """What each measurement is called, and whether it counts: of several, the first only warms up."""
        if self.times == 1:
            yield self.name, True
            return
        yield f"{self.name}.warmup", False
        yield from ((f"{self.name}.{number}", True) for number in range(1, self.times + 1))

    @property
    def counted(self) -> list[Measurement]:
        return [one for one in self.made if one.counted]

    @property
    def broken(self) -> bool:
        """Whether the last one measured nothing, which ends the others."""
        return bool(self.made) and self.made[-1].outcome.verdict in BROKEN

    def told(self) -> str:
        """One line on the last measurement, while others are to come."""
        last = self.made[-1]
        doubt = f"; {last.doubts[0]}" if last.doubts else ""
        return f"{last.name}: {last.outcome.detail}{doubt}"

    def cut(self) -> Outcome:
        """What they come to where the run was interrupted before the last."""
        return Outcome("skipped", f"interrupted after {len(self.counted)} of {self.times} measurements")

    def metrics(self) -> dict[str, float]:
        """The mean of each metric that all counted measurements have; where searches found several loads, of those."""
        all_of = [one.outcome.metrics for one in self.counted]
        names = [name for name in all_of[0] if all(name in metrics for metrics in all_of)] if all_of else []
        found = [name for name in names if name.startswith("slo_")]
        if any(metrics[name] != all_of[0][name] for name in found for metrics in all_of):
            names = found
        return {name: statistics.fmean(metrics[name] for metrics in all_of) for name in names}

    def outcome(self) -> Outcome:
        """What all of them come to: broken, doubtful, judged by gates, or what the benchmark itself says."""
        last = self.made[-1]
        if self.broken:
            detail = last.outcome.detail if self.times == 1 else f"{last.name}: {last.outcome.detail}"
            # a gate that nobody judged has not been kept
            unjudged = last.outcome.verdict == "skipped" and gates.gated(self.expected, self.name, self.hardware)
            verdict = "inconclusive" if last.doubts or unjudged else last.outcome.verdict
            detail = "; ".join((detail, *last.doubts, *([UNJUDGED] if unjudged else [])))
            return replace(last.outcome, verdict=verdict, detail=detail, metrics=self.metrics() or last.outcome.metrics)
        rows = self.figures()
        verdicts = {gates.verdict(rows), *(one.outcome.verdict for one in self.counted)}
        verdict = next(one for one in WORST_FIRST if one in verdicts)
        doubts = dict.fromkeys(doubt for one in self.counted for doubt in one.doubts)
        judged = [row["why"] for row in rows if row["verdict"] == verdict]
        told = [self._told(), *([SHORT] if self._is_short() else []), *doubts, *([] if doubts else judged)]
        return replace(
            last.outcome,
            verdict="inconclusive" if doubts else verdict,
            detail="; ".join(told),
            metrics=self.metrics(),
        )

    def _told(self) -> str:
        if self.times == 1:
            return self.made[-1].outcome.detail + self._preempted()
        text, found = f"{len(self.counted)} measurements", self.metrics()
        scatter = self.noise().get("output_throughput")
        if rate := found.get("output_throughput"):
            text += f", {rate:.2f} tok/s out" + (f" ({around(scatter['half_width_percent'])})" if scatter else "")
        if ttft := found.get("median_ttft_ms"):
            text += f", median TTFT {ttft:.1f} ms"
        text += self._preempted()
        if scatter:
            least = scatter["smallest_difference_percent"]
            text += f"; a difference of {least:.1f} % in tok/s would have been seen 9 times in 10"
        return text

    def _preempted(self) -> str:
        """How often requests had to give up their memory for others, which makes them slow."""
        count = sum(one.server.preemptions for one in self.counted if one.server)
        return f"; {count} preemption{'s' * (count > 1)}" if count else ""

    def _is_short(self) -> bool:
        """Whether a measurement was over before anybody could look how busy its client was."""
        return any(one.outcome.spans and one.client_cpu is None for one in self.counted)

    def figures(self) -> list[dict[str, Any]]:
        """The expected figures of this workload beside what was measured."""
        measured = [one.outcome.metrics for one in self.counted]
        return gates.figures(self.expected, self.name, self.hardware, self.devices, measured)

    def noise(self) -> dict[str, dict[str, float]]:
        """The noise of each metric; nothing where there are too few measurements, or no statistics installed."""
        if len(self.counted) < FEWEST or importlib.util.find_spec("scipy") is None:
            return {}
        series = {name: [one.outcome.metrics[name] for one in self.counted] for name in self.metrics()}
        levels = {name: family.level(name, series, self.benchmarks) for name in series}
        found = {name: noise(values, levels[name]) for name, values in series.items()}
        shown = ("spread_percent", "drift_percent", "half_width_percent", "smallest_difference_percent")
        return {
            name: {key: round(getattr(one, key), 3) for key in shown} for name, one in found.items() if one is not None
        }

    def as_dict(self) -> dict[str, Any]:
        """What the report says of them, besides their outcome."""
        return {
            "measurements": [one.as_dict() for one in self.made],
            "noise": self.noise(),
            "figures": self.figures(),
            "distributions": self._distributions(),
            "curve": [dict(point) for point in self.counted[-1].outcome.curve] if self.counted else [],
        }

    def _distributions(self) -> dict[str, list[float]]:
        """Percentiles 0 to 100 of all samples of the counted measurements."""
        pooled: dict[str, list[float]] = {}
        for one in self.counted:
            for name, values in one.outcome.samples.items():
                pooled.setdefault(name, []).extend(values)
        return {name: percentiles(values) for name, values in pooled.items() if values}


def percentiles(values: list[float]) -> list[float]:
    """Percentiles 0 to 100, by linear interpolation as numpy has them."""
    if len(values) == 1:
        return [round(values[0], 4)] * PER_CENT
    inner = statistics.quantiles(values, n=PER_CENT - 1, method="inclusive")
    found = [min(values), *inner, max(values)]
    return [round(value, 4) for value in found if math.isfinite(value)]
