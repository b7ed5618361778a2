"""What a recipe's page says of its recorded runs, and of sittings on GPU hosts; used by generate.py."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from generate_text import cell

from recipe_runner.evidence import files
from recipe_runner.serialize import around

HEADLINES: Final = {
    "output_throughput": "{} tok/s out",
    "median_ttft_ms": "median TTFT {} ms",
    "median_tpot_ms": "median TPOT {} ms",
}
DOCS: Final = Path(__file__).resolve().parent
NOT_TOLD: Final = ("report.folder", "model.path", "engine.url")  # where things lay on that host


def recorded(recipe: Path) -> Iterator[str]:
    """The recorded runs of a recipe, and what they measured."""
    found = list(files.of(recipe, []))
    if not found:
        return
    yield "## Recorded runs\n\n| hardware | machine | vLLM | date | verdict | measured | file |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in found:
        what = "<br>".join((_headlines(one.document), *([cell(one.document["note"])] if one.document["note"] else ())))
        link = f"[{cell(one.file.name)}](../{_place(one.file, recipe.parent)})"
        words = (one.hardware, _machine(one.document), one.vllm or "unknown", one.date, one.verdict)
        yield f"| {' | '.join(map(cell, words))} | {what} | {link} |"
    yield "\n`recipe-run validate` checks them again: [Record evidence](../how-to/record-evidence.md).\n"


def sites(recipes: Path) -> dict[str, Path]:
    """Each recorded run by its place on the site."""
    return {_place(file, recipes): file for file in sorted((recipes / files.RESULTS).rglob("*.json"))}


def sittings(recipe: str, folder: Path = DOCS / "evidence") -> Iterator[str]:
    """What this recipe measured in the sittings that `docs/evidence/` tells of: reports that say what was typed."""
    found = []
    for file in sorted(folder.glob("*/**/*.json")):
        report = json.loads(file.read_text(encoding="utf-8"))
        told = "verdict" in report and report["recipe"]["name"] == recipe and report.get("overrides")
        if told and any(item["metrics"] for item in report["benchmarks"]):
            found.append((file, report))
    if not found:
        return
    yield "## Measured in a sitting\n\nNot as evidence for the recipe, but to see how it behaves; what was typed beside"
    yield "it stands in the table. The page says what each run shows, and what not.\n"
    yield "| run | machine | vLLM | date | typed | measured |\n| --- | --- | --- | --- | --- | --- |"
    for file, report in found:
        place = file.relative_to(folder)
        typed = " ".join(f"{key}={_word(value)}" for key, value in report["overrides"].items() if key not in NOT_TOLD)
        words = (_machine(report), report["environment"]["vllm"], report["started"][:10], typed)
        about = f"[{cell(place.stem)}](../evidence/{place.parts[0]}.md)"
        yield f"| {about} | {' | '.join(map(cell, words))} | {_headlines(report)} |"
    yield ""


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _machine(document: Mapping[str, Any]) -> str:
    """Its GPUs, or else its CPU."""
    environment = document.get("environment") or {}
    gpus = environment.get("gpus") or []
    return f"{len(gpus)} × {gpus[0]}" if gpus else str(environment.get("cpu") or "unknown")


def _place(file: Path, recipes: Path) -> str:
    return file.relative_to(recipes).as_posix()


def _headlines(document: Mapping[str, Any]) -> str:
    return "<br>".join(_headline(item) for item in document["benchmarks"] if item["metrics"])


def _headline(item: Mapping[str, Any]) -> str:
    """The figures of a benchmark that are looked for first."""
    told = []
    for key, words in HEADLINES.items():
        if key in item["metrics"]:
            told.append(words.format(f"{item['metrics'][key]:,.1f}") + _noise(item["noise"].get(key)))
    return cell(f"{item['name']}: {', '.join(told)}")


def _noise(of: Mapping[str, float] | None) -> str:
    return "" if of is None else f" ({around(of['half_width_percent'])})"
