"""`compare`: what differs between two runs, and what of that is more than noise."""

import argparse
import importlib.util
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.figures.changes import SILENT, Change
from recipe_runner.figures.differences import Compared, Comparison, Setting, Turned, compare
from recipe_runner.figures.noise import ALPHA
from recipe_runner.figures.runs import Source, load
from recipe_runner.paths import typed
from recipe_runner.serialize import json_document, one_line
from recipe_runner.verdict import FAILED, INCONCLUSIVE, OK

SUMMARY = "what differs between two runs, and which of the differences are more than noise"
TAUGHT: Final = f"""\
A is before, B is after. Each is a run folder, its report.json, a sweep's folder (points are paired by what was swept),
or a recorded evidence file. Of a folder of runs, such as runs/internvl3-tiny/cpu, the newest is taken.

A difference is told from noise by measuring several times, with benchmark.NAME.repeat=5 when the runs are made; three
are the least. Chance alone shows one in less than 1 of {1 / ALPHA:.0f} comparisons, however many metrics those have;
the first metric of a benchmark is looked at the closest. A benchmark is judged only if both runs asked the same of the
server, and no measurement is in doubt.

exit codes:
  0 nothing got worse · 1 something did: a metric, or a check that no longer passes
  2 bad input · 4 nothing could be judged: too few repeats, nothing in common; or a metric of A is 0 in B
"""
EXITS: Final = {
    **{"no regression": OK, "regression": FAILED},
    **{"nothing judged": INCONCLUSIVE, "not all judged": INCONCLUSIVE},
}
COLOURS: Final = {
    **{"no regression": "green", "regression": "red", "nothing judged": "yellow", "not all judged": "yellow"},
    **{"faster": "green", SILENT: "yellow"},
}
WIDTH: Final = 120  # where no terminal says
ABSENT: Final = "—"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = TAUGHT
    parser.add_argument("a", metavar="A", type=typed, help="the run before")
    parser.add_argument("b", metavar="B", type=typed, help="the run after")
    told = (
        "judge this metric instead of output_throughput, median_ttft_ms and median_tpot_ms, or what a search found; "
        "may be given again, the one that matters most first"
    )
    parser.add_argument("--metric", action="append", default=[], metavar="NAME", help=told)
    told = "a metric that is worse by less than this is no regression (0)"
    parser.add_argument("--min-change", type=percentage, default=0.0, metavar="PERCENT", help=told)


def run(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("scipy") is None:
        what = "scipy is not installed, and it is what tells a difference from noise"
        raise RecipeError(Fault("compare", what, "pip install 'recipe-runner[analysis]'"))
    a, b = _loaded(args.a, args.b)
    if a.file.resolve() == b.file.resolve():  # which would find no difference, whatever became of the server
        what = f"A and B are the same {'sweep' if a.is_sweep else 'run'}"
        raise RecipeError(Fault(a.path, what, "name two: A is before, B is after"))
    found = compare(a, b, args.metric, args.min_change)
    if args.json:
        head = {"format": 1, "a": _named(a), "b": _named(b), "alpha": ALPHA, "min_change_percent": args.min_change}
        print(json_document({**head, **found.as_dict()}))
    else:
        _show(a, b, found)
    return EXITS[found.verdict]


def percentage(text: str) -> float:
    """A share of 0 % or more."""
    value = float(text.removesuffix("%"))
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def _loaded(*paths: Path) -> list[Source]:
    """All of them, or everything that is wrong with any."""
    sources: list[Source] = []
    faults: dict[Fault, None] = {}
    for path in paths:
        try:
            sources.append(load(path))
        except RecipeError as exc:
            faults |= dict.fromkeys(exc.faults)
    if faults:
        raise RecipeError(*faults)
    return sources


def _named(source: Source) -> dict[str, object]:
    runs = [{"point": at, "verdict": run.verdict, "simulated": run.simulated} for at, run in source.runs.items()]
    return {"path": source.path, "note": source.note, "runs": runs}


def _show(a: Source, b: Source, found: Comparison) -> None:
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    with console.capture() as shown:  # where nobody reads, rich itself would end the process
        _tell(console, a, b, found)
    print(shown.get(), end="")


def _tell(console: Console, a: Source, b: Source, found: Comparison) -> None:
    for side, source in (("A", a), ("B", b)):
        _say(console, f"{side}  {_head(source)}")
    for note in found.notes:
        _say(console, f"note: {note}", "yellow")
    _settings(console, [one for one in found.configuration if not one.point])
    for point in a.runs:
        _point(console, point, found)
    _say(console, f"{found.verdict}{_why(found)}", f"bold {COLOURS[found.verdict]}")


def _point(console: Console, point: str, found: Comparison) -> None:
    """One block: what differs at this point of a sweep, or between two runs."""
    own = [one for one in found.configuration if one.point == point]
    turned = [one for one in found.turned if one.point == point]
    benchmarks = [one for one in found.benchmarks if one.point == point]
    if point and (own or turned or benchmarks):
        _say(console, point, "bold")
        if own:
            _settings(console, own)
    for one in turned:
        _say(console, f"{one.name}: {one.a} in A, {one.b} in B", "red")
    for benchmark in benchmarks:
        _benchmark(console, benchmark, found.looked_for)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(one_line(text, 4000), style=style), soft_wrap=True)


def _head(source: Source) -> str:
    """What was taken, and what came of it."""
    if source.is_sweep:
        told = f"a sweep of {len(source.runs) + len(source.unfinished)} points"
    else:
        run = source.runs[""]
        told = f"{run.verdict}{' (simulated)' if run.simulated else ''}".strip()
    return "  ".join(filter(None, (source.path, told, source.note)))


def _settings(console: Console, settings: Sequence[Setting]) -> None:
    if not settings:
        _say(console, "configuration: the same")
        return
    table = Table(title="configuration", title_justify="left")
    for heading in ("key", "A", "B"):
        table.add_column(heading, overflow="fold")
    for one in settings:
        table.add_row(*(ABSENT if text is None else one_line(_brief(text)) for text in (one.key, one.a, one.b)))
    console.print(table)


def _brief(text: str) -> str:
    """The beginning of a hash says as much as all of it."""
    return text[:12] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text


def _benchmark(console: Console, benchmark: Compared, looked_for: Sequence[str]) -> None:
    for why in benchmark.not_judged:
        _say(console, f"{benchmark.name} is not judged: {why}", "bold yellow")
    if not benchmark.metrics:
        _say(console, f"{benchmark.name}: {_missing(benchmark, looked_for)}; {benchmark.a} in A, {benchmark.b} in B")
        return
    table = Table(title=one_line(benchmark.name), title_justify="left")
    table.add_column("metric")
    for heading in ("A", "B", "change", "interval", "would be seen"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for change in benchmark.metrics:
        table.add_row(*_cells(change))
    console.print(table)


def _missing(benchmark: Compared, looked_for: Sequence[str]) -> str:
    """Why no metric of it is shown."""
    if not benchmark.others:
        return "no figures in both"
    others = ", ".join(benchmark.others)
    return f"{', '.join(looked_for)}: none of these is in both; --metric NAME takes others: {others}"


def _cells(change: Change) -> Iterator[str | Text]:
    yield change.metric
    yield from (f"{value:,.2f}" for value in (change.a, change.b))
    yield ABSENT if change.percent is None else f"{change.percent:+.1f} %"
    bounds = change.low_percent, change.high_percent
    yield ABSENT if None in bounds else "{:+.1f} … {:+.1f} %".format(*bounds)
    yield ABSENT if change.smallest_percent is None else f"{change.smallest_percent:.1f} %"
    style = "red" if change.regression else COLOURS.get(change.verdict, "default")
    yield Text(change.verdict, style=style)


def _why(found: Comparison) -> str:
    """What the verdict comes from, in a few words."""
    if found.verdict == "regression":
        worse = [f"{_at(one)} {one.a} → {one.b}" for one in found.turned]
        for one in found.benchmarks:
            changes = [change for change in one.metrics if change.regression]
            worse += [f"{_at(one)} {change.metric} {change.percent:+.1f} %" for change in changes]
        return f": {'; '.join(worse)}"
    if found.verdict == "no regression":
        seen = [change.smallest_percent for change in found.judged if change.smallest_percent is not None]
        reach = " to ".join(dict.fromkeys(f"{percent:.1f}" for percent in (min(seen), max(seen))))
        return f"{_better(found)}; a difference of {reach} % would have been seen 9 times in 10"
    if found.verdict == "not all judged":
        silent = (f"{_at(one)} {each.metric}" for one in found.benchmarks for each in one.metrics if each.silent)
        return f": 0 in B, and not in A: {', '.join(silent)}"
    if any(change.verdict == "too few repeats" for change in found.changes):
        return "; measure each at least three times: benchmark.NAME.repeat=5"
    if found.benchmarks and not found.changes:
        return "; no metric that was looked for is in both"
    return "; what speaks against it stands above" if found.benchmarks else "; they have no benchmark in common"


def _better(found: Comparison) -> str:
    count = sum(change.verdict == "faster" for change in found.judged)
    return f"; {count} metric{'s are' if count > 1 else ' is'} better" if count else ""


def _at(one: Compared | Turned) -> str:
    return f"{one.point}: {one.name}" if one.point else one.name
