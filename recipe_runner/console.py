"""What a person sees during a run: a live view on a terminal, plain lines elsewhere; all of it on stderr."""

import contextlib
import itertools
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from recipe_runner.api import Outcome
from recipe_runner.figures.points import BEST, columns, statements
from recipe_runner.model.serving import GIB
from recipe_runner.paths import short
from recipe_runner.plan import Plan
from recipe_runner.report import Record
from recipe_runner.serialize import around, one_line, provenance
from recipe_runner.serving.serverlog import last_line

COLOURS: Final = {
    **dict.fromkeys(("passed", "measured"), "green"),
    **dict.fromkeys(("failed", "error", "interrupted"), "red"),
    **dict.fromkeys(("inconclusive", "skipped"), "yellow"),
}
WIDEST: Final = 10_000
KINDS: Final = ("checks", "benchmarks")
SAID: Final = {"ready": "waiting until it is ready"}  # of phases whose name alone would say something else
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


class _Stream:
    """A stream that perhaps nobody reads any more, or that cannot say `→`: neither ends a run."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        with contextlib.suppress(OSError):
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _console(stream: IO[str]) -> Console:
    return Console(file=cast(IO[str], _Stream(stream)), highlight=False, markup=False, emoji=False, soft_wrap=True)


def _line(*parts: str | tuple[str, str]) -> Text:
    """Text from anywhere on one line, a part perhaps with its style: what is in it steers no terminal."""
    styled = (part if isinstance(part, tuple) else (part, "") for part in parts)
    return Text.assemble(*((one_line(text, WIDEST), style) for text, style in styled))


class Screen:
    """Shows one run after the other."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = _console(stream or sys.stderr)
        self._live: Live | None = None
        self._start = self._phase_start = time.monotonic()
        self._ready_s = 0.0
        self._tenth = -1
        self._phase = self._doing = ""
        self._log: Path | None = None

    def begin(self, plan: Plan, folder: Path, log: Path) -> None:
        self._start, self._ready_s = time.monotonic(), plan.ready_s
        self.watch(log)
        if self.console.file.isatty() and not self.console.is_dumb_terminal and self._live is None:
            self._live = Live(get_renderable=self._view, console=self.console, refresh_per_second=8, transient=True)
            self._live.start()
        if plan.place:
            self._say((str(plan.place), "bold"))
        simulated = " (simulated)" if plan.simulated else ""
        place = plan.url if plan.attached else plan.request.hardware_name
        self._say((plan.request.recipe, "bold"), f" on {place}{simulated}, into {short(folder)}")
        for warning in plan.warnings:
            self._say((f"note: {warning}", "yellow"))

    def watch(self, log: Path) -> None:
        """Show the end of this file from now on."""
        self._log = log

    def phase(self, name: str) -> None:
        self._phase, self._doing, self._phase_start = name, "", time.monotonic()
        if self._live is None:
            self._say(f"{self._elapsed()}  {SAID.get(name, name)}")

    def doing(self, name: str) -> None:
        self._doing = name

    def item(self, name: str, outcome: Outcome) -> None:
        verdict = (f"{outcome.verdict:<11} ", COLOURS[outcome.verdict])
        self._say(f"{self._elapsed()}  ", verdict, f"{name}  ", (outcome.detail, "dim"))

    def fetched(self, done: int, total: int) -> None:
        """How much of the weights is here; on what is not a terminal, a line for each tenth."""
        self._doing = f"{done / GIB:.2f} of {total / GIB:.2f} GiB"
        tenth = 10 * done // total if total else 10
        if self._live is None and tenth != self._tenth:
            self._say(f"{self._elapsed()}  fetched {self._doing}")
        self._tenth = tenth

    def note(self, text: str) -> None:
        self._say((f"{self._elapsed()}  {text}", "yellow"))

    def end(self, record: Record) -> None:
        """Close the live view; say what went wrong, if anything did."""
        self.close()
        for fault in (*record.faults, *record.losses):
            self._say((str(fault), "red"))
        for line in record.log_excerpt:
            self._say((f"  | {line}", "dim"))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _view(self) -> RenderableType:
        what = f"{SAID.get(self._phase, self._phase)} {self._doing}".strip()
        seconds = time.monotonic() - self._phase_start
        limit = f" of at most {self._ready_s:.0f} s" if self._phase == "ready" else ""
        head = Spinner("dots", Text(f"{what}  {seconds:.0f} s{limit}  (all: {time.monotonic() - self._start:.0f} s)"))
        width = max(20, self.console.width - 4)
        return Group(head, Text("  " + last_line(self._log)[:width] if self._log else "", style="dim"))

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self.console.print(_line(*parts))

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._start:7.1f} s"


def summary(sweep: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """What a sweep came to, on stdout: a line for each point, and the points beside each other."""
    console = _console(stream or sys.stdout)
    for point in sweep["points"]:
        if point["report"]:
            console.print(_verdict(point["report"]))
    found = dict(columns(sweep))
    told = [f"{BEST} best"] if any(BEST in text for text in itertools.chain(*found.values())) else []
    table = Table(*found, caption="\n".join([*told, *statements(sweep)]) or None, caption_justify="left")
    for row in zip(*found.values(), strict=True):
        table.add_row(*row)
    _whole(console, table)


def closing(document: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """The result of a run, on stdout: its figures beside those that were reported, its items, its verdict.

    On a terminal the items are there already, from the run itself.
    """
    console = _console(stream or sys.stdout)
    for benchmark in document["benchmarks"]:
        if benchmark["metrics"]:
            _whole(console, figures(benchmark, document["expected"]))
    for kind in KINDS:
        for item in document[kind] if not console.file.isatty() else ():
            verdict = (f"{item['verdict']:<12}", COLOURS[item["verdict"]])
            console.print(_line(verdict, f" {item['name']} ", (item["detail"], "dim")))
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
    return _line((document["verdict"], f"bold {COLOURS[document['verdict']]}"), told)


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
