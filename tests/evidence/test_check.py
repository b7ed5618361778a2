"""Evidence that was edited is noticed, in each of its parts, even where its digest was made anew."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.evidence.check import Finding, check
from recipe_runner.evidence.record import record
from tests.evidence.runs import ID, LOG, edit, real

Change = Callable[[dict[str, Any]], object]
PARTS = ("format", "digest", "name", "verdict", "means", "noise", "gates", "recipe", "plan", "log")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    return record(real(tmp_path)).file


def findings(evidence: Path, log: Path | None = None) -> list[Finding]:
    return check(evidence, json.loads(evidence.read_text()), log=log, trust=False)


def wrong(evidence: Path, log: Path | None = None) -> list[str]:
    """What does not hold."""
    return [f"{one.state} {one.part}: {one.what}" for one in findings(evidence, log) if not one.holds]


def test_what_was_recorded_holds(evidence: Path) -> None:
    evidence.with_suffix(".log").write_text(LOG)
    assert findings(evidence) == [Finding("ok", part) for part in PARTS]


def keys(document: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a document that holds a value."""
    if isinstance(document, dict | list) and document:
        inside = document.items() if isinstance(document, dict) else enumerate(document)
        return [place for key, value in inside for place in keys(value, (*at, key))]
    return [at]


def test_an_edit_anywhere_is_noticed(evidence: Path) -> None:
    whole = json.loads(evidence.read_text())
    for place in keys(whole):
        document = json.loads(evidence.read_text())
        *parents, last = place
        part = document
        for key in parents:
            part = part[key]
        part[last] = "edited"
        found = check(evidence, document, trust=False) if place[0] == "verdict" else None
        if found is None:
            from recipe_runner.evidence.files import digest

            assert document["digest"] != digest(document), place
        else:
            assert Finding("wrong", "digest", "the document was edited") in found


SMALL = "benchmarks", 0


def at(*path: str | int, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        part: Any = document
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


def flag(name: str, value: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        argv = document["processes"][0]["argv"]
        argv[argv.index(name) + 1] = value

    return change


def emptied(document: dict[str, Any]) -> None:
    document["benchmarks"][0] |= {"measurements": [], "metrics": {}, "noise": {}, "figures": []}


ROW = {
    **{"expected": "small", "metric": "duration", "unit": "s", "per": "total", "value": 1.0, "measured": 1.0},
    **{"tolerance_percent": 5.0, "gate": True, "limit": 0.95, "verdict": "passed", "why": ""},
}


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (at("verdict", value="failed"), "wrong verdict: its items come to passed, and it says failed"),
        (at("exit_code", value=4), "wrong verdict: passed is exit code 0, and it says 4"),
        (at("checks", 0, "verdict", value="failed"), "wrong verdict: its items come to failed, and it says passed"),
        (at("run", "id", value="other"), "wrong name: it should be cpu-other.json"),
        (at("run", "point", value=7), f"wrong name: it should be cpu-{ID}-007.json"),
        (at("hardware", value="h100x8"), "wrong plan: hardware was h100x8; now it is cpu"),
        (at("engine", value="vllm"), "wrong plan: engine was vllm; now it is sim"),
        (at("model", "id", value="other"), "wrong plan: model.id was other; now it is test/mine"),
        (at("model", "revision", value="abc"), "wrong plan: model.revision was abc; now it is not there"),
        (at("parallelism", "tp", value=2), "wrong plan: parallelism.tp was 2; now it is 1"),
        (at(*SMALL, "metrics", "completed", value=3.0), "wrong means: small: completed is 2, and it says 3"),
        (at(*SMALL, "metrics", "speed", value=3.0), "wrong means: small: speed was not measured"),
        (at(*SMALL, "metrics", value={}), "wrong means: small: completed is missing"),
        (
            at(*SMALL, "noise", "completed", "spread_percent", value=9.0),
            "wrong noise: small.completed: spread_percent is 0, and it says 9",
        ),
        (
            at(*SMALL, "figures", value=[ROW]),
            "wrong gates: small: small.duration does not follow from what was measured",
        ),
        (
            at(*SMALL, "measurements", 0, "doubts", value=["busy"]),
            "wrong gates: small: it comes to inconclusive, and it says",
        ),
        (at("recipe", "sha256", value="0" * 64), "stale recipe: the recipe changed since"),
        (
            at("recipe", "inherits", value={"gone": "0" * 64}),
            "stale recipe: gone, which it inherits from, changed since",
        ),
        (at("recipe", "name", value="gone"), "stale recipe: there is no recipe gone here"),
        (at("recipe", "name", value="gone"), "wrong name: it should be in a folder gone"),
        (flag("--max-model-len", "256"), "wrong plan: --max-model-len was 256; now it is 128"),
        (flag("--host", "--quick"), "wrong plan: --quick was set; now it is not there"),
        (lambda d: d["processes"][0]["argv"].append("x"), "wrong plan: --enforce-eager was x; now it is set"),
        (at("processes", 0, "env", value={}), "wrong plan: CACHE was not there; now it is ~/cache"),
        (at("processes", 0, "role", value="router"), "wrong plan: the process router is planned no more"),
        (at("processes", 0, "role", value="router"), "wrong plan: the process server was not run"),
        (at("overrides", value={"serve.dtype": "half"}), "wrong plan: --dtype was not there; now it is half"),
        (at("overrides", value={"serve": 1}), "stale plan: it cannot be planned now: serve — 1 is not a mapping;"),
        (at("checks", 0, "name", value="other"), "wrong plan: the check capital was not made"),
        (at("checks", 0, "uses", value="chat"), "wrong plan: the check capital was not made"),
        (at("benchmarks", value=[]), "wrong plan: the benchmark small was not made"),
        (at(*SMALL, "name", value="large"), "wrong plan: the benchmark large is planned no more"),
        (at("expected", value={}), "wrong plan: other figures are expected now"),
        (at("overrides", value={"serve.dtype": "half"}), "wrong plan: typed was serve.dtype, and it says nothing that"),
        (at("choices", "benchmark", value="none"), "wrong plan: typed was benchmark=none, and it says nothing that"),
        (at("as_typed", value=["a.b"]), "wrong plan: typed was nothing that matters, and it says a.b"),
        (at(*SMALL, "fields", "num_prompts", value=3), "wrong plan: small: num_prompts was 3; now it is 2"),
        (at(*SMALL, "argv", -1, value="9"), "wrong plan: small: --"),
        (at(*SMALL, "measurements", value=[]), "wrong gates: small: it comes to inconclusive, and it says passed"),
        (at(*SMALL, "measurements", value=[]), "wrong means: small: completed was not measured"),
        (emptied, "wrong gates: small: it comes to inconclusive, and it says passed"),
        (emptied, "wrong gates: small: small.completed does not follow from what was measured"),
        (
            at(*SMALL, "measurements", 1, "verdict", value="inconclusive"),
            "wrong gates: small: it comes to inconclusive, and it says passed",
        ),
        (at("hardware", value="../../etc"), "wrong format: hardware: String should match pattern"),
        (at("run", "id", value="../x"), "wrong format: run.id: String should match pattern"),
        (at(*SMALL, "seconds", value=float("inf")), "wrong format: benchmarks.0.seconds: Input should be a finite"),
        (
            at(*SMALL, "metrics", "completed", value=float("nan")),
            "wrong format: benchmarks.0.metrics.completed: Input should be a finite number",
        ),
        (at("surplus", value=1), "wrong format: surplus: Extra inputs are not permitted"),
        (at("simulated", value=False), "wrong format: simulated: Extra inputs are not permitted"),
        (at("teardown", "processes_left", value=1), "wrong format: teardown.processes_left: Input should be 0"),
        (at("processes", value=[]), "wrong format: processes: List should have at least 1 item"),
        (at("format", value=2), "wrong format: format: Input should be 1"),
        (at("verdict", value="error"), "wrong format: verdict: Input should be 'passed', 'failed' or 'inconclusive'"),
    ],
)
def test_an_edit_with_a_digest_of_its_own_is_noticed_by_its_part(evidence: Path, change: Change, noticed: str) -> None:
    edit(evidence, change, anew=True)
    found = wrong(evidence)
    assert any(line.startswith(noticed) for line in found), found
    assert not any(line.startswith("wrong digest") for line in found)


def test_what_cannot_be_computed_takes_no_other_part_down(evidence: Path) -> None:
    edit(evidence, at("expected", "small", "metrics", "completed", "value", value=-1.0), anew=True)
    edit(evidence, at("environment", "gpus", value=1), anew=True)
    found = [line for line in wrong(evidence) if "cannot be judged" in line]
    assert found == [
        "wrong gates: it cannot be judged: math domain error",
        "wrong plan: it cannot be judged: 'int' object is not iterable",
    ]
    assert Finding("ok", "means") in findings(evidence)


def test_a_log_is_held_against_its_digest(evidence: Path, tmp_path: Path) -> None:
    log = tmp_path / "mine.log"
    log.write_text(LOG)
    assert wrong(evidence, log) == []
    log.write_text("edited")
    assert wrong(evidence, log) == ["wrong log: mine.log is not the log of this run"]
    assert findings(evidence)[-1] == Finding(
        "unchecked", "log", f"the server's log is not here; name it with --log, or put it beside as cpu-{ID}.log"
    )


def test_a_change_of_the_recipe_makes_its_differences_stale(evidence: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipes" / "mine.yaml"
    recipe.write_text(
        recipe.read_text().replace("max_model_len: 128", "max_model_len: 64").replace("eager: true", "eager: false")
    )
    assert wrong(evidence) == [
        "stale recipe: the recipe changed since",
        "stale plan: --max-model-len was 128; now it is 64",
        "stale plan: --enforce-eager was set; now it is not there",
        "stale plan: --no-enforce-eager was not there; now it is set",
    ]


def test_another_recipe_runner_may_plan_otherwise(evidence: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["environment"]["recipe_runner"] = "0.0.1"
        flag("--max-model-len", "256")(document)

    edit(evidence, change, anew=True)
    assert wrong(evidence) == ["stale plan: --max-model-len was 256; now it is 128"]


def test_what_was_typed_as_the_recipe_has_it_may_be_listed_or_not(evidence: Path) -> None:
    for listed in (["serve.dtype"], ["env.CACHE", "serve.dtype"]):
        edit(evidence, at("overrides", value={"env.CACHE": "~/cache", "serve.dtype": "auto"}), anew=True)
        edit(evidence, at("as_typed", value=listed), anew=True)
        assert not [line for line in wrong(evidence) if "typed was" in line]
    for listed in ([], ["env.CACHE"], ["serve.dtype", "serve.port"]):
        edit(evidence, at("as_typed", value=listed), anew=True)
        assert [line.partition(",")[0] for line in wrong(evidence) if "typed" in line] == [
            "wrong plan: typed was serve.dtype"
        ]


def test_which_devices_were_free_does_not_matter_but_how_many(evidence: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["hardware"] = document["choices"]["hardware"] = "h200x8"
        document["overrides"] = {"parallelism.tp": 2, "preflight.memory": "warn"}
        document["as_typed"], document["parallelism"]["tp"] = ["parallelism.tp"], 2
        document["environment"]["gpus"] = ["NVIDIA H200"] * 8
        document["processes"][0]["argv"] += ["--tensor-parallel-size", "2"]
        document["processes"][0]["env"]["CUDA_VISIBLE_DEVICES"] = "GPU-1,GPU-7"

    edit(evidence, change, anew=True)
    renamed = evidence.rename(evidence.with_name(f"h200x8-{ID}.json"))
    assert [line for line in wrong(renamed) if "gates" not in line] == []
    edit(renamed, at("processes", 0, "env", "CUDA_VISIBLE_DEVICES", value="3"), anew=True)
    assert "wrong plan: CUDA_VISIBLE_DEVICES was 1 devices; now it is 2 devices" in wrong(renamed)
    edit(renamed, at("environment", "gpus", value=["NVIDIA L4"]), anew=True)
    assert "wrong plan: hardware=h200x8 is 8 × H200-SXM5-141GB; it ran on NVIDIA L4" in wrong(renamed)


def test_on_hardware_without_a_name_the_plan_is_anybodys(evidence: Path) -> None:
    edit(evidence, lambda document: document.update(hardware="host"), anew=True)
    assert Finding("unchecked", "plan", "hardware=host is whatever it was run on") in findings(evidence)


def test_without_scipy_it_says_what_it_did_not_check(evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "scipy" else there(name, *rest))
    found = {one.part: one for one in findings(evidence)}
    assert [found[part].state for part in ("means", "noise", "gates", "plan")] == ["ok", "unchecked", "unchecked", "ok"]
    assert found["gates"].what == "that takes `pip install recipe-runner[analysis]`"


def test_a_run_of_serve_made_no_benchmarks(evidence: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"].append({"name": "serving", "seconds": 1.0})
        document["benchmarks"] = []

    edit(evidence, change, anew=True)
    assert wrong(evidence) == []
