"""What a sitting's files say beyond its reports: a GPU's use in each measurement, and each wave of first tokens.

    figures.py RESULTS > figures.json      RESULTS is the folder that session.sh wrote

With `ignore_eos` all requests that are sent at once end at once, and the next are sent: they come in waves as large as
the concurrency. Times are in ms since the first request of the wave was sent.
"""

import json
import re
import statistics
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

GPU_TIME = "%Y/%m/%d %H:%M:%S.%f"  # nvidia-smi's, of a host whose clock shows UTC


class Sample(NamedTuple):
    """One GPU at one moment."""

    at: float
    used_mib: int
    busy_percent: int


def samples(file: Path) -> list[Sample]:
    """The samples that nvidia-smi wrote; what was cut off at the end is left out."""
    rows = [line.split(", ") for line in file.read_text(encoding="utf-8").splitlines()]
    found = [(row[0], *(int(word.split()[0]) for word in row[-2:])) for row in rows if len(row) >= 3]
    return [Sample(datetime.strptime(at, GPU_TIME).replace(tzinfo=UTC).timestamp(), *rest) for at, *rest in found]


def waves(detail: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
    """Requests in the order in which they were sent, as many at a time as there are at once."""
    requests = sorted(zip(detail["start_times"], detail["ttfts"], strict=True))
    for at in range(0, len(requests), size):
        wave = requests[at : at + size]
        first = wave[0][0]
        yield {
            "sent_ms": [round(1000 * (sent - first)) for sent, _ in wave],
            "ttft_ms": [round(1000 * ttft) for _, ttft in wave],
            "first_tokens_at_ms": sorted(round(1000 * (sent - first + ttft)) for sent, ttft in wave),
        }


def measurement(event: dict[str, Any], detail: dict[str, Any], gpu: list[Sample]) -> dict[str, Any]:
    """One measurement: its GPU while it was busy at all, and its waves."""
    end = datetime.fromisoformat(event["at"]).timestamp()
    busy = [sample.busy_percent for sample in gpu if end - event["seconds"] <= sample.at <= end and sample.busy_percent]
    return {
        "seed": event["seed"],
        "gpu_busy_percent_mean": round(statistics.mean(busy), 1),
        "gpu_busy_percent_quartiles": [round(value) for value in statistics.quantiles(busy, n=4)],
        "gpu_samples": len(busy),
        "waves": list(waves(detail, detail["max_concurrency"])),
    }


def measurements(events: Path, gpu: list[Sample]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each measurement of a run that came to its end."""
    for event in map(json.loads, events.read_text(encoding="utf-8").splitlines()):
        if event["event"] == "measurement" and event["metrics"]:
            detail = json.loads((events.parent / f"{event['name']}.json").read_text(encoding="utf-8"))
            yield event["name"], measurement(event, detail, gpu)


def step(results: Path, name: str) -> dict[str, Any]:
    """The most memory that a GPU had in use, and the measurements of a step's run, or of its sweep's points."""
    gpu = samples(results / f"{name}.smi.csv")
    runs = sorted((results / "runs" / name).glob("*/*/*/events.jsonl"))
    return {
        "most_used_mib": max(sample.used_mib for sample in gpu),
        "measurements": {key: value for run in runs for key, value in measurements(run, gpu)},
    }


def main() -> None:
    results = Path(sys.argv[1])
    names = sorted(file.name.removesuffix(".smi.csv") for file in results.glob("*.smi.csv"))
    found = {name: step(results, name) for name in names}
    print(re.sub(r"\[\s+([\d,\s]+?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", json.dumps(found, indent=1)))


if __name__ == "__main__":
    main()
