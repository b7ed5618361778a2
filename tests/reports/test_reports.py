"""The files of a report, written from documents made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.reports.json import Json
from recipe_runner.reports.markdown import Markdown

CHECK = {"name": "capital", "uses": "completion", "verdict": "passed", "detail": "' Paris'", "seconds": 0.25}
BENCHMARK = {
    **{"name": "load", "uses": "vllm_bench", "verdict": "measured", "detail": "5 requests", "seconds": 2.0},
    "metrics": {"completed": 5, "median_ttft_ms": 12.345, "request_throughput": 2.5},
}
EXPECTED = {
    **{"source": "https://example.org/a_b", "hardware": "2 × A100", "note": "once | only"},
    "metrics": {"median_ttft_ms": {"value": 99.5, "unit": "ms"}},
}
DOCUMENT: dict[str, Any] = {
    **{"format": 1, "verdict": "passed", "recipe": {"name": "small", "summary": "A summary"}, "hardware": "cpu"},
    **{"url": "http://127.0.0.1:1", "started": "2026-01-01T00:00:00+00:00", "errors": [], "log_excerpt": []},
    **{"environment": {"vllm": None, "gpus": ["A", "B"], "cpu": "A CPU"}, "expected": {"load": EXPECTED}},
    **{"phases": [{"name": "launch", "seconds": 0.0}], "checks": [CHECK], "benchmarks": [BENCHMARK]},
    "teardown": {"processes_left": 0, "port_free": True},
}
PAGE = """\
# small on cpu: passed

A summary

Started 2026-01-01T00:00:00+00:00.

## Checks

| name | verdict | detail | seconds |
| --- | --- | --- | ---: |
| capital | passed | ' Paris' | 0.25 |

## Benchmarks

| name | verdict | detail | seconds |
| --- | --- | --- | ---: |
| load | measured | 5 requests | 2.00 |

## Figures of load

| metric | measured | reported |
| --- | ---: | ---: |
| completed | 5 |  |
| median_ttft_ms | 12.35 | 99.5 |
| request_throughput | 2.50 |  |

Reported: 2 × A100; https://example.org/a\\_b. once \\| only

## Phases

| phase | seconds |
| --- | ---: |
| launch | 0.00 |

Afterwards: 0 processes left; port free: yes.

## Environment

| what | value |
| --- | --- |
| vllm | unknown |
| gpus | A, B |
| cpu | A CPU |
"""


def page(folder: Path, **changed: Any) -> str:
    return Markdown(uses="markdown").write(DOCUMENT | changed, folder).read_text()


def test_the_page_of_a_run(tmp_path: Path) -> None:
    assert page(tmp_path) == PAGE
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_run_of_which_there_is_little_to_say(tmp_path: Path) -> None:
    nothing = {"checks": [], "benchmarks": [], "expected": {}, "simulated": True, "verdict": "interrupted"}
    text = page(tmp_path, **nothing, hardware=None, teardown={"processes_left": 2, "port_free": None})
    assert text.startswith("# small on http://127.0.0.1:1: interrupted (simulated)\n")
    assert "## Checks" not in text
    assert "## Figures" not in text
    assert "\nAfterwards: 2 processes left; port free: not ours.\n" in text


def test_figures_that_nobody_reported(tmp_path: Path) -> None:
    text = page(tmp_path, expected={}, benchmarks=[BENCHMARK, BENCHMARK | {"name": "skipped", "metrics": {}}])
    assert "| median_ttft_ms | 12.35 |  |\n" in text
    assert "Reported:" not in text
    assert "Figures of skipped" not in text


def test_what_went_wrong_comes_first(tmp_path: Path) -> None:
    error = {"where": "server", "what": "the server ended with status 1", "do": "see runs/x/server.log"}
    text = page(
        tmp_path,
        verdict="error",
        errors=[error],
        log_excerpt=["ValueError: <b>", "| done"],
        teardown={"processes_left": 0, "port_free": False},
    )
    assert "**server** — the server ended with status 1; see runs/x/server.log.\n" in text
    assert "\n\n    ValueError: <b>\n    | done\n\n## Checks\n" in text
    assert "port free: no." in text


HOSTILE = "a | b\n<script> `x` [l](u) *i* _u_ \\ "
TAMED = "a \\| b \\<script\\> \\`x\\` \\[l\\](u) \\*i\\* \\_u\\_ \\\\"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"checks": [CHECK | {"detail": HOSTILE}]}, f"| capital | passed | {TAMED} | 0.25 |"),
        ({"checks": [CHECK | {"name": HOSTILE}]}, f"| {TAMED} | passed | ' Paris' | 0.25 |"),
        ({"benchmarks": [BENCHMARK | {"detail": HOSTILE}]}, f"| load | measured | {TAMED} | 2.00 |"),
        ({"recipe": {"name": HOSTILE, "summary": "x"}}, f"# {TAMED} on cpu: passed"),
        ({"recipe": {"name": "x", "summary": HOSTILE}}, TAMED),
        ({"hardware": None, "url": HOSTILE}, f"# small on {TAMED}: passed"),
        ({"environment": {"gpus": [HOSTILE]}}, f"| gpus | {TAMED} |"),
        ({"errors": [dict.fromkeys(("where", "what", "do"), HOSTILE)]}, f"**{TAMED}** — {TAMED}; {TAMED}."),
        (
            {"expected": {"load": EXPECTED | {"note": HOSTILE}}},
            f"Reported: 2 × A100; https://example.org/a\\_b. {TAMED}",
        ),
    ],
)
def test_text_from_elsewhere_stays_text(tmp_path: Path, changed: dict[str, Any], line: str) -> None:
    assert line in page(tmp_path, **changed).splitlines()


def test_the_document_for_machines(tmp_path: Path) -> None:
    file = Json(uses="json").write(DOCUMENT, tmp_path)
    assert (file.name, json.loads(file.read_text())) == ("report.json", DOCUMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
