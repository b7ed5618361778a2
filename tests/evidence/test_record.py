"""What evidence keeps of a run folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.errors import RecipeError
from recipe_runner.evidence.check import check
from recipe_runner.evidence.files import digest, sha256
from recipe_runner.evidence.record import record
from tests.evidence.runs import ID, LOG, edit, real


def refused(run: Path) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        record(run)
    return list(map(str, caught.value.faults))


def test_it_keeps_what_was_run_and_measured(tmp_path: Path) -> None:
    run = real(tmp_path)
    file, document, new = record(run, note="on a quiet machine")
    assert (file, new) == (tmp_path / "recipes" / "results" / "mine" / f"cpu-{ID}.json", True)
    assert document == json.loads(file.read_text())
    assert document["digest"] == digest(document)
    assert (document["run"], document["note"]) == ({"id": ID, "point": None}, "on a quiet machine")
    assert (document["verdict"], document["exit_code"]) == ("passed", 0)
    assert document["model"] == {"id": "test/mine", "path": "small", "revision": None}
    assert document["recipe"] == {"name": "mine", "sha256": sha256(tmp_path / "recipes" / "mine.yaml"), "inherits": {}}
    assert document["server_log"] == {"sha256": sha256(run / "server.log"), "bytes": len(LOG)}
    report = json.loads((run / "report.json").read_text())
    for key in ("choices", "environment", "memory", "phases", "checks", "expected", "started"):
        assert document[key] == report[key], key
    (measured,) = report["benchmarks"]
    (kept,) = document["benchmarks"]
    assert kept["measurements"] == [one for one in measured["measurements"] if one["counted"]]
    assert len(kept["measurements"]) == 3
    same = kept.keys() - {"measurements", "argv"}  # there paths are said another way
    assert {key: kept[key] for key in same} == {key: measured[key] for key in same}
    assert len(kept["argv"]) == len(measured["argv"])


def test_it_names_no_place_of_whoever_ran_it(tmp_path: Path) -> None:
    run = real(tmp_path)
    argv = json.loads((run / "report.json").read_text())["processes"][0]["argv"]
    assert str(tmp_path / "recipes" / "small") in argv
    text = record(run).file.read_text()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    process = json.loads(text)["processes"][0]
    assert "small" in process["argv"]
    assert process["env"]["CACHE"] == "~/cache"


def test_variables_that_the_server_inherited_are_kept(tmp_path: Path) -> None:
    def change(report: dict[str, Any]) -> None:
        kept = {"value": "1", "layer": "environment", "source": "HF_HUB_OFFLINE"}
        report["provenance"] = {"HF_HUB_OFFLINE": kept, "--port": {**kept, "layer": "recipe"}}

    run = real(tmp_path)
    edit(run / "report.json", change)
    assert list(record(run).document["provenance"]) == ["HF_HUB_OFFLINE"]


@pytest.mark.parametrize("name", ["003", "003.2"])
def test_a_point_of_a_sweep_says_which(tmp_path: Path, name: str) -> None:
    run = real(tmp_path, server_log="runs/sweeps/20260102T030405Z-0011223344556677/000/server.log")
    point = tmp_path / "runs" / "sweeps" / "20260102T030405Z-0011223344556677" / name
    point.parent.mkdir(parents=True)
    run.rename(point)
    (point.parent / "000").mkdir()
    (point / "server.log").rename(point.parent / "000" / "server.log")
    file, document, _ = record(point)
    assert file.name == "cpu-20260102T030405Z-0011223344556677-003.json"
    assert document["run"] == {"id": "20260102T030405Z-0011223344556677", "point": 3}
    assert document["server_log"]["bytes"] == len(LOG)


def inheriting(tmp_path: Path, *, locked: bool) -> tuple[Path, Path]:
    """A run whose recipe inherits from another, and that one's file."""
    run = real(tmp_path)
    recipe, parent = tmp_path / "recipes" / "mine.yaml", tmp_path / "recipes" / "parent.yaml"
    recipe.rename(parent)
    recipe.write_text("defaults: [parent, _self_]\n")
    edit(run / "plan.json", lambda plan: plan["recipe"].update(sha256=sha256(recipe)))
    lock = {"lock": {"files": {f"recipes/{file.name}": sha256(file) for file in (recipe, parent)}}}
    if locked:
        (run / "recipe.lock.yaml").write_text(json.dumps(lock))
    else:
        (run / "recipe.lock.yaml").unlink(missing_ok=True)
    return run, parent


@pytest.mark.parametrize("locked", [True, False])
def test_a_recipe_is_more_than_its_own_file(tmp_path: Path, *, locked: bool) -> None:
    run, parent = inheriting(tmp_path, locked=locked)
    file, document, _ = record(run)
    assert document["recipe"]["inherits"] == {"parent": sha256(parent)}
    parent.write_text(parent.read_text() + "# edited\n")
    assert ("stale", "recipe", "parent, which it inherits from, changed since") in check(file, document, trust=False)


def test_a_lock_tells_that_a_parent_changed_since(tmp_path: Path) -> None:
    run, parent = inheriting(tmp_path, locked=True)
    parent.write_text(parent.read_text() + "# edited\n")
    told = "recipes/parent.yaml — the recipe changed since the run; run it again, and record that"
    assert refused(run) == [told]


def test_a_run_on_other_hardware_than_it_says_is_no_evidence(tmp_path: Path) -> None:
    def change(plan: dict[str, Any]) -> None:
        plan["hardware"] |= {"name": "a100x2", "accelerator": "A100-SXM4-40GB", "count": 2, "nvml_names": ["NVIDIA A"]}

    run = real(tmp_path, hardware="a100x2")
    edit(run / "plan.json", change)
    where, do = f"runs/mine/cpu/{ID}", "record a run that names its hardware: hardware=auto finds it"
    wanted = "hardware=a100x2 is 2 × A100-SXM4-40GB; it ran on"
    assert refused(run) == [f"{where} — {wanted} no NVIDIA GPU; {do}"]
    edit(run / "report.json", lambda report: report["environment"].update(gpus=["NVIDIA A", "NVIDIA B"]))
    assert refused(run) == [f"{where} — {wanted} NVIDIA A, NVIDIA B; {do}"]
    edit(run / "report.json", lambda report: report["environment"].update(gpus=["NVIDIA A"] * 3))
    assert record(run).new


def test_a_run_of_a_lock_is_not_one_of_the_recipe(tmp_path: Path) -> None:
    run = real(tmp_path)
    recipe = tmp_path / "recipes" / "mine.yaml"
    recipe.rename(recipe.with_name("recipe.lock.yaml"))
    edit(run / "plan.json", lambda plan: plan["recipe"].update(file="recipes/recipe.lock.yaml"))
    assert refused(run) == [
        f"runs/mine/cpu/{ID} — it was a run of recipe.lock.yaml, a lock of mine; run recipe=mine, and record that"
    ]


def typed(tmp_path: Path, **report: Any) -> list[str]:
    run = real(tmp_path)
    edit(run / "report.json", lambda found: [found[key].update(value) for key, value in report.items()])
    found: list[str] = record(run).document["as_typed"]
    return found


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({}, []),
        ({"overrides": dict.fromkeys(("serve.port", "serve.host", "report.folder", "timeouts.run_s"), 1)}, []),
        ({"overrides": {"serve.dtype": "half", "preflight.memory": "warn"}}, ["serve.dtype"]),
        ({"choices": {"validation": "none", "benchmark": "smoke"}}, ["benchmark=smoke", "validation=none"]),
        ({"choices": {"parallelism": "auto"}}, ["parallelism=auto"]),  # and the recipe says nothing of it
    ],
)
def test_what_was_typed_is_told_apart_from_the_recipe(tmp_path: Path, report: dict[str, Any], told: list[str]) -> None:
    assert typed(tmp_path, **report) == told


@pytest.mark.parametrize(("tp", "told"), [(1, []), (2, ["parallelism=auto"])])
def test_a_chosen_parallelism_may_be_that_of_the_recipe(tmp_path: Path, tp: int, told: list[str]) -> None:
    run = real(tmp_path)
    recipe = tmp_path / "recipes" / "mine.yaml"
    recipe.write_text(recipe.read_text() + f"parallelism: {{tp: {tp}}}\n")
    edit(run / "plan.json", lambda plan: plan["recipe"].update(sha256=sha256(recipe)))
    (run / "recipe.lock.yaml").unlink(missing_ok=True)
    edit(run / "report.json", lambda report: report["choices"].update(parallelism="auto"))
    assert record(run).document["as_typed"] == told


def test_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    run = real(tmp_path, hardware="../../../elsewhere")
    strange = "its report.json and plan.json are not as this recipe-runner writes them; run it again, and record that"
    assert refused(run) == [f"runs/mine/cpu/{ID} — {strange}"]
    edit(run / "plan.json", lambda plan: plan["hardware"].update(name="../../../elsewhere"))
    assert refused(run) == [f"runs/mine/cpu/{ID} — {strange}"]
    assert not (tmp_path / "recipes" / "results").exists()


def test_a_folder_whose_name_is_no_name_of_a_file_is_refused(tmp_path: Path) -> None:
    run = real(tmp_path)
    told = "my run cannot be part of a file's name; rename it: letters, digits, _, . and -"
    assert refused(run.rename(run.with_name("my run"))) == [f"runs/mine/cpu/my run — {told}"]
