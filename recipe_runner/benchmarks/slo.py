"""`vllm_bench_slo` and `load_slo`: the largest load at which a server still meets its service level."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from recipe_runner.api import Bench, Benchmark, Outcome, Target, Verdict
from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.load import OURS, Load
from recipe_runner.benchmarks.samples import NAMES
from recipe_runner.benchmarks.search import Search
from recipe_runner.benchmarks.vllm_bench import VllmBench
from recipe_runner.errors import choose

LOADS: Final = {"max_concurrency": "concurrency {:g}", "request_rate": "{:g} requests/s"}
REQUESTS: Final = {"max_concurrency": 10, "request_rate": 60}  # each place ten times in a row; one minute


class Probe(NamedTuple):
    """The measurement at one load, and whether it met the service level."""

    load: float
    met: bool
    outcome: Outcome


class Slo(Benchmark):
    """Measures at one load after the other, for what the benchmarks below have in common."""

    of: ClassVar[type[Benchmark]]

    slo: dict[str, Annotated[float, Field(gt=0)]]
    """The most that each metric may be, in ms: `{p95_ttft_ms: 500}`."""
    vary: Literal["max_concurrency", "request_rate"] = "max_concurrency"
    """What the load is: the field that is changed."""
    lowest: float = Field(default=1, gt=0)
    """The load that is tried first."""
    highest: float = Field(default=1024, gt=0)
    """The largest load that is tried."""
    precision: float = Field(default=0.1, ge=0.01, le=1)
    """How far apart the load that meets it and the one that does not may be in the end, as a share."""
    probes: int = Field(default=12, ge=3, le=100)
    """How many measurements there are, at most."""
    num_prompts: int = Field(default=20, ge=1)
    """Requests of a measurement, at least."""
    requests_per_load: int | None = Field(default=None, ge=1)
    """Requests for each unit of load; by default 10 for a concurrency, 60 (a minute) for a rate."""

    @field_validator("slo")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("name a metric and the most that it may be, as in {p95_ttft_ms: 500}")
        if unknown := [name for name in value if name not in NAMES]:
            raise ValueError(f"there is no metric {unknown[0]}; {choose(unknown[0], NAMES)}")
        return value

    @field_validator("lowest", "highest")
    @classmethod
    def _possible(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("vary") == "max_concurrency" and not value.is_integer():
            raise ValueError("max_concurrency is a whole number")
        if value < info.data.get("lowest", value):
            raise ValueError("it should not be less than lowest")
        return value

    def probe(self, load: float) -> Benchmark:
        """The benchmark at one load, with requests enough for that load to be there most of the time."""
        given = self.model_dump(include=self.model_fields_set & self.of.model_fields.keys() - {"repeat"})
        each = self.requests_per_load or REQUESTS[self.vary]
        asked = {"num_prompts": max(self.num_prompts, math.ceil(load * each))}
        return self.of.model_validate(given | asked | {self.vary: int(load) if self._whole else load})

    def argv(self, target: Target) -> tuple[str, ...]:
        return self.probe(self.lowest).argv(target)

    def appended(self, name: str) -> tuple[str, ...]:
        return self.probe(self.lowest).appended(f"{name}.probe1")

    def run(self, name: str, bench: Bench) -> Outcome:
        search = Search(self.lowest, self.highest, self.precision, self.probes, self._whole)
        probes: list[Probe] = []
        while (load := search.next(_trials(probes))) is not None:
            outcome = self.probe(load).run(f"{name}.probe{len(probes) + 1}", bench)
            if outcome.verdict == "skipped":
                return outcome
            if unusable := self._unusable(outcome):
                return Outcome("failed", f"at {self._at(load)}: {unusable}", curve=_curve(probes))
            missed = self._missed(outcome)
            probes.append(Probe(load, not missed, outcome))
            with (bench.folder / f"{name}.log").open("a", encoding="utf-8") as log:
                log.write(f"probe {len(probes)}: {self._at(load)}: {missed or f'met; {outcome.detail}'}\n")
        return self._found(search, probes)

    @property
    def _whole(self) -> bool:
        return self.vary == "max_concurrency"

    def _at(self, load: float) -> str:
        return LOADS[self.vary].format(load)

    def _unusable(self, outcome: Outcome) -> str | None:
        """Why a measurement says nothing of its load; what a server at work refuses does say something."""
        values = outcome.metrics
        if outcome.verdict != "measured":
            overloaded = values.get("completed") and values.get("failed") == values.get("refused", -1)
            return None if overloaded else outcome.detail
        absent = next((name for name in self.slo if not values.get(name)), None)  # nothing is written as 0
        return f"{_metric(absent)} was not measured" if absent else None

    def _missed(self, outcome: Outcome) -> str:
        """What of the service level was missed, in words; empty where it was met."""
        if outcome.verdict != "measured":
            return outcome.detail
        over = [(name, outcome.metrics[name]) for name, most in self.slo.items() if outcome.metrics[name] > most]
        return " and ".join(f"{_metric(name)} was {value:.1f} ms" for name, value in over)

    def _found(self, search: Search, probes: Sequence[Probe]) -> Outcome:
        trials, curve = _trials(probes), _curve(probes)
        level = " and ".join(f"{_metric(name)} ≤ {most:g} ms" for name, most in self.slo.items())
        low, high = search.boundary(trials)
        spans = [span for probe in probes for span in probe.outcome.spans]
        if low is None:
            last = probes[-1].outcome
            once = " a second time" if any(met for _, met in trials) else ""
            detail = f"not even {self._at(self.lowest)} meets {level}{once}: {self._missed(last)}"
            return Outcome("failed", detail, last.metrics, curve=curve, spans=spans)
        found = [probe.outcome for probe in probes if probe.met and probe.load == low][-1]
        least = "at least " if high == math.inf else ""
        beyond = f" ({high:g} does not)" if high < math.inf else f" ({low:g} is the most that was tried)"
        told = [f"{least}{self._at(low)} meets {level}{beyond}", f"{len(probes)} probes"]
        unsure = sorted(load for load, met in trials if met and load > low)
        told += [f"{load:g} met it once, but not twice" for load in unsure]
        if not search.confirmed(trials):
            told.append("no probe was left to measure it again")
        metrics = {**found.metrics, f"slo_{self.vary}": low}
        verdict: Verdict = "measured" if search.confirmed(trials) else "inconclusive"
        return replace(found, verdict=verdict, detail="; ".join(told), metrics=metrics, curve=curve, spans=spans)


def _trials(probes: Sequence[Probe]) -> list[tuple[float, bool]]:
    return [(probe.load, probe.met) for probe in probes]


def _curve(probes: Sequence[Probe]) -> list[dict[str, float]]:
    """All that was measured, by load."""
    points = [{"load": load, **outcome.metrics, "met": int(met)} for load, met, outcome in probes]
    return sorted(points, key=lambda point: point["load"])


def _metric(name: str) -> str:
    """`p95_ttft_ms` → `p95 TTFT`."""
    stat, kind, _ = name.split("_")
    return f"{stat} {kind.upper()}"


class VllmBenchSlo(Slo, VllmBench):
    """Finds the largest load that meets a service level, by `vllm bench serve` at one load after the other.

    The fields are those of `vllm_bench`, and some of the search. It doubles the load from `lowest` until the service
    level is missed, or `highest` is reached; then it halves the gap until its ends are `precision` apart (0.1 is 10 %),
    and measures what it found once more. Each measurement has prompts of its own.
    """

    of: ClassVar[type[Benchmark]] = VllmBench
    metrics: ClassVar = (*METRICS, *(f"slo_{load}" for load in LOADS))


class LoadSlo(Slo, Load):
    """Finds the largest concurrency that meets a service level, by `load` at one after the other.

    The fields are those of `load`, and those that `vllm_bench_slo` has for the search.
    """

    of: ClassVar[type[Benchmark]] = Load
    metrics: ClassVar = (*METRICS, "slo_max_concurrency")

    vary: Literal["max_concurrency"] = "max_concurrency"
    """What the load is."""

    def run(self, name: str, bench: Bench) -> Outcome:
        outcome = super().run(name, bench)
        return replace(outcome, detail=f"{outcome.detail.removesuffix(OURS)}{OURS}")
