"""report.md: what it says, and that text from elsewhere stays text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from recipe_runner.reports.markdown import Markdown
from recipe_runner.reports.markup import cell
from recipe_runner.serialize import one_line
from tests.reports.documents import CHECK, GUIDE, RUN, SWEEP, TP, hostile, measurement, old_evidence, point

TOP = """\
# internvl3 on a100x2: passed

Every check passed, and no figure was worse than its limit.

InternVL3-8B as the vLLM guide runs it on two A100-SXM4-40GB

vLLM 0.25.1; devices: 2 × NVIDIA A100-SXM4-40GB; started 2026-11-23T19:58:06+00:00.

## Checks and benchmarks

| name | verdict | detail | seconds |
| --- | --- | --- | ---: |
| capital | passed | ' Paris' | 0.25 |
| guide | passed | 50 requests, 2535.40 tok/s out, median TTFT 356.8 ms | 122.40 |
| capacity | measured | 16 at once is the most that meets p95 TTFT ≤ 500 ms | 301.00 |

## Figures of guide

| metric | measured | expected | limit | verdict | why |
| --- | ---: | ---: | ---: | --- | --- |
| output_throughput | 2535.4 | 2600 tok/s | 2470 | passed | 2,535 tok/s is above 2,470 tok/s |
| median_ttft_ms | 356.8 | 99644 ms |  |  | no gate |

Expected: 2 × A100-SXM4-40GB; vLLM 0.20.0; workload guide; 2026-01; guide: https\\://example.org/a_b. once \\| only

5 measurements, output_throughput: spread 1.2 %, drift −0.4 %; a difference of 5.1 % would have been seen 9 times in 10.

<details><summary>Details</summary>
"""
SWEPT = """\
# Sweep over parallelism.tp: 1 passed, 1 failed, 1 not run

recipe=x

| point | parallelism.tp | verdict | guide output_throughput | {rest} |
| --- | --- | --- | ---: | ---: | ---: | ---: |
| 000 | 1 | passed | 110 | 60 | 469.79 | 3.61 |
| 001 | 2 | failed | **800** | **18** | 469.79 | 3.61 |
| 002 | 4 | not run |  |  |  |  |

In bold: the figure that is better than all others of its column by more than noise.

guide: two figures are told apart where they differ by more than 3.0 % (output_throughput), 3.0 % (median_ttft_ms).
"""
REST = "guide median_ttft_ms | guide p99_ttft_ms | guide median_tpot_ms"


def page(folder: Path, **changed: Any) -> str:
    return Markdown(uses="markdown").write(RUN | changed, folder).read_text()


def test_the_page_of_a_run(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.startswith(TOP)
    assert text.endswith("| python | 3.12.3 |\n\n</details>\n")
    assert "\n| output_throughput | 2535.4 | 1.2 % | −0.4 % |\n" in text
    assert "\n| guide.warmup | warm-up | 2310 | 391.55 | 469.79 | 3.61 | 0 |\n| guide.1 | yes | 2520.1 |" in text
    assert "\n    CUDA_VISIBLE_DEVICES=0,1 \\\n      /opt/vllm/bin/vllm serve " in text
    assert (
        "\n| load | output_throughput | p95_ttft_ms | met |\n| ---: | ---: | ---: | ---: |\n| 1 | 388.89 | 91 |" in text
    )
    assert (
        "\nAfterwards: 0 processes left; port free: yes.\nRemoved: 3 sockets and other files of the server.\n" in text
    )
    assert "\nWarning: the server listens on all interfaces, and asks for no key.\n" in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_run_of_which_there_is_little_to_say(tmp_path: Path) -> None:
    nothing = {"checks": [], "benchmarks": [], "expected": {}, "simulated": True, "verdict": "interrupted"}
    text = page(tmp_path, **nothing, hardware=None, teardown={"processes_left": 2, "port_free": None})
    assert text.startswith("# internvl3 on http\\://127.0.0.1:8000: interrupted (simulated)\n\nThe run was ended")
    assert "\n**Simulated: no model ran, and no figure here says anything about hardware.**\n" in text
    assert "## Checks" not in text
    assert "## Figures" not in text
    assert "\nAfterwards: 2 processes left; port free: not ours.\n" in text


def test_figures_that_nobody_expected(tmp_path: Path) -> None:
    text = page(tmp_path, expected={}, benchmarks=[GUIDE | {"figures": []}, GUIDE | {"name": "other", "metrics": {}}])
    assert "\n| metric | measured |\n| --- | ---: |\n| output_throughput | 2535.4 |\n" in text
    assert "Expected:" not in text


def test_preemptions_stand_beside_each_measurement_of_a_server_that_counts_them(tmp_path: Path) -> None:
    silent, busy = measurement(1, 2500, server=None), measurement(2, 2510)
    busy["server"]["preemptions"] = 12
    text = page(tmp_path, benchmarks=[GUIDE | {"measurements": [silent, busy]}])
    assert "| median_tpot_ms | preemptions |\n" in text
    assert "| 3.61 |  |\n| guide.2 | yes | 2510 |" in text
    assert "| 3.61 | 12 |\n" in text
    assert "preemptions" not in page(tmp_path, benchmarks=[GUIDE | {"measurements": [silent, silent]}])


def test_what_was_measured_once_shows_no_noise(tmp_path: Path) -> None:
    text = page(tmp_path, benchmarks=[GUIDE | {"measurements": [measurement(1, 2500)], "noise": {}}])
    assert "\n1 measurement: it shows no noise, so a small difference from it means nothing.\n" in text
    assert "### Measurements" not in text


def test_doubts_stand_where_the_figures_are(tmp_path: Path) -> None:
    doubtful = measurement(1, 2500, doubts=["the client was saturated", "39 % of the prompts were in the cache"])
    text = page(tmp_path, benchmarks=[GUIDE | {"measurements": [doubtful]}]).partition("<details>")[0]
    assert "\n**Doubt:** guide.1: the client was saturated\n" in text
    assert "\n**Doubt:** guide.1: 39 % of the prompts were in the cache\n" in text


def test_what_went_wrong_comes_first(tmp_path: Path) -> None:
    error = {"where": "server", "what": "the server ended with status 1", "do": "see runs/x/server.log"}
    left = {"processes_left": 0, "port_free": False}
    text = page(tmp_path, verdict="error", errors=[error], log_excerpt=["ValueError: <b>", "| \x1b[2J"], teardown=left)
    assert "**server** — the server ended with status 1; see runs/x/server.log.\n" in text
    assert "\n\n    ValueError: <b>\n    | \\x1b[2J\n\n## Checks and benchmarks\n" in text
    assert "port free: no." in text


def test_a_sweep_is_one_table(tmp_path: Path) -> None:
    points = [point(0, {TP: 1}, 110, 60), point(1, {TP: 2}, 800, 18, verdict="failed")]
    points.append(point(2, {TP: 4}, 1, 1, verdict=None, report=None))
    sweep = SWEEP | {"axes": {TP: [1, 2, 4]}, "words": ["recipe=x"], "points": points}
    assert Markdown(uses="markdown").write_sweep(sweep, tmp_path).read_text() == SWEPT.format(rest=REST)


def test_a_sweep_marks_the_best_of_each_column(tmp_path: Path) -> None:
    text = Markdown(uses="markdown").write_sweep(SWEEP, tmp_path).read_text()
    assert "\n| 003 | 2 | 1 | passed | 180 | **40** | 469.79 | 3.61 |\n" in text
    assert "\n| 005 | 2 | 50 | passed | **2400** | 700 | 469.79 | 3.61 |\n" in text
    assert "\nIn bold: the figure that is better than all others of its column by more than noise.\n" in text
    assert text.count("**") == 4


def test_a_simulated_sweep_says_so(tmp_path: Path) -> None:
    points = [point(0, {TP: 1}, 110, 60, report=RUN | {"simulated": True})]
    text = Markdown(uses="markdown").write_sweep(SWEEP | {"axes": {TP: [1]}, "points": points}, tmp_path).read_text()
    assert text.startswith("# Sweep over parallelism.tp: 1 passed (simulated)\n\n**Simulated: no model ran")


@pytest.mark.parametrize("name", ["eager", "graphs"])
def test_evidence_from_an_older_release(tmp_path: Path, name: str) -> None:
    text = Markdown(uses="markdown").write(old_evidence(name), tmp_path).read_text()
    assert "\n| median_ttft_ms | 3" in text
    assert "| 99644 ms |  |  |  |\n" in text
    assert "\n1 measurement: it shows no noise" in text


HOSTILE = "a | b\n<script> `x` [l](u) *i* _u_ \\ "
TAMED = "a \\| b &lt;script&gt; \\`x\\` \\[l\\](u) \\*i\\* \\_u\\_ \\\\"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"checks": [CHECK | {"detail": HOSTILE}]}, f"| capital | passed | {TAMED} | 0.25 |"),
        ({"checks": [CHECK | {"name": HOSTILE}]}, f"| {TAMED} | passed | ' Paris' | 0.25 |"),
        ({"benchmarks": [GUIDE | {"detail": HOSTILE}]}, f"| guide | passed | {TAMED} | 122.40 |"),
        ({"recipe": {"name": HOSTILE, "summary": "x"}}, f"# {TAMED} on a100x2: passed"),
        ({"recipe": {"name": "x", "summary": HOSTILE}}, TAMED),
        ({"hardware": None, "url": HOSTILE}, f"# internvl3 on {TAMED}: passed"),
        ({"environment": {"gpus": [HOSTILE]}}, f"| gpus | {TAMED} |"),
        ({"errors": [dict.fromkeys(("where", "what", "do"), HOSTILE)]}, f"**{TAMED}** — {TAMED}; {TAMED}."),
        ({"warnings": [HOSTILE]}, f"Warning: {TAMED}."),
    ],
)
def test_text_from_elsewhere_stays_text(tmp_path: Path, changed: dict[str, Any], line: str) -> None:
    assert line in page(tmp_path, **changed).splitlines()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.1.0", "0.1.0"),
        ("12.5 ms", "12.5 ms"),
        ("1. first", "1\\. first"),
        ("1) first", "1\\) first"),
        ("1.", "1\\."),
        ("- x", "\\- x"),
        ("# x", "\\# x"),
        ("---", "\\---"),
        ("in 1. x", "in 1. x"),
    ],
)
def test_only_what_would_begin_a_list_is_escaped(text: str, shown: str) -> None:
    assert cell(text) == shown


def test_nobody_is_called_and_no_issue_named() -> None:
    """GitHub looks for them in what is shown, where an escape is gone."""
    text = "Paris @octocat me@example.org fixes #1, gh-2; a@ b # c"
    zero = "&#8203;"
    assert cell(text) == f"Paris @{zero}octocat me@{zero}example.org fixes #{zero}1, gh-{zero}2; a@ b # c"
    assert cell("#1") == f"\\#{zero}1"


INLINE = {"html_inline", "link_open", "image", "code_inline", "em_open", "s_open", "hardbreak", "softbreak"}
BLOCKS = {"bullet_list_open", "ordered_list_open", "hr", "blockquote_open", "fence"}
OURS = ["<details><summary>Details</summary>\n", "</details>\n"]
RENDERED = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = ("<b>", "&lt;b&gt;", "![x](u)", "[x](u)", "`x`", "**x**", "__x__", "_x_", "~~x~~", "|", "\\|", "\\", "# x")
MARKUP += ("- x", "1. x", "1.", "2) x", "+ x", "===", "---", "> x", "```", "~~~", "<!-- x", "</details>", "0.1")
MARKUP += ("<https://x.org>", "https://x.org", "www.x.org", "\n\n# x", "\u202e", "\x1b[2J", "@octo-cat")
MARKUP += ("me@example.org", "-_@-x.y", "#1", "x/y#1", "GH-1")
CALLED = re.compile(r"(?i)[@#][\w-]|\bgh-[\w-]")


def _cells(text: str) -> list[str]:
    """The text of each cell of the page's tables, as a reader sees it."""
    tokens = RENDERED.parse(text)
    inside = [tokens[i + 1] for i, token in enumerate(tokens) if token.type in ("td_open", "th_open")]
    return ["".join(child.content for child in token.children or ()).replace("\u200b", "") for token in inside]


@given(st.lists(st.sampled_from(MARKUP) | st.text(max_size=8), min_size=1, max_size=5).map("".join))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_shows_text_from_elsewhere_and_does_nothing_else(tmp_path: Path, foreign: str) -> None:
    text = Markdown(uses="markdown").write(hostile(foreign), tmp_path).read_text()
    tokens = RENDERED.parse(text)
    assert not {token.type for token in tokens} & BLOCKS
    assert [token.content for token in tokens if token.type == "html_block"] == OURS
    assert not {child.type for token in tokens for child in token.children or ()} & (INLINE - {"softbreak"})
    assert sum(token.type == "heading_open" for token in tokens) == 9
    shown = one_line(" ".join(foreign.split()), most=10_000)
    assert [one for one in _cells(text) if one.strip() == shown.strip()][:2] == [shown, shown] or not shown.strip()
    marked = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert not [scheme for scheme in ("https:", "www.") if scheme in marked]
    assert CALLED.search(marked.replace("&#8203;", "\u200b")) is None
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize(
    "foreign", ["<script>alert(1)</script>", "<img src=x onerror=y>", "[x](javascript:y)", "![x](u)"]
)
def test_python_markdown_agrees(tmp_path: Path, foreign: str) -> None:
    markdown = pytest.importorskip("markdown")
    html = markdown.markdown(page(tmp_path, checks=[CHECK | {"detail": foreign}]), extensions=["tables"])
    assert not [tag for tag in ("<script", "<img", "<a ") if tag in html]


def test_a_sweep_is_as_safe(tmp_path: Path) -> None:
    report = hostile(HOSTILE)
    one = {"number": 0, "folder": HOSTILE, "overrides": {HOSTILE: HOSTILE}, "verdict": "failed", "report": report}
    sweep = SWEEP | {"axes": {HOSTILE: [HOSTILE]}, "words": [HOSTILE], "points": [one]}
    tokens = RENDERED.parse(Markdown(uses="markdown").write_sweep(sweep, tmp_path).read_text())
    assert not {child.type for token in tokens for child in token.children or ()} & (INLINE - {"softbreak"})
    assert json.dumps([token.type for token in tokens]).count("tr_open") == 2
