"""Numbers of real vLLM: measured several times, judged, reported, repeated from a lock, compared, recorded, swept."""

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from playwright.sync_api import Page

from tests.e2e.conftest import Started, start
from tests.reports import test_in_a_browser as looked

TINY = ("recipe=internvl3-tiny", "hardware=cpu", "serve.port=0")
# Limits that no noise reaches: three measurements on a busy machine can lie 50 % apart and more.
FAR = "{output_throughput: {value: 0.001, unit: tok/s, gate: true}, median_ttft_ms: {value: 1e9, unit: ms, gate: true}}"
WORDS = (
    *TINY,
    "benchmark.small.repeat=3",
    "benchmark.capacity={uses: load_slo, slo: {p95_ttft_ms: 60000}, highest: 2, input_len: 32, output_len: 8}",
    f"expected.here={{workload: small, source: this test, kind: own, hardware: cpu, metrics: {FAR}}}",
    "report.formats=[json,markdown,html,junit,csv]",
)
browser, page = looked.browser, looked.page
Verb = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Started:
    run = start(tmp_path_factory.mktemp("first"), *WORDS)
    assert run.end() == 0, run.told
    return run


@pytest.fixture(scope="module")
def again(first: Started, tmp_path_factory: pytest.TempPathFactory) -> Started:
    """The same run once more, from its lock."""
    run = start(tmp_path_factory.mktemp("again"), "--trust", f"recipe={first.run_folder / 'recipe.lock.yaml'}")
    assert run.end() == 0, run.told
    return run


@pytest.fixture
def verb(tmp_path: Path) -> Verb:
    """A verb that ends by itself, and what it said and printed."""

    def run(*words: str) -> tuple[int, str]:
        started = start(tmp_path, *words)
        code = started.end()
        assert "recipe-run:" not in started.told, started.told
        return code, started.told + (tmp_path / "stdout").read_text()

    return run


def benchmark(run: Started, name: str) -> dict[str, Any]:
    (found,) = (item for item in run.report["benchmarks"] if item["name"] == name)
    assert isinstance(found, dict)
    return found


def test_a_gate_is_judged_with_the_noise_of_three_measurements(first: Started) -> None:
    small = benchmark(first, "small")
    assert small["verdict"] == "passed"
    assert [(one["name"], one["counted"]) for one in small["measurements"]] == [
        *(("small.warmup", False), ("small.1", True), ("small.2", True), ("small.3", True))
    ]
    assert {row["verdict"] for row in small["figures"]} == {"passed"}
    assert {"spread_percent", "drift_percent", "smallest_difference_percent"} < {*small["noise"]["output_throughput"]}
    assert "would have been seen" in small["detail"]
    assert [len(values) for values in small["distributions"].values()] == [101] * len(small["distributions"])
    assert {"ttft_ms", "tpot_ms", "itl_ms"} <= {*small["distributions"]}


def test_client_and_server_agree_and_no_prompt_was_seen_before(first: Started) -> None:
    made = benchmark(first, "small")["measurements"]
    assert len({one["seed"] for one in made}) == len(made)
    for one in made:
        assert one["doubts"] == []
        assert one["server"]["requests"] == one["metrics"]["completed"] == 50
        assert one["server"]["generation_tokens"] == one["metrics"]["total_output_tokens"] == 3200
        assert one["server"]["prefix_hit_share"] == 0
        assert 0 < one["client_cpu"] < 0.9


def test_a_search_keeps_its_curve(first: Started) -> None:
    capacity = benchmark(first, "capacity")
    assert capacity["metrics"]["slo_max_concurrency"] == 2
    assert {(point["load"], point["met"]) for point in capacity["curve"]} == {(1, 1), (2, 1)}


def test_reports_that_others_read(first: Started) -> None:
    page = (first.run_folder / "report.html").read_text()
    assert len(page) < 1_000_000
    assert "internvl3-tiny" in page
    cases = [case.name for suite in JUnitXml.fromfile(str(first.run_folder / "junit.xml")) for case in suite]
    assert {"capital", "red", "small", "capacity"} <= {*cases}
    with (first.run_folder / "figures.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["benchmark"] == "small"]
    rates = [
        float(row["value"]) for row in rows if row["metric"] == "output_throughput" and row["benchmark"] == "small"
    ]
    assert len(rates) == 4
    assert min(rates) > 1


def test_its_page_in_a_browser(first: Started, page: Page) -> None:
    looked.test_it_fits_asks_for_nothing_and_is_accessible(page, first.run_folder / "report.html")


def test_a_lock_repeats_the_run(first: Started, again: Started) -> None:
    theirs, ours = (run.report for run in (again, first))
    assert theirs["benchmarks"][0]["figures"][0]["limit"] == ours["benchmarks"][0]["figures"][0]["limit"]
    assert [len(item["measurements"]) for item in theirs["benchmarks"]] == [4, 1]
    assert [check["name"] for check in theirs["checks"]] == [check["name"] for check in ours["checks"]]
    assert not [warning for warning in theirs["warnings"] if " was " in warning or "changed" in warning]


def test_the_two_are_compared(first: Started, again: Started, verb: Verb) -> None:
    code, text = verb("compare", "--json", str(first.run_folder), str(again.run_folder))
    found = json.loads(text)
    assert code == {"no regression": 0, "regression": 1}[found["verdict"]]  # which of them is the machine's to say
    judged = next(item for item in found["benchmarks"] if item["name"] == "small")
    assert {row["metric"] for row in judged["metrics"] if row.get("p") is not None} >= {
        *("output_throughput", "median_ttft_ms", "median_tpot_ms")
    }


def test_what_it_showed_is_recorded_and_holds(first: Started, verb: Verb, tmp_path: Path) -> None:
    code, text = verb("record", str(first.run_folder), "--to", str(tmp_path / "kept"))
    assert code == 0
    assert "so the recipe does not count as verified by it" in text  # its benchmarks were typed
    code, text = verb("validate", "--json", str(tmp_path / "kept"), "--log", str(first.run_folder / "server.log"))
    assert code == 0, text
    (file,) = (tmp_path / "kept").rglob("*.json")
    evidence = json.loads(file.read_text())
    evidence["benchmarks"][0]["metrics"]["output_throughput"] *= 2
    file.write_text(json.dumps(evidence))
    code, text = verb("validate", str(file))
    assert code == 1
    assert "wrong" in text


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose gate no CPU can keep: interrupted after its first point, and gone on with."""
    folder = tmp_path_factory.mktemp("swept")
    gate = "{source: this test, hardware: cpu, metrics: {output_throughput: {value: 1e9, unit: tok/s, gate: true}}}"
    words = (
        *("validation=none", "~benchmark.small", f"expected.quick={gate}"),
        "benchmark.quick={uses: load, num_prompts: 40, input_len: 32, output_len: 8, repeat: 3}",
        "benchmark.quick.max_concurrency=1,2,8",
    )
    run = start(folder, "-m", *TINY, *words, "report.formats=[json,markdown,html,csv]")
    run.wait_for(lambda: any(folder.glob("runs/sweeps/*/000/report.json")), "first point")
    assert run.end(signal.SIGINT) == 130, run.told
    (sweep,) = (folder / "runs" / "sweeps").iterdir()
    before = {report: report.read_bytes() for report in sweep.glob("*/report.json")}
    states = [point["verdict"] for point in json.loads((sweep / "sweep.json").read_text())["points"]]
    assert states[0] == "failed"
    assert states[-1] is None
    resumed = start(folder, "-m", "--resume", str(sweep))
    assert resumed.end() == 1, resumed.told
    assert (sweep / "000" / "report.json").read_bytes() == before[sweep / "000" / "report.json"]
    return sweep


def test_an_interrupted_sweep_goes_on_where_it_was(swept: Path) -> None:
    points = json.loads((swept / "sweep.json").read_text())["points"]
    assert [point["overrides"] for point in points] == [
        {"benchmark.quick.max_concurrency": concurrency} for concurrency in (1, 2, 8)
    ]
    reports = [json.loads((swept / point["folder"] / "report.json").read_text()) for point in points]
    assert [report["benchmarks"][0]["metrics"]["completed"] for report in reports] == [40] * 3
    assert "max_concurrency" in (swept / "report.md").read_text()


def test_points_of_a_sweep_share_one_server(swept: Path) -> None:
    """One before the interruption, one after it; the point that was cut short has a folder of its own."""
    assert sorted(log.parent.name for log in swept.rglob("server.log")) == ["000", "001.2"]


def test_a_gate_that_is_missed_fails(swept: Path) -> None:
    for point in json.loads((swept / "sweep.json").read_text())["points"]:
        report = json.loads((swept / point["folder"] / "report.json").read_text())
        (item,) = report["benchmarks"]
        assert (report["verdict"], item["verdict"]) == ("failed", "failed")
        assert (item["figures"][0]["verdict"], item["figures"][0]["limit"]) == ("failed", 0.95e9)
        assert " tok/s is below 950,000,000 tok/s by more than the noise of " in item["detail"]
        assert len(item["measurements"]) == 4


def test_the_page_of_a_sweep_in_a_browser(swept: Path, page: Page) -> None:
    looked.test_it_fits_asks_for_nothing_and_is_accessible(page, swept / "report.html")
    assert page.locator("figure svg").count() == 2  # what failed is on no Pareto front
    assert page.get_by_role("link", name="002").count() == 1
