"""The files of a report, written from documents made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from recipe_runner.reports.json import Json
from recipe_runner.reports.markdown import Markdown
from recipe_runner.serialize import one_line

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

Reported: 2 × A100; https\\://example.org/a_b. once \\| only

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
    assert text.startswith("# small on http\\://127.0.0.1:1: interrupted (simulated)\n")
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
TAMED = "a \\| b &lt;script&gt; \\`x\\` \\[l\\](u) \\*i\\* \\_u\\_ \\\\"


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
            f"Reported: 2 × A100; https\\://example.org/a_b. {TAMED}",
        ),
    ],
)
def test_text_from_elsewhere_stays_text(tmp_path: Path, changed: dict[str, Any], line: str) -> None:
    assert line in page(tmp_path, **changed).splitlines()


INLINE = {"html_inline", "link_open", "image", "code_inline", "em_open", "s_open", "hardbreak", "softbreak"}
BLOCKS = {"html_block", "bullet_list_open", "ordered_list_open", "hr", "blockquote_open", "fence"}
RENDERED = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = (
    "<b>",
    "&lt;b&gt;",
    "![x](u)",
    "[x](u)",
    "`x`",
    "**x**",
    "__x__",
    "_x_",
    "~~x~~",
    "|",
    "\\|",
    "\\",
    "# x",
    "- x",
    "1. x",
)
MARKUP += (
    "===",
    "---",
    "> x",
    "```",
    "~~~",
    "<!-- x",
    "<https://x.org>",
    "https://x.org",
    "www.x.org",
    "\n\n# x",
    "\u202e",
    "\x1b[2J",
)


def _cells(text: str) -> list[str]:
    """The text of each cell of the page's tables, as a reader sees it."""
    tokens = RENDERED.parse(text)
    inside = [tokens[i + 1] for i, token in enumerate(tokens) if token.type in ("td_open", "th_open")]
    return ["".join(child.content for child in token.children or ()) for token in inside]


@given(st.lists(st.sampled_from(MARKUP) | st.text(max_size=8), min_size=1, max_size=5).map("".join))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_shows_text_from_elsewhere_and_does_nothing_else(tmp_path: Path, hostile: str) -> None:
    text = page(
        tmp_path,
        checks=[CHECK | {"detail": hostile, "name": hostile}],
        recipe={"name": hostile, "summary": hostile},
        environment={"gpus": [hostile]},
        errors=[dict.fromkeys(("where", "what", "do"), hostile)],
        expected={"load": EXPECTED | {"note": hostile, "source": hostile}},
    )
    tokens = RENDERED.parse(text)
    assert not {token.type for token in tokens} & BLOCKS
    assert not {child.type for token in tokens for child in token.children or ()} & (INLINE - {"softbreak"})
    assert sum(token.type == "heading_open" for token in tokens) == 6
    shown = one_line(" ".join(hostile.split()), most=10_000)
    assert [cell for cell in _cells(text) if cell.strip() == shown.strip()][:2] == [shown, shown] or not shown.strip()
    for scheme in ("https:", "www."):
        assert scheme not in text.replace("\\", "\\ ")
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "<img src=x onerror=y>", "[x](javascript:y)", "![x](u)"]
)
def test_python_markdown_agrees(tmp_path: Path, hostile: str) -> None:
    markdown = pytest.importorskip("markdown")
    text = page(tmp_path, checks=[CHECK | {"detail": hostile}], recipe={"name": hostile, "summary": hostile})
    html = markdown.markdown(text, extensions=["tables"])
    assert not [tag for tag in ("<script", "<img", "<a ") if tag in html]


def test_the_document_for_machines(tmp_path: Path) -> None:
    file = Json(uses="json").write(DOCUMENT, tmp_path)
    assert (file.name, json.loads(file.read_text())) == ("report.json", DOCUMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
