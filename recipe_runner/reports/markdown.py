"""`markdown`: report.md, the run as a page."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from recipe_runner.api import Report
from recipe_runner.serialize import one_line

LINK: Final = re.compile(r"(?i)(https?|ftp|mailto|xmpp|www)([:.])")  # addresses that become links by themselves
UNDERSCORES: Final = re.compile(r"(?<![^\W_])_++|_++(?![^\W_])")  # inside a word they mean nothing
BLOCK: Final = re.compile(r"^(\d*)([-+#=.)])")  # what begins a list, a heading or a rule where it begins a line


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
                name, verdict, detail = (_cell(item[key]) for key in ("name", "verdict", "detail"))
                yield f"| {name} | {verdict} | {detail} | {item['seconds']:.2f} |"
    for benchmark in report["benchmarks"]:
        yield from _figures(benchmark, report["expected"].get(benchmark["name"]))
    yield "\n## Phases\n\n| phase | seconds |\n| --- | ---: |"
    yield from (f"| {_cell(phase['name'])} | {phase['seconds']:.2f} |" for phase in report["phases"])
    left, free = report["teardown"]["processes_left"], report["teardown"]["port_free"]
    yield f"\nAfterwards: {left} processes left; port free: {'not ours' if free is None else 'yes' if free else 'no'}."
    if removed := report["teardown"].get("files_removed"):
        yield f"Removed: {removed} sockets and other files of the server."
    yield "\n## Environment\n\n| what | value |\n| --- | --- |"
    for key, value in report["environment"].items():
        yield f"| {_cell(key)} | {_cell(', '.join(value) if isinstance(value, list) else value)} |"


def _figures(benchmark: Mapping[str, Any], expected: Mapping[str, Any] | None) -> Iterator[str]:
    if not benchmark["metrics"]:
        return
    yield f"\n## Figures of {_cell(benchmark['name'])}\n\n| metric | measured | reported |\n| --- | ---: | ---: |"
    reported = expected["metrics"] if expected else {}
    for name, value in benchmark["metrics"].items():
        figure = reported.get(name)
        reading = f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
        yield f"| {_cell(name)} | {reading} | {'' if figure is None else figure['value']} |"
    if expected:
        yield f"\nReported: {_cell(expected['hardware'])}; {_cell(expected['source'])}. {_cell(expected['note'])}"


def _cell(value: Any) -> str:
    """Text that comes from elsewhere, on one line, as text and nothing else: no markup, no HTML, no link, no image."""
    text = one_line(" ".join(("unknown" if value is None else str(value)).split()), most=10_000)
    for char in "\\`*|[]~$":
        text = text.replace(char, f"\\{char}")
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    text = UNDERSCORES.sub(lambda found: "\\_" * len(found[0]), text)
    text = LINK.sub(r"\1\\\2", text)
    return BLOCK.sub(r"\1\\\2", text)
