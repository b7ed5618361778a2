"""What came of it, on stdout: of a run, its figures beside those that were reported; of a sweep, its points."""

import contextlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recipe_runner.console import COLOURS, WIDEST, line, on, sayable
from recipe_runner.figures.points import BEST, columns, statements
from recipe_runner.paths import short
from recipe_runner.serialize import around, provenance

KINDS: Final = ("checks", "benchmarks")
TIMES: Final = {"mean": "Mean", "median": "Median", "p95": "P95", "p99": "P99"}
SECTIONS: Final = (  # the lines and their order in the closing table of `vllm bench serve`
    {
        "completed": "Successful requests",
        "failed": "Failed requests",
        "duration": "Benchmark duration (s)",
        "total_input_tokens": "Total input tokens",
        "total_output_tokens": "Total generated tokens",
    },
    {
        "request_throughput": "Request throughput (req/s)",
        "output_throughput": "Output token throughput (tok/s)",
        "total_token_throughput": "Total token throughput (tok/s)",
    },
    *(
        {f"{stat}_{of}_ms": f"{word} {of.upper()} (ms)" for stat, word in TIMES.items()}
        for of in ("ttft", "tpot", "itl")
    ),
    {
        "slo_max_concurrency": "Largest concurrency that meets the SLO",
        "slo_request_rate": "Largest rate that meets the SLO (req/s)",
    },
)


def of_sweep(sweep: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """What a sweep came to, on stdout: a line for each point, and the points beside each other."""
    with _shown(stream or sys.stdout) as console:
        _sweep(console, sweep)


def _sweep(console: Console, sweep: Mapping[str, Any]) -> None:
    for point in sweep["points"]:
        if point["report"]:
            console.print(_verdict(point["report"]))
    found = dict(columns(sweep))
    told = [f"{BEST} best"] if any(BEST in text for text in itertools.chain(*found.values())) else []
    table = Table(*found, caption="\n".join([*told, *statements(sweep)]) or None, caption_justify="left")
    for row in zip(*found.values(), strict=True):
        table.add_row(*row)
    _whole(console, table)


def of_run(document: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """The result of a run, on stdout: its figures beside those that were reported, its items, its verdict.

    On a terminal the items are there already, from the run itself.
    """
    with _shown(stream or sys.stdout) as console:
        _run(console, document)


@contextlib.contextmanager
def _shown(stream: IO[str]) -> Iterator[Console]:
    """What is printed meanwhile, written at once: unlike what is told on the way, a result that is lost is an error."""
    console = on(stream)
    with console.capture() as shown:
        yield console
    stream.write(sayable(shown.get(), stream))
    stream.flush()


def _run(console: Console, document: Mapping[str, Any]) -> None:
    for benchmark in document["benchmarks"]:
        if benchmark["metrics"]:
            _whole(console, figures(benchmark, document["expected"]))
    for kind in KINDS:
        for item in document[kind] if not console.file.isatty() else ():
            verdict = (f"{item['verdict']:<12}", COLOURS[item["verdict"]])
            console.print(line(verdict, f" {item['name']} ", (item["detail"], "dim")))
    console.print(_verdict(document))


def _verdict(document: Mapping[str, Any]) -> Text:
    """What a run came to, on one line."""
    simulated = " (simulated)" if document.get("simulated") else ""
    left = document["teardown"]["processes_left"]
    busy = "; the port is still in use" if document["teardown"]["port_free"] is False else ""
    judged = any(item["verdict"] not in ("measured", "skipped") for kind in KINDS for item in document[kind])
    nothing = "" if judged or document["verdict"] != "inconclusive" else "; nothing was judged"
    seconds = sum(phase["seconds"] for phase in document["phases"])
    told = f"{simulated} in {seconds:.1f} s{nothing}; {left} processes left{busy}; {short(document['folder'])}"
    return line((document["verdict"], f"bold {COLOURS[document['verdict']]}"), told)


def _whole(console: Console, table: Table) -> None:
    """Print a table as wide as it is: one that a screen cannot show whole is whole in a file."""
    console.width = WIDEST
    console.width = console.measure(table).maximum
    console.print(table)


def figures(benchmark: Mapping[str, Any], expected: Mapping[str, Any]) -> Table:
    """One benchmark's metrics, as vLLM's closing table groups them, beside what the recipe's `expected:` has.

    A limit, and whether it was kept, stand beside the figures that gate.
    """
    table = Table(title=f"{benchmark['name']}", title_justify="left", min_width=50)
    table.add_column("metric")
    table.add_column("measured", justify="right")
    metrics, noise, rows = benchmark["metrics"], benchmark["noise"], benchmark["figures"]
    known = {name for section in SECTIONS for name in section}
    asked = {row["metric"] for row in rows} if known & {*metrics} else {*metrics}
    if noise:
        table.add_column("may be off by", justify="right")
    sources = list(dict.fromkeys(row["expected"] for row in rows))
    for source in sources:
        table.add_column("reported" if len(sources) == 1 else source, justify="right")
    if gated := any(row["verdict"] for row in rows):
        table.add_column("limit")
    for section in (*SECTIONS, {name: name for name in metrics if name in asked and name not in known}):
        table.add_section()
        for name in (name for name in section if name in metrics):
            off = [around(noise[name]["half_width_percent"]) if name in noise else ""] if noise else []
            for per in dict.fromkeys(("total", *(row["per"] for row in rows if row["metric"] == name))):
                said = {row["expected"]: row for row in rows if (row["metric"], row["per"]) == (name, per)}
                head, value = section[name], metrics[name]
                if per == "gpu":  # a line of its own, as it is held against a share of the figure
                    head, value = f"{head} per GPU", next(iter(said.values()))["measured"]
                cells = [_number(said[source]["value"]) if source in said else "" for source in sources]
                limits = [f"{_number(row['limit'])} {row['verdict']}" for row in said.values() if row["verdict"]]
                table.add_row(head, _number(value), *off, *cells, *[", ".join(limits)] * gated)
    heads = {source: "reported" if len(sources) == 1 else source for source in sources}
    table.caption = "\n".join(f"{head}: {provenance(expected[name], name)}" for name, head in heads.items()) or None
    return table


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.{0 if float(value).is_integer() else 2}f}"
