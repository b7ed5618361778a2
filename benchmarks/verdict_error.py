"""How often a verdict sees what is not there, and how much of what is there it finds.

    python benchmarks/verdict_error.py [--trials N] [--seed S]
    python benchmarks/verdict_error.py --record N

Simulates measurements with a spread of 3 %, and draws five against five, none twice, from recorded repeats of real vLLM
for CPU (recipe internvl3-tiny), which `--record` makes. A slowdown of s % multiplies throughput by 1 − s, and divides
times by it. Trials are judged all at once; a sample of them is judged again as runs are, and must come out the same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recipe_runner.figures.noise import ALPHA, against, difference, holm
from recipe_runner.serialize import write_json

RECORDED = Path(__file__).parents[1] / "tests" / "data" / "repeats" / "internvl3-tiny.json"
METRICS = ("output_throughput", "median_ttft_ms", "median_tpot_ms")
COUNT, SPREAD, SLOWEST, SAMPLE = 5, 0.03, 10, 50
MARGINS = (-10, -5, -2, 0, 2, 5, 10)
Trials: TypeAlias = NDArray[np.float64]  # a row each


def simulated(rng: np.random.Generator, trials: int, count: int = 2 * COUNT, spread: float = SPREAD) -> Trials:
    return 100 * (1 + spread * rng.standard_normal((trials, count)))


def drawn(rng: np.random.Generator, trials: int, recorded: Mapping[str, Any]) -> dict[str, Trials]:
    """Ten of the recorded repeats for each trial, none twice; the same ones of every metric."""
    values = {metric: np.asarray(recorded["values"][metric], float) for metric in METRICS}
    rows = np.tile(np.arange(len(values[METRICS[0]])), (trials, 1))
    chosen = rng.permuted(rows, axis=1)[:, : 2 * COUNT]
    return {metric: repeats[chosen] for metric, repeats in values.items()}


def found(trials: Trials, slowdown: float = 0.0) -> NDArray[np.float64]:
    """The p of each trial: its first half against its second half, which is slowed down."""
    before, after = trials[:, :COUNT], trials[:, COUNT:] * (1 - slowdown)
    p = stats.ttest_ind(np.log(after), np.log(before), axis=1, equal_var=False).pvalue
    for row in range(min(SAMPLE, len(trials))):
        one = difference(list(before[row]), list(after[row]))
        assert one is not None
        assert abs(p[row] - one.p) < 1e-12
    return np.asarray(p)


def together(ps: Trials) -> Trials:
    """Holm's adjustment of each row."""
    order = np.argsort(ps, axis=1)
    steps = np.take_along_axis(ps, order, axis=1) * np.arange(ps.shape[1], 0, -1)
    adjusted = np.empty_like(ps)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(np.minimum(steps, 1), axis=1), axis=1)
    for row in range(min(SAMPLE, len(ps))):
        assert np.allclose(adjusted[row], holm(list(ps[row])), rtol=0, atol=1e-12)
    return adjusted


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


def differences(columns: Mapping[str, Trials]) -> None:
    """The share of differences found, by how large they are."""
    print(f"Found, {COUNT} against {COUNT}, at a level of {ALPHA:.0%}\n")
    print(f"{'slowdown':>10}" + "".join(f"{name:>20}" for name in columns))
    for slowdown in range(SLOWEST + 1):
        shares = ((found(trials, slowdown / 100) < ALPHA).mean() for trials in columns.values())
        label = f"{slowdown} %" if slowdown else "0 (A/A)"
        print(f"{label:>10}" + "".join(f"{share:>20.2%}" for share in shares))


def families(rows: Mapping[str, Trials]) -> None:
    """How often any of three metrics differs where none does."""
    print("\nAny of three metrics found to differ, A/A\n")
    print(f"{'':>32}{'each for itself':>20}{'with Holm':>20}")
    for name, ps in rows.items():
        print(f"{name:>32}{(ps < ALPHA).any(axis=1).mean():>20.2%}{(together(ps) < ALPHA).any(axis=1).mean():>20.2%}")


def gates(rng: np.random.Generator, trials: int) -> None:
    """What becomes of a gate, by how far the truth is from its limit."""
    for spread in (SPREAD, 0.01):
        print(f"\nA gate, {COUNT} measurements with a spread of {spread:.0%}\n")
        print(f"{'truth, from its limit':>22}{'passed':>12}{'inconclusive':>15}{'failed':>12}")
        for margin in MARGINS:
            shares = judged(simulated(rng, trials, COUNT, spread), 100 / (1 + margin / 100))
            cells = f"{shares['passed']:>12.2%}{shares['inconclusive']:>15.2%}{shares['failed']:>12.2%}"
            print(f"{f'{margin:+} %' if margin else 'on it':>22}{cells}")


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
    three = [found(simulated(rng, asked.trials)) for _ in METRICS]
    columns = {"simulated": simulated(rng, asked.trials)}
    rows = {"simulated, independent": np.stack(three, axis=1), "simulated, all the same": np.stack(three[:1] * 3, 1)}
    if RECORDED.is_file():
        recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
        repeats = drawn(rng, asked.trials, recorded)
        rows["recorded"] = np.stack([found(trials) for trials in repeats.values()], axis=1)
        columns |= repeats
        count = len(recorded["values"][METRICS[0]])
        print(f"Recorded: {count} × `{recorded['command']}`")
        print(f"on {recorded['machine']}, vLLM {recorded['vllm']}, {recorded['date']}\n")
    else:
        print(f"Nothing is recorded in {RECORDED}: see --record. Simulated only.\n")
    differences(columns)
    families(rows)
    gates(rng, asked.trials)


if __name__ == "__main__":
    main()
