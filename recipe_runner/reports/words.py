"""What reports say in words: figures as people read them, and what a verdict and the noise mean."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from recipe_runner.reports.document import leading
from recipe_runner.serialize import MOST_PERCENT, provenance, shell_word, to_json
from recipe_runner.serialize import around as around

MEANING: Final = {
    "passed": "Every check passed, and no figure was worse than its limit.",
    "failed": "A check failed, or a figure was worse than its limit.",
    "inconclusive": "Nothing was judged, or not surely enough to say passed or failed.",
    "error": "The run broke: what follows is no judgement of the model.",
    "interrupted": "The run was ended before it was done.",
}
SIMULATED: Final = "Simulated: no model ran, and no figure here says anything about hardware."
MARKS: Final = {
    **{"passed": "✓", "failed": "✗", "error": "✗", "inconclusive": "?", "interrupted": "■"},
    **{"skipped": "–", "measured": "•"},
}


def number(value: float) -> str:
    """Five digits that matter, and every digit of a whole number."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.5g}"


def percent(value: float, *, signed: bool = False) -> str:
    if value >= MOST_PERCENT:
        return f"over {MOST_PERCENT} %"
    return f"{value:+.1f} %".replace("-", "−") if signed else f"{value:.1f} %"


def shown(value: Any) -> str:
    """A value of any kind, as it would be typed."""
    return value if isinstance(value, str) else to_json(value)


def place(report: Mapping[str, Any]) -> str:
    return str(report["hardware"] or report["url"])


def devices(environment: Mapping[str, Any]) -> str:
    """The GPUs, equal ones counted; the CPU where there is none."""
    gpus = Counter(environment.get("gpus") or ())
    named = (f"{count} × {name}" if count > 1 else name for name, count in gpus.items())
    return ", ".join(named) or f"no GPU, {environment.get('cpu') or 'CPU unknown'}"


def facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What ran where."""
    environment = report["environment"]
    yield "Recipe", report["recipe"]["name"]
    yield "Hardware", report["hardware"] or f"attached to {report['url']}"
    yield "Devices", devices(environment)
    yield "vLLM", environment.get("vllm") or "unknown"
    yield "Engine", report["engine"]
    if report["parallelism"]:
        yield "Parallelism", " × ".join(f"{key} {value}" for key, value in report["parallelism"].items())
    yield "Started", moment(report["started"])
    yield "Took", f"{sum(phase['seconds'] for phase in report['phases']):.1f} s"


def moment(stamp: str) -> str:
    return stamp.replace("T", " ").replace("+00:00", " UTC")


def tally(states: Sequence[str]) -> str:
    """`3 passed, 1 failed, 1 not run`."""
    return ", ".join(f"{count} {state}" for state, count in Counter(states).items())


def noise_statement(benchmark: Mapping[str, Any]) -> str:
    """How far the figures can be believed, in a sentence or two; empty where nothing was counted."""
    count = sum(measurement["counted"] for measurement in benchmark["measurements"])
    if count == 0:
        return ""
    if count == 1:
        return "1 measurement: it shows no noise, so a small difference from it means nothing."
    if count == 2:
        return "2 measurements: too few to tell the noise; with 3 or more it would be known."
    known = [metric for metric in leading([benchmark]) if metric in benchmark["noise"]] or list(benchmark["noise"])
    if not known:
        return f"{count} measurements; their noise was not computed (pip install 'recipe-runner[analysis]')."
    noise = benchmark["noise"][known[0]]
    spread, drift = percent(noise["spread_percent"]), percent(noise["drift_percent"], signed=True)
    least = percent(noise["smallest_difference_percent"])
    return (
        f"{count} measurements, {known[0]}: spread {spread}, drift {drift}; "
        f"a difference of {least} would have been seen 9 times in 10."
    )


def doubts(benchmark: Mapping[str, Any]) -> list[str]:
    """Every reason not to believe a measurement, with the measurement that it is about."""
    return [f"{item['name']}: {doubt}" for item in benchmark["measurements"] for doubt in item["doubts"]]


def right(names: Iterable[str]) -> list[str]:
    """Names of columns that hold numbers, as the writers of tables know them."""
    return [f">{name}" for name in names]


def limit(figure: Mapping[str, Any]) -> str:
    """What a figure may come to at worst."""
    return "" if figure["limit"] is None else number(figure["limit"])


def sources(report: Mapping[str, Any], benchmark: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the expected figures of a benchmark are from, and the note on them."""
    named = dict.fromkeys(figure["expected"] for figure in benchmark["figures"])
    found = {name: report["expected"][name] for name in named if name in report["expected"]}
    return [(provenance(expected, name), expected.get("note") or "") for name, expected in found.items()]


def unit(figure: Mapping[str, Any]) -> str:
    return f"{figure['unit']} per GPU" if figure["per"] == "gpu" else str(figure["unit"])


def commands(process: Mapping[str, Any]) -> list[str]:
    """The lines of a process's command as a person would paste it: a flag with its values on each."""
    lines = [[f"{key}={shell_word(value)}"] for key, value in process["env"].items()] + [[]]
    for word in process["argv"]:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(shell_word(word))
    return " \\\n  ".join(" ".join(line) for line in lines).split("\n")
