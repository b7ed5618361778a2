"""report.html: one file that says everything, escapes everything, and asks for nothing."""

import functools
import itertools
import os
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from recipe_runner.reports import html
from recipe_runner.reports.html import Html
from tests.reports.documents import GUIDE, HOSTILE, LONG, RUN, SEARCH, SWEEP, hostile, measurement, old_evidence, point
from tests.running import SMALL, run_here

ROOT = Path(__file__).parents[2]
WRITER = Html(uses="html")
ALL = "json,markdown,html,junit,csv"
NO_END = {"meta", "link", "wbr"}
INLINE = {"wbr", "span", "strong", "code", "a"}


class Page(HTMLParser):
    """The elements of a page in their order, its text, and whether every element was closed."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.source = file.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.outside: list[str] = []  # elements outside of drawings
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.outside += [tag] * ("svg" not in self.open and tag != "wbr")
        self.words.append("" if tag in INLINE else " ")
        if tag not in NO_END:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "text"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(folder: Path, **changed: Any) -> Page:
    file = WRITER.write(RUN | changed, folder)
    assert file == folder / "report.html"
    return Page(file)


@functools.cache
def usual() -> Page:
    """The page of the example, written once."""
    with tempfile.TemporaryDirectory() as folder:
        return page(Path(folder))


def test_the_verdict_comes_first_in_words() -> None:
    start = (
        "internvl3 on a100x2: passed ✓ Passed internvl3 on a100x2 Every check passed, and no figure was worse than its "
        "limit. InternVL3-8B as the vLLM guide runs it on two A100-SXM4-40GB Recipe internvl3 Hardware a100x2"
    )
    assert usual().text.startswith(start)


@pytest.mark.parametrize(
    "said",
    [
        "capital ✓ passed ' Paris' 0.25",
        "Benchmark guide: ✓ passed",
        "5 measurements, output_throughput: spread 1.2 %, drift −0.4 %; a difference of 5.1 % would have been seen",
        "output_throughput ✓ passed 2535.4 2600 tok/s 2470 2,535 tok/s is above 2,470 tok/s",
        "Expected: 2 × A100-SXM4-40GB; vLLM 0.20.0; workload guide; 2026-01; guide: https://example.org/a_b. once |",
        "guide.warmup (warm-up) 20.2 2310 391.55 469.79 3.61 51 104448 52224 2.0 % 0 41.0 %",
        "half up to 163.75, 95 % up to 420.08, 99 % up to 459.6",
        "at most 500 is asked; a load of 16 meets the objective, 24 does not",
        "16 2333.3 346 met 24 2625 666 missed",
        "output_throughput 2535.4 ± 1.5 % 1.2 % −0.4 % 5.1 %",
        "CUDA_VISIBLE_DEVICES=0,1 \\ /opt/vllm/bin/vllm serve OpenGVLab/InternVL3-8B-hf \\ --enforce-eager \\",
        "--port 8000 command line serve.port=8000",
        "Typed: serve.port=8000 serve.enforce_eager=null",
        "541.6 s in all, most of it for benchmarks: 423.4 s",
        "Afterwards: 0 processes left; port free: yes. Removed: 3 sockets and other files of the server.",
        "Warnings the server listens on all interfaces, and asks for no key",
        "The last lines of the server's log (EngineCore pid=7) INFO GPU KV cache size: 1,024 tokens Application",
        "gpus NVIDIA A100-SXM4-40GB, NVIDIA A100-SXM4-40GB",
        "git_commit unknown",
    ],
)
def test_what_it_says(said: str) -> None:
    assert said in usual().text


def test_it_needs_nothing_else() -> None:
    found = usual()
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in found.elements}
    addresses = [value for _, attributes in found.elements for name, value in attributes.items() if name == "href"]
    assert all(address and address.startswith(("#", "data:")) for address in addresses)
    assert "url(http" not in found.source
    assert found.all("html") == [{"lang": "en"}]


def test_headings_are_in_order_and_tables_say_what_they_are() -> None:
    found = usual()
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(found.all("caption")) == len(found.all("table")) == 8
    assert all(attributes.get("scope") in ("col", "row") for attributes in found.all("th"))


def test_plots_are_read_out_and_share_no_id() -> None:
    found = usual()
    plots = found.all("svg")
    assert len(plots) == 7
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {value for _, attributes in found.elements if (value := attributes.get("href") or "").startswith("#")}
    assert used <= {f"#{name}" for name in ids}


def test_the_same_run_makes_the_same_page(tmp_path: Path) -> None:
    assert page(tmp_path).source == usual().source


def test_what_went_wrong_is_told_before_anything_else(tmp_path: Path) -> None:
    errors = [{"where": "server", "what": "it ended with status 1", "do": "see server.log"}]
    diagnosis = {"sentence": "the GPUs are full; use fewer"}
    found = page(tmp_path, verdict="error", errors=errors, diagnosis=diagnosis, log_excerpt=["torch.OOM", "  at <x>"])
    assert "✗ Error internvl3 on a100x2 The run broke" in found.text
    assert found.text.index("it ended with status 1 see server.log") < found.text.index("Checks and benchmarks")
    assert "What went wrong the GPUs are full; use fewer. From the server's log: torch.OOM at <x>" in found.text


def test_doubts_are_told(tmp_path: Path) -> None:
    doubtful = [measurement(1, 2500.0, doubts=["the client was saturated"], server=None, client_cpu=None)]
    found = page(tmp_path, benchmarks=[GUIDE | {"measurements": doubtful, "noise": {}}])
    assert "Reasons not to believe it guide.1: the client was saturated" in found.text
    assert "guide.1 ⚠ 20.2 2500" in found.text
    assert "1 measurement: it shows no noise" in found.text


def test_a_simulated_run_says_so_loudly(tmp_path: Path) -> None:
    found = page(tmp_path, simulated=True)
    assert found.text.startswith("internvl3 on a100x2: passed (simulated) ✓ Passed (simulated) internvl3 on a100x2")
    assert "Simulated: no model ran, and no figure here says anything about hardware." in found.text
    assert "imulated" not in usual().text


@pytest.mark.parametrize("text", [HOSTILE, LONG, "]]></style></svg>", "{{ 7 * 7 }} {% raw %}", "&lt;", "\ud800\x00"])
def test_text_from_elsewhere_stays_text(tmp_path: Path, text: str) -> None:
    plain, found = Page(WRITER.write(hostile("harmless"), tmp_path)), Page(WRITER.write(hostile(text), tmp_path))
    assert plain.outside == found.outside
    assert {tag for tag, _ in plain.elements} == {tag for tag, _ in found.elements}
    assert all(line.isprintable() for line in found.source.split("\n"))


def test_what_would_be_mathematics_is_text_in_plots(tmp_path: Path) -> None:
    source = page(
        tmp_path, benchmarks=[SEARCH | {"curve": [{"load": i, "$x^2$_ms": i, "met": 1} for i in (1, 2)]}]
    ).source
    assert ">$x^2$_ms</text>" in source


@pytest.mark.parametrize("verdict", ["passed", "failed", "inconclusive", "error", "interrupted"])
def test_a_run_of_which_there_is_little_to_say(tmp_path: Path, verdict: str) -> None:
    nothing: dict[str, Any] = {key: [] for key in ("checks", "benchmarks", "phases", "warnings", "processes")}
    found = page(tmp_path, **nothing, verdict=verdict, expected={}, provenance={}, overrides={}, environment={})
    assert verdict.capitalize() in found.text


@pytest.mark.parametrize("name", ["eager", "graphs"])
def test_evidence_from_an_older_release(tmp_path: Path, name: str) -> None:
    found = Page(WRITER.write(old_evidence(name), tmp_path))
    assert "✗ Failed" in found.text
    assert "median_ttft_ms" in found.text


def test_a_page_that_would_be_too_large_goes_without_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_BYTES", 10_000)
    found = page(tmp_path)
    assert found.all("svg") == []
    assert "7 plots are left out: with them, this page would be larger than 1 MB." in found.text
    assert "output_throughput ✓ passed 2535.4" in found.text


@pytest.mark.parametrize(
    ("gone", "told"), [(1, "1 plot is left out: with it,"), (3, "3 plots are left out: with them,")]
)
def test_a_page_that_is_a_little_too_large_loses_its_largest_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int, told: str
) -> None:
    plots = html.of_benchmark(RUN["benchmarks"][0])[1:]
    sizes = sorted(len(plot.svg.encode()) for plot in plots)
    assert len(plots) == 3  # those of the section's that may go
    monkeypatch.setattr(html, "MOST_BYTES", len(usual().source.encode()) - sum(sizes[-gone:]) + html.NOTICE)
    found = page(tmp_path)
    assert told in found.text
    assert len(found.all("svg")) == 7 - gone
    assert len(found.source.encode()) <= html.MOST_BYTES
    assert "output_throughput of each measurement" in found.text  # the first of its section


def test_a_sweep(tmp_path: Path) -> None:
    found = Page(WRITER.write_sweep(SWEEP, tmp_path))
    assert "✓ 6 passed Sweep over parallelism.tp × benchmark.guide.max_concurrency recipe=internvl3" in found.text
    assert "003 2 1 ✓ passed 180 40 ★ 469.79 3.61" in found.text
    assert "no other beats in both, as measured: 005 (2400, 700); 004 (1200, 170); 003 (180, 40)" in found.text
    assert [link["href"] for link in found.all("a")] == [f"00{i}/report.html" for i in range(6)]
    assert len(found.all("svg")) == 5


def test_a_sweep_with_a_point_that_did_not_run_and_axes_that_are_no_numbers(tmp_path: Path) -> None:
    axis = "serve.<b>dtype"
    points = [point(i, {axis: at}, 100.0 + i, 50.0 - i) for i, at in enumerate((None, "$a$", True))]
    errors = [{"where": "memory", "what": "<i>no", "do": "more"}]
    points.append(point(3, {axis: {"b": 1}}, 1, 1, verdict=None, report=None, errors=errors))
    sweep = SWEEP | {"axes": {axis: [None, "$a$", True, {"b": 1}]}, "points": points}
    found = Page(WRITER.write_sweep(sweep, tmp_path))
    assert "✗ 3 passed, 1 cannot begin Sweep over serve.<b>dtype" in found.text
    assert '003 {"b":1} cannot begin' in found.text
    assert "000 null ✓ passed 100" in found.text
    assert "003 cannot begin: memory — <i>no; more" in found.text
    assert ">$a$</text>" in found.source


def test_a_large_sweep_fits(tmp_path: Path) -> None:
    axes = {"a": list(range(15)), "b": list(range(15))}
    points = [point(i, {"a": i % 15, "b": i // 15}, 1.0 + i, 1000.0 - i) for i in range(225)]
    file = WRITER.write_sweep(SWEEP | {"axes": axes, "points": points}, tmp_path)
    assert file.stat().st_size <= 1_000_000


@pytest.mark.parametrize(("width", "listed"), [(10, 1000), (100, 1250)])
def test_a_sweep_of_thousands_keeps_its_plots_and_says_what_it_thins(tmp_path: Path, width: int, listed: int) -> None:
    count = 100 * width
    axes = {"a": list(range(100)), "b": list(range(width))}
    points = [point(i, {"a": i % 100, "b": i // 100}, 1.0 + i, 10.0 + i) for i in range(count)]
    file = WRITER.write_sweep(SWEEP | {"axes": axes, "points": points}, tmp_path)
    assert file.stat().st_size <= 1_000_000
    found = Page(file)
    titles = re.findall(r'<p class="plot-title">([^<]*)', found.source)
    assert titles[0] == "output_throughput against median_ttft_ms"
    assert len(titles) == len(found.all("svg")) == 5
    assert f"; and {count - 30} more; of all {count} points, 500 are drawn" in found.text  # all are on the front
    assert "highest, middle and lowest of the 100 combinations of the other axes" in found.text
    told = f"Only {listed} of {count} points are listed: the best of each column, and of the others some, evenly."
    assert (told in found.text) == (listed < count)
    assert len(found.all("a")) == listed
    assert {"000/report.html", f"{count - 1:03}/report.html"} <= {link["href"] for link in found.all("a")}  # the best


def test_of_a_simulated_run(tmp_path: Path) -> None:
    load = ("benchmark=load", "benchmark.load.num_prompts=4", "benchmark.load.repeat=3")
    code, folder = run_here(tmp_path, *SMALL, "engine=sim", *load, f"report.formats=[{ALL}]")
    assert code == 0
    assert {"report.html", "report.json", "report.md", "junit.xml", "figures.csv"} <= {
        path.name for path in folder.run.iterdir()
    }
    found = Page(folder.run / "report.html")
    assert "✓ Passed (simulated) small on cpu" in found.text
    assert "3 measurements, output_throughput: spread " in found.text
    assert "load.warmup (warm-up)" in found.text
    assert "The last lines of the server's log" in found.text
    assert "Distribution of ttft_ms half up to " in found.text


def test_of_a_simulated_sweep(tmp_path: Path) -> None:
    load = ("benchmark=load", "benchmark.load.num_prompts=1,2")
    code, _ = run_here(tmp_path, "-m", *SMALL, "engine=sim", *load, f"report.formats=[{ALL}]")
    assert code == 0
    (sweep,) = tmp_path.glob("runs/sweeps/*")
    names = {"report.html", "report.md", "junit.xml", "sweep.csv", "sweep.json"}
    assert names <= {path.name for path in sweep.iterdir()}
    found = Page(sweep / "report.html")
    assert "✓ 2 passed (simulated) Sweep over benchmark.load.num_prompts" in found.text
    assert "output_throughput over benchmark.load.num_prompts" in found.text
    assert all((sweep / str(link["href"])).is_file() for link in found.all("a"))


def test_nothing_lands_in_the_home_and_nothing_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.reports.documents import RUN\n"
        "from recipe_runner.reports.html import Html\n"
        "Html(uses='html').write(RUN, pathlib.Path(sys.argv[2]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    env = {"HOME": str(home), "MPLCONFIGDIR": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    argv = [sys.executable, "-W", "error", "-c", program, str(ROOT), str(tmp_path)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not home.exists()


def test_nothing_heavy_is_imported_before_a_page_is_written() -> None:
    program = (
        "import sys, recipe_runner.reports.html, recipe_runner.reports.markdown, recipe_runner.reports.junit\n"
        "assert not {'jinja2', 'markupsafe', 'matplotlib', 'numpy', 'scipy'} & {*sys.modules}, sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_templates_are_in_the_wheel() -> None:
    included = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "recipe_runner/reports/templates").iterdir()}
    assert len(templates) == 7
    assert templates <= included
