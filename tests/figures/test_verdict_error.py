"""The benchmark that counts how often verdicts are wrong: what it finds, and what it prints."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def verdict_error() -> Iterator[ModuleType]:
    """The benchmark that judges many trials at once, and asserts that it does as `difference` and `against` do."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import verdict_error

    yield verdict_error
    sys.path.remove(str(ROOT / "benchmarks"))


def test_the_error_of_what_is_compared_and_what_it_finds(verdict_error: ModuleType) -> None:
    """Five against five at a spread of 3 %; three standard errors of the simulation below 1 %, and above 90 %."""
    rng = np.random.default_rng(1)
    leading = verdict_error.METRICS[:1]
    for columns in (verdict_error.independent(rng, 50_000), verdict_error.together(rng, 50_000)):
        wrong = verdict_error.found(columns).any(axis=1).mean()
        assert 0.003 < wrong < 0.01 - 3 * math.sqrt(wrong / 50_000)
        differs = verdict_error.found(columns, leading, 0.10)
        assert differs[:, 0].mean() > 0.904
        assert differs[:, 1:].any(axis=1).mean() < 0.01 - 3 * math.sqrt(0.01 / 50_000)
        assert verdict_error.found(columns, verdict_error.METRICS, 0.10).any(axis=1).mean() > 0.904


def test_the_error_of_a_gate(verdict_error: ModuleType) -> None:
    shares = verdict_error.judged(verdict_error.simulated(np.random.default_rng(2), 50_000, 5), 100)
    assert 0.003 < shares["passed"] < 0.0065
    assert 0.003 < shares["failed"] < 0.0065


def test_the_benchmark_prints_its_tables(
    verdict_error: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--trials", "200"])
    monkeypatch.setattr(verdict_error, "SAMPLE", 2)
    monkeypatch.setattr(verdict_error, "RECORDED", tmp_path / "none.json")
    verdict_error.main()
    printed = capsys.readouterr().out
    assert printed.startswith(f"Nothing is recorded in {tmp_path}/none.json: see --record. Simulated only.\n")
    assert len([line for line in printed.splitlines() if "%" in line]) == 2 * (1 + 11) + 2 * 8
    monkeypatch.setattr(verdict_error, "RECORDED", tmp_path / "new" / "repeats.json")
    document = report([50.0 + number for number in range(12)])
    done = subprocess.CompletedProcess([], 0, json.dumps(document))
    monkeypatch.setattr(verdict_error.subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--record", "12"])
    verdict_error.main()
    told = capsys.readouterr()
    assert told.out == f"12 measurements in {tmp_path}/new/repeats.json\n"
    assert told.err == "small.1: somebody else used the server\n"
    monkeypatch.setattr(sys, "argv", ["verdict_error.py", "--trials", "200"])
    verdict_error.main()
    heading, place, *table = capsys.readouterr().out.splitlines()
    assert heading == (
        "Recorded: 12 × `recipe-run recipe=internvl3-tiny hardware=cpu serve.port=0 benchmark.small.repeat=12`"
    )
    assert place == "on a CPU (2 cores), 8 GiB, vLLM 0.32.0, 2026-11-23"
    assert table[1] == "Recorded, 5 against 5: what is found, by what slows down"
    assert len([line for line in table if "alone" in line]) == 3


def test_the_benchmark_records_all_or_nothing(verdict_error: ModuleType) -> None:
    with pytest.raises(SystemExit) as ended:
        verdict_error.kept(report([50.0, 51.0]), "recipe-run", 3)
    assert ended.value.code == "only 2 of 3 were measured: measured, all well"


def report(rates: list[float]) -> dict[str, Any]:
    """What of report.json the benchmark reads."""
    measurements = [
        {
            "name": f"small.{number}" if number else "small.warmup",
            "counted": number > 0,
            "metrics": {"output_throughput": rate, "median_ttft_ms": 1 / rate, "median_tpot_ms": 2 / rate},
            "doubts": ["somebody else used the server"] if number == 1 else [],
        }
        for number, rate in enumerate([1.0, *rates])
    ]
    small = {"name": "small", "verdict": "measured", "detail": "all well", "measurements": measurements}
    environment = {"cpu": "a CPU (2 cores)", "memory_gib": 7.8, "vllm": "0.32.0"}
    return {"started": "2026-11-23T22:00:00+00:00", "environment": environment, "benchmarks": [small], "errors": []}
