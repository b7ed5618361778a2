"""Documents of runs and sweeps, made by hand: what writers are given."""

import json
import math
from pathlib import Path
from typing import Any

HOSTILE = "a | b\n<script>alert('x')</script> $x^2$ `c` [l](u) *i* \"q\" \x1b[2J \x00 \u202e https://x.org/ 漢字 é"
LONG = "unbroken-" * 200

METRICS: dict[str, float] = {
    **{"completed": 50, "failed": 0, "duration": 20.19, "total_input_tokens": 102400, "total_output_tokens": 51200},
    **{"request_throughput": 2.476, "output_throughput": 2535.4, "total_token_throughput": 7606.2},
    **{"mean_ttft_ms": 319.7, "median_ttft_ms": 356.8, "p99_ttft_ms": 469.79},
    **{"mean_tpot_ms": 3.6, "median_tpot_ms": 3.61, "p99_tpot_ms": 3.9},
}
NOISE = {"spread_percent": 1.2, "drift_percent": -0.4, "half_width_percent": 1.5, "smallest_difference_percent": 5.1}
GPU = "NVIDIA A100-SXM4-40GB"


def measurement(number: int, rate: float, **changed: Any) -> dict[str, Any]:
    name = f"guide.{number}" if number else "guide.warmup"
    metrics = METRICS | {"output_throughput": rate, "median_ttft_ms": 356.8 * 2535 / rate}
    server = {"requests": 51, "prompt_tokens": 104448, "generation_tokens": 52224, "prefix_hit_share": 0.02}
    return {
        **{"name": name, "counted": number > 0, "seconds": 20.2, "seed": number, "metrics": metrics},
        **{"server": server | {"preemptions": 0}, "client_cpu": 0.41, "doubts": []},
        **changed,
    }


GATE: dict[str, Any] = {
    **{"expected": "guide", "metric": "output_throughput", "unit": "tok/s", "per": "total", "value": 2600.0},
    **{"measured": 2535.4, "tolerance_percent": 5, "gate": True, "limit": 2470.0, "verdict": "passed"},
    "why": "2,535 tok/s is above 2,470 tok/s",
}
RECORDED = {
    **{"expected": "guide", "metric": "median_ttft_ms", "unit": "ms", "per": "total", "value": 99644.38},
    **{"measured": 356.8, "tolerance_percent": 5, "gate": False, "limit": None, "verdict": None, "why": "no gate"},
}
GUIDE: dict[str, Any] = {
    **{"name": "guide", "uses": "vllm_bench", "verdict": "passed", "seconds": 122.4, "fields": {"num_prompts": 50}},
    "detail": "50 requests, 2535.40 tok/s out, median TTFT 356.8 ms",
    "metrics": METRICS,
    "measurements": [measurement(i, rate) for i, rate in enumerate((2310.0, 2520.1, 2561.3, 2541.0, 2519.9, 2534.7))],
    "noise": {"output_throughput": NOISE, "median_ttft_ms": NOISE | {"spread_percent": 3.4}},
    "figures": [GATE, RECORDED],
    "distributions": {
        "ttft_ms": [120 + 350 * (percent / 100) ** 3 for percent in range(101)],
        "tpot_ms": [3.2 + 0.8 * (percent / 100) ** 2 for percent in range(101)],
        "itl_ms": [2.9 + 0.1 * math.tan(percent / 101 * 1.5) for percent in range(101)],
    },
    "curve": [],
}
SEARCH: dict[str, Any] = {
    **{"name": "capacity", "uses": "vllm_bench_slo", "verdict": "measured", "seconds": 301.0},
    "fields": {"slo": {"p95_ttft_ms": 500}, "vary": "max_concurrency", "precision": 0.1},
    "detail": "16 at once is the most that meets p95 TTFT ≤ 500 ms",
    "metrics": {"slo_max_concurrency": 16, "output_throughput": 3120.5},
    "measurements": [],
    **{"noise": {}, "figures": [], "distributions": {}},
    "curve": [
        {
            "load": load,
            "output_throughput": 3500 * load / (load + 8),
            "p95_ttft_ms": 90 + load**2,
            "met": load <= 16,
        }
        for load in (1, 2, 4, 8, 16, 24, 32, 64)
    ],
}
CHECK = {"name": "capital", "uses": "completion", "verdict": "passed", "detail": "' Paris'", "seconds": 0.25}
EXPECTED = {
    **{"source": "https://example.org/a_b", "kind": "guide", "workload": None, "hardware": "2 × A100-SXM4-40GB"},
    **{"vllm": "0.20.0", "date": "2026-01", "note": "once | only"},
    "metrics": {figure["metric"]: {"value": figure["value"], "unit": figure["unit"]} for figure in (GATE, RECORDED)},
}
ARGV = ["/opt/vllm/bin/vllm", "serve", "OpenGVLab/InternVL3-8B-hf", "--enforce-eager", "--host", "0.0.0.0"]
RUN: dict[str, Any] = {
    **{"format": 1, "verdict": "passed", "hardware": "a100x2", "engine": "vllm", "url": "http://127.0.0.1:8000"},
    "recipe": {"name": "internvl3", "summary": "InternVL3-8B as the vLLM guide runs it on two A100-SXM4-40GB"},
    "choices": {"recipe": "internvl3", "hardware": "a100x2", "engine": "vllm", "parallelism": "recipe"},
    "overrides": {"serve.port": 8000, "serve.enforce_eager": None},
    "parallelism": {"tp": 2, "dp": 1, "pp": 1},
    "processes": [{"role": "server", "argv": [*ARGV, "--port", "8000"], "env": {"CUDA_VISIBLE_DEVICES": "0,1"}}],
    "provenance": {
        "--enforce-eager": {"value": True, "layer": "recipe", "source": "recipes/internvl3.yaml:5"},
        "--host": {"value": "0.0.0.0", "layer": "recipe", "source": "recipes/internvl3.yaml:6"},
        "--port": {"value": 8000, "layer": "command line", "source": "serve.port=8000"},
        "CUDA_VISIBLE_DEVICES": {"value": "0,1", "layer": "recipe-runner", "source": "tp × dp × pp devices"},
    },
    "started": "2026-11-23T19:58:06+00:00",
    "environment": {
        **{"recipe_runner": "0.1.0", "vllm": "0.25.1", "torch": "2.11.0", "driver": "580.159.04", "gpus": [GPU, GPU]},
        **{"cpu": "AMD EPYC 7742 (64 cores)", "memory_gib": 503.5, "git_commit": None, "python": "3.12.3"},
    },
    "memory": None,
    "phases": [
        {"name": name, "seconds": seconds}
        for name, seconds in (
            ("launch", 0.03),
            ("ready", 116.6),
            ("checks", 0.6),
            ("benchmarks", 423.4),
            ("teardown", 1),
        )
    ],
    **{"checks": [CHECK], "benchmarks": [GUIDE, SEARCH], "expected": {"guide": EXPECTED}},
    **{"errors": [], "diagnosis": None, "log_excerpt": [], "server_log": "runs/x/server.log"},
    "log_tail": ["(EngineCore pid=7) INFO GPU KV cache size: 1,024 tokens", "Application shutdown complete."],
    "teardown": {"processes_left": 0, "port_free": True, "gpu_memory_left_mib": 0, "files_left": 0, "files_removed": 3},
    "warnings": ["the server listens on all interfaces, and asks for no key"],
    "folder": "runs/internvl3/a100x2/20261123T195806Z-3830",
}


def benchmark(text: str) -> dict[str, Any]:
    """A benchmark that failed, with a text wherever somebody else's may stand."""
    doubted = [measurement(i, 2310.0 + i, name=f"{text}.{i}", doubts=[f"busy {text}"]) for i in range(4)]
    return GUIDE | {
        **{"name": text, "verdict": "failed", "detail": text, "noise": {text: NOISE}},
        "metrics": METRICS | {text: -1.5},
        "measurements": doubted,
        "figures": [GATE | {"metric": text, "unit": text, "why": text, "verdict": "failed"}],
        "distributions": {text: GUIDE["distributions"]["ttft_ms"]},
        "curve": [{"load": 1, text: 5.0, "goodput": 1.0, "met": 1}, {"load": 2, text: 2.0, "goodput": 2.0, "met": 0}],
    }


def hostile(text: str) -> dict[str, Any]:
    """A run that failed, with a text wherever somebody else's may stand."""
    fault = dict.fromkeys(("where", "what", "do"), text)
    return RUN | {
        **{"verdict": "error", "simulated": True, "hardware": text, "engine": text, "overrides": {text: text}},
        **{
            "recipe": {"name": text, "summary": text},
            "warnings": [text],
            "log_excerpt": [text, text],
            "log_tail": [text],
        },
        **{"errors": [fault, fault], "diagnosis": {"sentence": text}, "choices": {"recipe": text}},
        "environment": {"vllm": text, "gpus": [text, text], "cpu": text, text: text},
        "processes": [{"role": text, "argv": [text, "--flag", text], "env": {text: text}}],
        "provenance": {text: {"value": {text: [text]}, "layer": text, "source": text}},
        "phases": [{"name": text, "seconds": 1.0}, {"name": "ready", "seconds": 12.0}],
        "checks": [CHECK | {"name": text, "detail": text, "uses": text, "verdict": "error"}],
        "benchmarks": [benchmark(text)],
        "expected": {text: EXPECTED | {"note": text, "source": text, "hardware": text}},
    }


def point(number: int, overrides: dict[str, Any], rate: float, ttft: float, **changed: Any) -> dict[str, Any]:
    metrics = METRICS | {"output_throughput": rate, "median_ttft_ms": ttft}
    report = RUN | {"benchmarks": [GUIDE | {"metrics": metrics, "figures": []}]}
    found = {"number": number, "folder": f"{number:03}", "overrides": overrides, "verdict": "passed", "report": report}
    return found | changed


TP, LOAD = "parallelism.tp", "benchmark.guide.max_concurrency"
FIGURES = ((1, 1, 110.0, 60.0), (1, 10, 800.0, 180.0), (1, 50, 1500.0, 900.0))
FIGURES += ((2, 1, 180.0, 40.0), (2, 10, 1200.0, 170.0), (2, 50, 2400.0, 700.0))
SWEEP: dict[str, Any] = {
    **{"format": 1, "config_dirs": [], "trust": False, "started": "2026-11-23T19:58:06+00:00"},
    "words": ["recipe=internvl3", "hardware=a100x2", f"{TP}=1,2", f"{LOAD}=1,10,50"],
    "axes": {TP: [1, 2], LOAD: [1, 10, 50]},
    "points": [point(i, {TP: tp, LOAD: load}, rate, ttft) for i, (tp, load, rate, ttft) in enumerate(FIGURES)],
}


def old_evidence(name: str) -> dict[str, Any]:
    """A report as a release wrote it that measured once and knew no gates."""
    file = Path(__file__).parents[2] / "docs" / "evidence" / "internvl3-h200x1" / f"{name}.json"
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
