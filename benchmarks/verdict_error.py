"""How often a verdict sees what is not there, and how much of what is there it finds.

    python benchmarks/verdict_error.py [--trials N] [--seed S]
    python benchmarks/verdict_error.py --record N

Judges what `compare` judges by default, by its own functions. Simulates measurements with a spread of 3 %, and draws
five against five, none twice, from recorded repeats of real vLLM for CPU (recipe internvl3-tiny), which `--record`
makes. A slowdown of s % multiplies throughput by 1 − s, and divides times by it. Only Welch's p is computed for all
trials at once; a sample of the trials goes through the whole of `compare` as two runs, and must come out the same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recipe_runner.figures.differences import compare
from recipe_runner.figures.family import USUAL as METRICS
from recipe_runner.figures.family import holm, weights
from recipe_runner.figures.noise import ALPHA, against
from recipe_runner.figures.runs import Run, Source
from recipe_runner.serialize import write_json

RECORDED = Path(__file__).parents[1] / "tests" / "data" / "repeats" / "internvl3-tiny.json"
COUNT, SPREAD, SLOWEST, SAMPLE = 5, 0.03, 10, 50
MARGINS = (-10, -5, -2, 0, 2, 5, 10)
SLOWED: Final = {**{f"{metric} alone": (metric,) for metric in METRICS}, "all of them": METRICS}
Trials: TypeAlias = NDArray[np.float64]  # a row each
Found: TypeAlias = NDArray[np.bool_]  # a row each, and a column for each metric


def simulated(rng: np.random.Generator, trials: int, count: int = 2 * COUNT, spread: float = SPREAD) -> Trials:
    return 100 * (1 + spread * rng.standard_normal((trials, count)))


def independent(rng: np.random.Generator, trials: int) -> dict[str, Trials]:
    """Metrics that have nothing to do with each other."""
    return {metric: simulated(rng, trials) for metric in METRICS}


def together(rng: np.random.Generator, trials: int) -> dict[str, Trials]:
    """Metrics that are all high or low at once, as those of a machine that is busy: times where throughput is low."""
    rates = simulated(rng, trials)
    return {metric: rates if metric == METRICS[0] else 1e4 / rates for metric in METRICS}


def drawn(rng: np.random.Generator, trials: int, recorded: Mapping[str, Any]) -> dict[str, Trials]:
    """Ten of the recorded repeats for each trial, none twice; the same ones of every metric."""
    values = {metric: np.asarray(recorded["values"][metric], float) for metric in METRICS}
    rows = np.tile(np.arange(len(values[METRICS[0]])), (trials, 1))
    chosen = rng.permuted(rows, axis=1)[:, : 2 * COUNT]
    return {metric: repeats[chosen] for metric, repeats in values.items()}


def found(columns: Mapping[str, Trials], slowed: Collection[str] = (), slowdown: float = 0.0) -> Found:
    """What `compare` finds to differ: the first half of each trial against its second half, in which some slow down."""
    after = {metric: trials[:, COUNT:].copy() for metric, trials in columns.items()}
    for metric in slowed:
        after[metric] *= (1 - slowdown) ** (1 if metric == METRICS[0] else -1)
    before = {metric: trials[:, :COUNT] for metric, trials in columns.items()}
    tests = [stats.ttest_ind(np.log(after[key]), np.log(before[key]), axis=1, equal_var=False) for key in METRICS]
    ps = np.stack([test.pvalue for test in tests], axis=1)
    differs = np.zeros(ps.shape, bool)
    for row in np.flatnonzero((ps < ALPHA).any(axis=1)).tolist():  # adjusting makes no p smaller
        differs[row] = [one.differs for one in holm(list(ps[row]), weights(len(METRICS)))]
    for row in range(min(SAMPLE, len(ps))):
        a, b = (Source(side, {"": run(values, row)}) for side, values in (("a", before), ("b", after)))
        for metric, differ, change in zip(METRICS, differs[row], compare(a, b).changes, strict=True):
            assert change.low_percent is not None
            assert change.high_percent is not None
            interval = change.low_percent > 0 or change.high_percent < 0
            assert (change.metric, change.verdict != "no difference seen", interval) == (metric, differ, differ)
    return differs


def run(values: Mapping[str, Trials], row: int) -> Run:
    """One half of a trial as `compare` reads it from a run's report."""
    repeats = [{metric: float(trials[row, place]) for metric, trials in values.items()} for place in range(COUNT)]
    measurements = [{"counted": True, "metrics": metrics} for metrics in repeats]
    means = {metric: float(trials[row].mean()) for metric, trials in values.items()}
    item = {"name": "small", "uses": "vllm_bench", "verdict": "measured", "metrics": means, "fields": {}}
    return Run.model_validate({"environment": {}, "benchmarks": [item | {"measurements": measurements}]})


def judged(trials: Trials, limit: float) -> dict[str, float]:
    """The shares of verdicts of a gate where higher is better."""
    logs = np.log(trials / limit)
    count, mean = logs.shape[1], logs.mean(axis=1)
    places = np.arange(count) - (count - 1) / 2
    drift = np.abs(logs @ places) / (places @ places) * (count - 1)
    half = np.maximum(stats.t.ppf(1 - ALPHA / 2, count - 1) * stats.sem(logs, axis=1), drift / 2)
    verdicts = np.where(mean - half >= 0, "passed", np.where(mean + half < 0, "failed", "inconclusive"))
    for row in range(min(SAMPLE, len(trials))):
        assert verdicts[row] == against(list(trials[row]), limit, "higher")
    return {verdict: float((verdicts == verdict).mean()) for verdict in ("passed", "inconclusive", "failed")}


def differences(of: str, columns: Mapping[str, Trials]) -> None:
    """How often a slowdown is found, and how often something that is none, by how large it is and what it slows."""
    print(f"{of}, {COUNT} against {COUNT}: what is found, by what slows down\n")
    print(f"{'slowdown':>10}" + "".join(f"{name:>26}" for name in SLOWED))
    print(f"{'0 (A/A)':>10}{found(columns).any(axis=1).mean():>26.2%}  any of the {len(METRICS)}")
    for slowdown in range(1, SLOWEST + 1):
        found_by = (found(columns, slowed, slowdown / 100) for slowed in SLOWED.values())
        told = zip(found_by, SLOWED.values(), strict=True)
        shares = (differs[:, [METRICS.index(key) for key in slowed]].any(axis=1).mean() for differs, slowed in told)
        print(f"{f'{slowdown} %':>10}" + "".join(f"{share:>26.2%}" for share in shares))
    print()


def gates(rng: np.random.Generator, trials: int) -> None:
    """What becomes of a gate, by how far the truth is from its limit."""
    for spread in (SPREAD, 0.01):
        print(f"A gate, {COUNT} measurements with a spread of {spread:.0%}\n")
        print(f"{'truth, from its limit':>22}{'passed':>12}{'inconclusive':>15}{'failed':>12}")
        for margin in MARGINS:
            shares = judged(simulated(rng, trials, COUNT, spread), 100 / (1 + margin / 100))
            cells = f"{shares['passed']:>12.2%}{shares['inconclusive']:>15.2%}{shares['failed']:>12.2%}"
            print(f"{f'{margin:+} %' if margin else 'on it':>22}{cells}")
        print()


def record(times: int) -> None:
    """Measure real vLLM so often, on one server, and keep the values."""
    words = ["recipe=internvl3-tiny", "hardware=cpu", "serve.port=0", f"benchmark.small.repeat={times}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "recipe_runner", *words, f"report.folder={folder}", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    report = json.loads(done.stdout)
    if "errors" in report and "benchmarks" not in report:
        sys.exit(done.stdout)
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    write_json(RECORDED, kept(report, " ".join(["recipe-run", *words]), times))
    print(f"{times} measurements in {RECORDED}")


def kept(report: Mapping[str, Any], command: str, times: int) -> dict[str, Any]:
    """What of a report is recorded: all counted measurements, or nothing."""
    (small,) = (one for one in report["benchmarks"] if one["name"] == "small")
    counted = [one for one in small["measurements"] if one["counted"]]
    if len(counted) != times:
        sys.exit(f"only {len(counted)} of {times} were measured: {small['verdict']}, {small['detail']}")
    for one in counted:
        for doubt in one["doubts"]:
            print(f"{one['name']}: {doubt}", file=sys.stderr)
    environment = report["environment"]
    return {
        "machine": f"{environment['cpu']}, {environment['memory_gib']:.0f} GiB",
        "vllm": environment["vllm"],
        "date": report["started"][:10],
        "command": command,
        "values": {metric: [one["metrics"][metric] for one in counted] for metric in METRICS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=int, metavar="N", help="measure real vLLM N times, for about 20 s each")
    asked = parser.parse_args()
    if asked.record:
        record(asked.record)
        return
    rng = np.random.default_rng(asked.seed)
    if RECORDED.is_file():
        recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
        count = len(recorded["values"][METRICS[0]])
        print(f"Recorded: {count} × `{recorded['command']}`")
        print(f"on {recorded['machine']}, vLLM {recorded['vllm']}, {recorded['date']}\n")
        differences("Recorded", drawn(rng, asked.trials, recorded))
    else:
        print(f"Nothing is recorded in {RECORDED}: see --record. Simulated only.\n")
    differences(f"Simulated, spread {SPREAD:.0%}, noise of their own", independent(rng, asked.trials))
    differences(f"Simulated, spread {SPREAD:.0%}, noise in common", together(rng, asked.trials))
    gates(rng, asked.trials)


if __name__ == "__main__":
    main()
