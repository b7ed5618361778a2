"""What a recipe's page says of its recorded runs; used by generate.py."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from generate_reference import cell

from recipe_runner.evidence import files
from recipe_runner.serialize import around

HEADLINES: Final = {
    "output_throughput": "{} tok/s out",
    "median_ttft_ms": "median TTFT {} ms",
    "median_tpot_ms": "median TPOT {} ms",
}


def recorded(recipe: Path) -> Iterator[str]:
    """The recorded runs of a recipe, and what they measured."""
    found = list(files.of(recipe, []))
    if not found:
        return
    yield "## Recorded runs\n\n| hardware | vLLM | date | verdict | measured | file |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in found:
        what = "<br>".join(_headline(item) for item in one.document["benchmarks"] if item["metrics"])
        link = f"[{cell(one.file.name)}](../{_place(one.file, recipe.parent)})"
        words = (one.hardware, one.vllm or "unknown", one.date, one.verdict)
        yield f"| {' | '.join(map(cell, words))} | {what} | {link} |"
    yield "\n`recipe-run validate` checks them again: [Record evidence](../how-to/record-evidence.md).\n"


def sites(recipes: Path) -> dict[str, Path]:
    """Each recorded run by its place on the site."""
    return {_place(file, recipes): file for file in sorted((recipes / files.RESULTS).rglob("*.json"))}


def _place(file: Path, recipes: Path) -> str:
    return file.relative_to(recipes).as_posix()


def _headline(item: Mapping[str, Any]) -> str:
    """The figures of a benchmark that are looked for first."""
    told = []
    for key, words in HEADLINES.items():
        if key in item["metrics"]:
            told.append(words.format(f"{item['metrics'][key]:,.1f}") + _noise(item["noise"].get(key)))
    return cell(f"{item['name']}: {', '.join(told)}")


def _noise(of: Mapping[str, float] | None) -> str:
    return "" if of is None else f" ({around(of['half_width_percent'])})"
