"""figures.csv and sweep.csv: rows that any reader of CSV understands, and no spreadsheet computes."""

import csv
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.reports.csv import Csv
from tests.reports.documents import FIGURES, GUIDE, RUN, SEARCH, SWEEP, TP, hostile, measurement, old_evidence, point

WRITER = Csv(uses="csv")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_line_for_each_measurement_and_metric(tmp_path: Path) -> None:
    once = [measurement(0, 2310.0, metrics={"a": 1}), measurement(1, 2500.0, metrics={"a": 2.25, "b": -3})]
    file = WRITER.write(RUN | {"benchmarks": [GUIDE | {"measurements": once}, SEARCH]}, tmp_path)
    assert file == tmp_path / "figures.csv"
    assert file.read_text() == (
        "benchmark,measurement,counted,metric,value\n"
        "guide,guide.warmup,no,a,1\n"
        "guide,guide.1,yes,a,2.25\n"
        "guide,guide.1,yes,b,-3\n"
    )


def test_a_run_that_measured_nothing_has_only_a_heading(tmp_path: Path) -> None:
    assert (
        WRITER.write(RUN | {"benchmarks": []}, tmp_path).read_text() == "benchmark,measurement,counted,metric,value\n"
    )


def test_evidence_from_an_older_release_was_measured_once(tmp_path: Path) -> None:
    found = rows(WRITER.write(old_evidence("graphs"), tmp_path))
    assert {(row["benchmark"], row["measurement"], row["counted"]) for row in found} == {("guide", "guide", "yes")}
    assert {row["metric"]: float(row["value"]) for row in found}["median_ttft_ms"] == 356.79620350003916


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(1)"])
def test_text_that_a_spreadsheet_would_compute_is_made_harmless(tmp_path: Path, text: str) -> None:
    changed = GUIDE | {"name": text, "measurements": [measurement(1, 1.0, name=text, metrics={text: -1.5})]}
    (row,) = rows(WRITER.write(RUN | {"benchmarks": [changed]}, tmp_path))
    expected: dict[str, Any] = dict.fromkeys(("benchmark", "measurement", "metric"), f"'{text}")
    assert row == expected | {"counted": "yes", "value": "-1.5"}


def test_a_cell_is_one_line(tmp_path: Path) -> None:
    file = WRITER.write(hostile('a,"b"\r\nc\x00\x1b'), tmp_path)
    lines = file.read_text().splitlines()
    assert len(lines) == len(rows(file)) + 1
    assert all(line.isprintable() for line in lines)
    assert rows(file)[0]["benchmark"] == 'a,"b"\\r\\nc\\x00\\x1b'


def test_a_sweep_has_a_line_for_each_point(tmp_path: Path) -> None:
    file = WRITER.write_sweep(SWEEP, tmp_path)
    assert file == tmp_path / "sweep.csv"
    found = rows(file)
    axes = [(int(row[TP]), int(row["benchmark.guide.max_concurrency"])) for row in found]
    assert axes == [(tp, load) for tp, load, _, _ in FIGURES]
    assert [float(row["guide.output_throughput"]) for row in found] == [rate for _, _, rate, _ in FIGURES]
    assert {row["verdict"] for row in found} == {"passed"}


def test_figures_of_a_benchmark_that_failed_stand_behind_its_verdict(tmp_path: Path) -> None:
    broken = RUN | {"benchmarks": [GUIDE | {"verdict": "failed", "metrics": {"output_throughput": 99.0}}]}
    sweep = {"axes": {TP: [1]}, "points": [point(0, {TP: 1}, 1, 1, verdict="failed", report=broken)]}
    file = WRITER.write_sweep(SWEEP | sweep, tmp_path)
    head = f"point,{TP},verdict,guide.verdict,guide.output_throughput\n"
    assert file.read_text() == f"{head}0,1,failed,failed,99.0\n"


def test_a_point_that_did_not_run_has_no_figures(tmp_path: Path) -> None:
    points = [point(0, {TP: None}, 1, 1), point(1, {TP: "=2"}, 1, 1, verdict=None, report=None)]
    first, second = rows(WRITER.write_sweep(SWEEP | {"axes": {TP: [None, "=2"]}, "points": points}, tmp_path))
    assert (first[TP], first["verdict"], first["guide.completed"]) == ("", "passed", "50")
    assert (second[TP], second["verdict"], second["guide.completed"]) == ("'=2", "", "")
