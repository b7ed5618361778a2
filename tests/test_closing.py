"""The closing table of a run."""

import io
import re
from typing import Any

import pytest

from recipe_runner import closing

ITEM = {"uses": "x", "detail": "[red]as it is[/] :smile: \\", "seconds": 1.0}
DOCUMENT: dict[str, Any] = {
    **{"verdict": "passed", "folder": "runs/[b]/x", "expected": {}, "phases": [{"name": "a", "seconds": 1.25}] * 2},
    **{"checks": [{"name": "capital", "verdict": "passed", **ITEM}], "benchmarks": []},
    "teardown": {"processes_left": 0, "port_free": True},
}
METRICS = {"completed": 50, "duration": 1234.5, "p99_itl_ms": 0.125, "median_ttft_ms": 1000.0}
NOTHING: dict[str, Any] = {"noise": {}, "figures": []}
BENCHMARK = {"name": "[guide]", "verdict": "measured", "metrics": METRICS, **ITEM, **NOTHING}
EXPECTED = {"hardware": "2 × [A100]", "source": "https://example.org"}
OWN = {"kind": "own", "vllm": "0.32.0", "date": "2026-11-23", "workload": "load"}
FIGURES = [
    {"expected": "[guide]", "metric": "completed", "value": 497.0, "limit": None, "verdict": None, "per": "total"},
    {"expected": "[guide]", "metric": "failed", "value": 1, "limit": None, "verdict": None, "per": "total"},
]


def closed(**changed: Any) -> str:
    stream = io.StringIO()
    closing.of_run(DOCUMENT | changed, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("changed", "last"),
    [
        ({}, "passed in 2.5 s; 0 processes left; runs/[b]/x"),
        ({"simulated": True}, "passed (simulated) in 2.5 s; 0 processes left; runs/[b]/x"),
        (
            {"verdict": "error", "teardown": {"processes_left": 2, "port_free": False}},
            "error in 2.5 s; 2 processes left; the port is still in use; runs/[b]/x",
        ),
        (
            {"verdict": "interrupted", "teardown": {"processes_left": 0, "port_free": None}},
            "interrupted in 2.5 s; 0 processes left; runs/[b]/x",
        ),
    ],
)
def test_the_last_line(changed: dict[str, Any], last: str) -> None:
    assert closed(**changed) == f"passed       capital [red]as it is[/] :smile: \\\n{last}\n"


def test_figures_beside_those_that_were_reported() -> None:
    other = BENCHMARK | {"name": "other", "metrics": {}}
    text = closed(benchmarks=[BENCHMARK | {"figures": FIGURES}, other], expected={"[guide]": EXPECTED})
    rows = [" ".join(re.split(r"\s*[│┃]\s*", line)).strip() for line in text.splitlines() if line[:1] in "│┃"]
    assert rows == [
        "metric measured reported",
        "Successful requests 50 497",
        "Benchmark duration (s) 1,234.50",
        "Median TTFT (ms) 1,000",
        "P99 ITL (ms) 0.12",
    ]
    assert text.startswith("[guide]")
    assert "reported: 2 × [A100]; workload [guide]; https://example.org" in text
    assert "other" in text
    assert "metric" not in text[text.index("example.org") :]


def test_figures_with_their_noise_and_limits() -> None:
    noise = {"median_ttft_ms": {"half_width_percent": 2.25}}
    own = {
        "expected": "own",
        "metric": "median_ttft_ms",
        "value": 990,
        "limit": 1039.5,
        "verdict": "inconclusive",
        "per": "total",
    }
    guide = {
        "expected": "guide",
        "metric": "slo_max_concurrency",
        "value": 8,
        "limit": None,
        "verdict": None,
        "per": "total",
    }
    shown = BENCHMARK | {"metrics": METRICS | {"slo_max_concurrency": 7}, "noise": noise, "figures": [own, guide]}
    text = closed(benchmarks=[shown], expected={"own": EXPECTED | OWN, "guide": EXPECTED})
    rows = [" ".join(re.split(r"\s*[│┃]\s*", line)).strip() for line in text.splitlines() if line[:1] in "│┃"]
    assert rows == [
        "metric measured may be off by own guide limit",
        "Successful requests 50",
        "Benchmark duration (s) 1,234.50",
        "Median TTFT (ms) 1,000 ± 2.2 % 990  1,039.50 inconclusive",
        "P99 ITL (ms) 0.12",
        "Largest concurrency that meets the SLO 7   8",
    ]
    assert "own: 2 × [A100]; vLLM 0.32.0; workload load; 2026-11-23; own run: https://example.org\n" in text
    assert "guide: 2 × [A100]; workload guide; https://example.org\n" in text
    wide = closed(benchmarks=[shown | {"noise": {"median_ttft_ms": {"half_width_percent": 120.0}}, "figures": []}])
    assert "│ −54.5 % to +120.0 % │" in wide


@pytest.mark.parametrize(("measured", "shown"), [(617.25, "617.25"), (None, "none")])
def test_a_figure_of_each_gpu_stands_beside_what_it_is_held_against(measured: float | None, shown: str) -> None:
    whole = {"expected": "whole", "metric": "duration", "value": 1300, "limit": None, "verdict": None, "per": "total"}
    each = {"expected": "each", "metric": "duration", "value": 650, "limit": 585, "verdict": "passed", "per": "gpu"}
    figures = [whole, each | {"measured": measured}]
    expected = {"whole": EXPECTED, "each": EXPECTED}
    text = closed(benchmarks=[BENCHMARK | {"metrics": {"duration": 1234.5}, "figures": figures}], expected=expected)
    rows = [" ".join(re.split(r"\s*[│┃]\s*", line)).strip() for line in text.splitlines() if line[:1] in "│┃"]
    assert rows == [
        "metric measured whole each limit",
        "Benchmark duration (s) 1,234.50 1,300",
        f"Benchmark duration (s) per GPU {shown}  650 585 passed",
    ]


def test_metrics_that_are_none_of_vllms() -> None:
    assert "figure" in closed(benchmarks=[BENCHMARK | {"metrics": {"figure": 1.5}}])


def test_figures_that_nobody_reported() -> None:
    text = closed(benchmarks=[BENCHMARK])
    assert "measured" in text
    assert "reported" not in text
