"""`markdown`: report.md, the run as a page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recipe_runner.api import Report


class Markdown(Report):
    """Writes `report.md`: verdict first, then items, figures, phases, environment."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        path = folder / "report.md"
        path.write_text("\n".join(_page(report)) + "\n", encoding="utf-8")
        return path


def _page(report: Mapping[str, Any]) -> Iterator[str]:
    simulated = " (simulated)" if report.get("simulated") else ""
    place = _cell(report["hardware"] or report["url"])
    yield f"# {_cell(report['recipe']['name'])} on {place}: {report['verdict']}{simulated}"
    yield f"\n{_cell(report['recipe']['summary'])}\n\nStarted {report['started']}."
    for error in report["errors"]:
        yield f"\n**{_cell(error['where'])}** — {_cell(error['what'])}; {_cell(error['do'])}."
    if report["log_excerpt"]:
        yield "\n" + "\n".join(f"    {line}" for line in report["log_excerpt"])
    for kind in ("checks", "benchmarks"):
        if report[kind]:
            yield f"\n## {kind.capitalize()}\n\n| name | verdict | detail | seconds |\n| --- | --- | --- | ---: |"
            for item in report[kind]:
                yield f"| {_cell(item['name'])} | {item['verdict']} | {_cell(item['detail'])} | {item['seconds']:.2f} |"
    for benchmark in report["benchmarks"]:
        yield from _figures(benchmark, report["expected"].get(benchmark["name"]))
    yield "\n## Phases\n\n| phase | seconds |\n| --- | ---: |"
    yield from (f"| {phase['name']} | {phase['seconds']:.2f} |" for phase in report["phases"])
    left, free = report["teardown"]["processes_left"], report["teardown"]["port_free"]
    yield f"\nAfterwards: {left} processes left; port free: {'not ours' if free is None else 'yes' if free else 'no'}."
    yield "\n## Environment\n\n| what | value |\n| --- | --- |"
    for key, value in report["environment"].items():
        yield f"| {key} | {_cell(', '.join(value) if isinstance(value, list) else value)} |"


def _figures(benchmark: Mapping[str, Any], expected: Mapping[str, Any] | None) -> Iterator[str]:
    if not benchmark["metrics"]:
        return
    yield f"\n## Figures of {_cell(benchmark['name'])}\n\n| metric | measured | reported |\n| --- | ---: | ---: |"
    reported = expected["metrics"] if expected else {}
    for name, value in benchmark["metrics"].items():
        figure = reported.get(name)
        reading = f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
        yield f"| {name} | {reading} | {'' if figure is None else figure['value']} |"
    if expected:
        yield f"\nReported: {_cell(expected['hardware'])}; {_cell(expected['source'])}. {_cell(expected['note'])}"


def _cell(value: Any) -> str:
    """Text that comes from elsewhere, safe on a line or inside a table."""
    text = "unknown" if value is None else str(value)
    for char in "\\`*_|<>[]":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())
