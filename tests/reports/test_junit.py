"""junit.xml, read back by a reader that we did not write."""

from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from recipe_runner.reports.junit import Junit
from tests.reports.documents import (
    CHECK,
    GATE,
    GUIDE,
    HOSTILE,
    RUN,
    SEARCH,
    SWEEP,
    TP,
    hostile,
    measurement,
    old_evidence,
    point,
)

WRITER = Junit(uses="junit")


def suite(folder: Path, **changed: Any) -> TestSuite:
    file = WRITER.write(RUN | changed, folder)
    assert file == folder / "junit.xml"
    (found,) = JUnitXml.fromfile(str(file))
    assert isinstance(found, TestSuite)
    return found


def cases(found: TestSuite) -> dict[str, TestCase]:
    return {case.name: case for case in found}


def test_a_case_for_each_check_and_each_benchmark(tmp_path: Path) -> None:
    found = suite(tmp_path)
    assert (found.name, found.timestamp) == ("internvl3 on a100x2", "2026-11-23T19:58:06+00:00")
    assert (found.tests, found.failures, found.errors, found.skipped, found.time) == (3, 0, 0, 0, 423.65)
    assert [(case.classname, case.name, case.time) for case in found] == [
        ("internvl3.checks", "capital", 0.25),
        ("internvl3.benchmarks", "guide", 122.4),
        ("internvl3.benchmarks", "capacity", 301.0),
    ]
    assert all(case.is_passed for case in found)
    assert cases(found)["capital"].system_out == "' Paris'"


def test_metrics_are_properties_of_their_benchmark(tmp_path: Path) -> None:
    guide = cases(suite(tmp_path))["guide"]
    properties = {each.get("name"): each.get("value") for each in guide._elem.iter("property")}
    assert properties["output_throughput"] == "2535.4"
    assert properties["completed"] == "50"
    assert properties["verdict"] == "passed"
    environment = {each.name: each.value for each in suite(tmp_path).properties()}
    assert (environment["vllm"], environment["simulated"]) == ("0.25.1", "false")


@pytest.mark.parametrize(
    ("verdict", "kind"), [("failed", Failure), ("inconclusive", Failure), ("error", Error), ("skipped", Skipped)]
)
def test_what_did_not_pass(tmp_path: Path, verdict: str, kind: type[Failure | Error | Skipped]) -> None:
    found = suite(
        tmp_path, verdict="failed", checks=[CHECK | {"verdict": verdict, "detail": "no Paris"}], benchmarks=[]
    )
    (result,) = cases(found)["capital"].result
    assert (type(result), result.message, result.type) == (kind, "no Paris", verdict)
    assert (found.failures, found.errors, found.skipped) == (kind is Failure, kind is Error, kind is Skipped)


@pytest.mark.parametrize("verdict", ["passed", "measured"])
def test_what_passed(tmp_path: Path, verdict: str) -> None:
    assert cases(suite(tmp_path, checks=[CHECK | {"verdict": verdict}]))["capital"].is_passed


def test_a_gate_that_did_not_hold_is_told_where_it_failed(tmp_path: Path) -> None:
    doubtful = [measurement(1, 2400.0, doubts=["the client was saturated"])]
    missed = GATE | {"measured": 2400.0, "verdict": "failed", "why": "it is below"}
    failed = GUIDE | {"verdict": "failed", "figures": [missed], "measurements": doubtful}
    (result,) = cases(suite(tmp_path, verdict="failed", benchmarks=[failed]))["guide"].result
    assert result.text == (
        "output_throughput 2400 tok/s, limit 2470: failed; it is below\n"
        "1 measurement: it shows no noise, so a small difference from it means nothing.\n"
        "guide.1: the client was saturated"
    )


def test_a_server_that_died_is_a_case_of_its_own(tmp_path: Path) -> None:
    errors = [{"where": "server", "what": "it ended with status 1", "do": "see server.log"}]
    found = suite(tmp_path, verdict="error", errors=errors, log_excerpt=["one", "\x1b[2J two"])
    (result,) = cases(found)["run"].result
    assert (type(result), result.message) == (Error, "server — it ended with status 1; see server.log")
    assert found.errors == 1
    assert found._elem.findtext("system-out") == "one\n[2J two"


def test_a_run_that_was_interrupted(tmp_path: Path) -> None:
    (result,) = cases(suite(tmp_path, verdict="interrupted"))["run"].result
    assert (type(result), result.message) == (Error, "The run was ended before it was done.")


def test_a_run_in_which_nothing_was_judged(tmp_path: Path) -> None:
    found = suite(tmp_path, verdict="inconclusive", checks=[], benchmarks=[SEARCH])
    (result,) = cases(found)["run"].result
    assert (type(result), result.message, result.type) == (Failure, "nothing was judged", "inconclusive")
    assert "run" not in cases(suite(tmp_path, verdict="inconclusive", checks=[CHECK | {"verdict": "inconclusive"}]))


def test_text_that_xml_cannot_hold(tmp_path: Path) -> None:
    (found,) = JUnitXml.fromfile(str(WRITER.write(hostile(HOSTILE + "\ud800\uffff]]>"), tmp_path)))
    first = next(iter(found))
    assert first.name == HOSTILE.replace("\x00", "").replace("\x1b", "") + "]]>"


def test_a_sweep_has_a_suite_for_each_point(tmp_path: Path) -> None:
    points = [point(0, {TP: 1}, 1, 1), point(1, {TP: 2}, 1, 1, verdict=None, report=None)]
    file = WRITER.write_sweep(SWEEP | {"axes": {TP: [1, 2]}, "points": points}, tmp_path)
    first, second = JUnitXml.fromfile(str(file))
    assert (first.name, first.tests) == ("parallelism.tp=1", 2)
    assert (second.name, second.tests, second.skipped) == ("parallelism.tp=2", 1, 1)
    (result,) = next(iter(second)).result
    assert (type(result), result.message) == (Skipped, "this point did not run")


def test_a_point_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    errors = [{"where": "memory", "what": "it does not fit", "do": "use two GPUs"}]
    points = [point(0, {TP: 1}, 1, 1, verdict=None, report=None, errors=errors)]
    (found,) = JUnitXml.fromfile(str(WRITER.write_sweep(SWEEP | {"axes": {TP: [1]}, "points": points}, tmp_path)))
    (result,) = next(iter(found)).result
    assert (type(result), result.message) == (Error, "memory — it does not fit; use two GPUs")


def test_evidence_from_an_older_release(tmp_path: Path) -> None:
    found = JUnitXml.fromfile(str(WRITER.write(old_evidence("graphs"), tmp_path)))
    assert [(case.name, case.is_passed) for one in found for case in one] == [("capital", False), ("guide", True)]
