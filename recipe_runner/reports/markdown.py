"""`markdown`: report.md, the run as a page that fits into a pull request."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe_runner.api import Report
from recipe_runner.reports.document import JUDGES, complete, leading
from recipe_runner.reports.markup import cell, folded, table
from recipe_runner.reports.sweeps import Sweep
from recipe_runner.reports.sweeps import table as table_of
from recipe_runner.reports.words import (
    MEANING,
    SIMULATED,
    devices,
    doubts,
    limit,
    noise_statement,
    number,
    percent,
    place,
    shell,
    sources,
    unit,
)
from recipe_runner.serialize import one_line


class Markdown(Report):
    """Writes `report.md`: verdict, items, figures and their limits, noise, doubts; the rest is folded."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        return _written(_page(complete(report)), folder)

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path:
        return _written(_sweep(table_of(sweep)), folder)


def _written(lines: Iterable[str], folder: Path) -> Path:
    path = folder / "report.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _page(report: Mapping[str, Any]) -> Iterator[str]:
    simulated = " (simulated)" if report["simulated"] else ""
    yield f"# {cell(report['recipe']['name'])} on {cell(place(report))}: {report['verdict']}{simulated}"
    yield f"\n{MEANING[report['verdict']]}"
    if report["simulated"]:
        yield f"\n**{SIMULATED}**"
    environment = report["environment"]
    yield f"\n{cell(report['recipe']['summary'])}"
    vllm = cell(environment.get("vllm"))
    yield f"\nvLLM {vllm}; devices: {cell(devices(environment))}; started {cell(report['started'])}."
    for error in report["errors"]:
        yield f"\n**{cell(error['where'])}** — {cell(error['what'])}; {cell(error['do'])}."
    if report["log_excerpt"]:
        yield "\n" + "\n".join(f"    {one_line(line)}" for line in report["log_excerpt"])
    items = [item for kind in JUDGES for item in report[kind]]
    if items:
        yield "\n## Checks and benchmarks"
        rows = ([cell(item["name"]), item["verdict"], cell(item["detail"]), f"{item['seconds']:.2f}"] for item in items)
        yield from table(("name", "verdict", "detail", ">seconds"), rows)
    for benchmark in report["benchmarks"]:
        yield from _figures(report, benchmark)
    yield from folded("Details", _details(report))


def _figures(report: Mapping[str, Any], benchmark: Mapping[str, Any]) -> Iterator[str]:
    """What a benchmark was expected to come to, and how far it can be believed; nothing where neither can be said."""
    figures, statement, why_not = benchmark["figures"], noise_statement(benchmark), doubts(benchmark)
    if not (figures or statement or why_not):
        return
    yield f"\n## Figures of {cell(benchmark['name'])}"
    if figures:
        columns = ("metric", ">measured", ">expected", ">limit", "verdict", "why")
        yield from table(columns, ([*_expected(figure), cell(figure["why"])] for figure in figures))
        for source, note in sources(report, benchmark):
            yield f"\nExpected: {cell(source)}. {cell(note)}".rstrip()
    elif benchmark["metrics"]:
        names = leading([benchmark])
        yield from table(("metric", ">measured"), ([cell(name), _number(benchmark, name)] for name in names))
    if statement:
        yield f"\n{cell(statement)}"
    yield from (f"\n**Doubt:** {cell(doubt)}" for doubt in why_not)


def _expected(figure: Mapping[str, Any]) -> Iterator[str]:
    yield cell(figure["metric"])
    yield "none" if figure["measured"] is None else number(figure["measured"])
    yield f"{number(figure['value'])} {cell(unit(figure))}"
    yield limit(figure)
    yield figure["verdict"] or ""


def _number(benchmark: Mapping[str, Any], metric: str) -> str:
    return number(benchmark["metrics"][metric]) if metric in benchmark["metrics"] else ""


def _details(report: Mapping[str, Any]) -> Iterator[str]:
    for benchmark in report["benchmarks"]:
        if benchmark["metrics"]:
            yield f"\n### All figures of {cell(benchmark['name'])}"
            yield from table(("metric", ">mean", ">spread", ">drift"), _all_figures(benchmark))
        if len(benchmark["measurements"]) > 1:
            yield f"\n### Measurements of {cell(benchmark['name'])}"
            yield from _measurements(benchmark)
        if benchmark["curve"]:
            yield f"\n### Search of {cell(benchmark['name'])}"
            yield from _curve(benchmark["curve"])
    for process in report["processes"]:
        yield f"\n### Command of the {cell(process['role'])}\n"
        yield from (f"    {one_line(line, most=10_000)}" for line in shell(process["argv"], process["env"]).split("\n"))
    yield "\n### Phases"
    phases = ([cell(phase["name"]), f"{phase['seconds']:.2f}"] for phase in report["phases"])
    yield from table(("phase", ">seconds"), phases)
    yield from _afterwards(report["teardown"])
    yield from (f"\nWarning: {cell(warning)}." for warning in report["warnings"])
    yield "\n### Environment"
    yield from table(("what", "value"), ([cell(key), _listed(one)] for key, one in report["environment"].items()))


def _listed(value: Any) -> str:
    return cell(", ".join(value) or "none") if isinstance(value, list) else cell(value)


def _all_figures(benchmark: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, value in benchmark["metrics"].items():
        noise = benchmark["noise"].get(name)
        told = [percent(noise["spread_percent"]), percent(noise["drift_percent"], signed=True)] if noise else ["", ""]
        yield [cell(name), number(value), *told]


def _measurements(benchmark: Mapping[str, Any]) -> Iterator[str]:
    names, measurements = leading([benchmark]), benchmark["measurements"]
    served = [">preemptions"] if any(item["server"] for item in measurements) else []
    rows = (
        [
            *(cell(item["name"]), "yes" if item["counted"] else "warm-up"),
            *(_number(item, name) for name in names),
            *(number(item["server"]["preemptions"]) if item["server"] else "" for _ in served),
        ]
        for item in measurements
    )
    yield from table(("measurement", "counted", *(f">{cell(name)}" for name in names), *served), rows)


def _curve(curve: Sequence[Mapping[str, float]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for point in curve for name in point))
    rows = ([number(point[name]) if name in point else "" for name in names] for point in curve)
    yield from table([f">{cell(name)}" for name in names], rows)


def _afterwards(teardown: Mapping[str, Any]) -> Iterator[str]:
    left, free = teardown["processes_left"], teardown["port_free"]
    yield f"\nAfterwards: {left} processes left; port free: {'not ours' if free is None else 'yes' if free else 'no'}."
    if removed := teardown.get("files_removed"):
        yield f"Removed: {removed} sockets and other files of the server."


def _sweep(sweep: Sweep) -> Iterator[str]:
    simulated = " (simulated)" if sweep.simulated else ""
    yield f"# Sweep over {' × '.join(map(cell, sweep.axes))}: {sweep.tally}{simulated}"
    if sweep.simulated:
        yield f"\n**{SIMULATED}**"
    yield f"\n{cell(' '.join(sweep.words))}"
    columns = sweep.columns()
    names = [f">{cell(name)} {cell(metric)}" for name, metric in columns]
    yield from table(("point", *map(cell, sweep.axes), "verdict", *names), _points(sweep))
    yield from (f"\n{cell(point.folder)}: {cell(error)}." for point in sweep.points for error in point.errors)
    if sweep.marked:
        yield "\nIn bold: the figure that is better than all others of its column by more than noise."
    yield from (f"\n{cell(told)}" for told in sweep.statements())


def _points(sweep: Sweep) -> Iterator[list[str]]:
    for point in sweep.points:
        told = [(column, point.figure(column)) for column in sweep.columns()]
        texts = [("" if value is None else number(value), sweep.is_best(point, column)) for column, value in told]
        figures = [f"**{text}**" if best else text for text, best in texts]
        yield [cell(point.folder), *map(cell, point.at), point.state, *figures]
