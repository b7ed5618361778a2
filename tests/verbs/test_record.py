"""`recipe-run record`: a run becomes evidence, or is refused with every reason."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.composition import library
from tests.conftest import Answer
from tests.evidence.runs import ID, edit, real, simulated
from tests.pages import blocks, commands

RUN = f"runs/mine/cpu/{ID}"
FILE = f"recipes/results/mine/cpu-{ID}.json"
ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "record-evidence.md"
STRANGE = "its report.json and plan.json are not as this recipe-runner writes them"
AGAIN = "run it again, and record that"


def test_it_says_where_it_is(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    assert cli("record", RUN).page == f"{FILE}\n"
    assert json.loads((tmp_path / FILE).read_text())["note"] == ""


def test_twice_is_once(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    cli("record", RUN, "--note", "a")
    assert cli("record", RUN, "--note", "a") == (0, f"{FILE}\n", "note: it was recorded before\n")
    told = f"{FILE} — there is other evidence of this run; remove it first, if this one is to stand instead"
    assert cli("record", RUN, "--note", "b").refusal == [told]


def test_its_report_stands_for_a_run(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    assert cli("record", f"{RUN}/report.json").page == f"{FILE}\n"


@pytest.mark.parametrize(("verdict", "told"), [("failed", "failed"), ("inconclusive", "was inconclusive")])
def test_what_did_not_pass_is_recorded_and_verifies_nothing(
    tmp_path: Path, cli: Callable[..., Answer], verdict: str, told: str
) -> None:
    real(tmp_path, verdict=verdict)
    note = f"note: the run {told}, so the recipe does not count as verified by it\n"
    assert cli("record", RUN) == (0, f"{FILE}\n", note)
    assert "verified" not in cli("list", "recipes").page


def test_elsewhere_and_as_json(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    document = json.loads(cli("record", RUN, "--to", "kept", "--json").page)
    kept = tmp_path / "kept" / "mine" / f"cpu-{ID}.json"
    assert document == {
        **{"format": 1, "file": f"kept/mine/cpu-{ID}.json", "new": True},
        "evidence": json.loads(kept.read_text()),
    }


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({"simulated": True}, f"{RUN} — the run was simulated; record one of a real vLLM"),
        ({"hardware": None}, f"{RUN} — the server was attached to, not launched; record a run that launched it"),
        ({"verdict": "interrupted"}, f"{RUN} — the run was interrupted; record one that came to its end"),
        (
            {"verdict": "error"},
            f"{RUN} — the run ended in an error; see its report.md, mend that, and record a run without",
        ),
        (
            {"teardown": {"processes_left": 2}},
            f"{RUN} — its teardown left 2 processes; see `recipe-run doctor`, and record a run without",
        ),
        ({"phases": 1}, f"{RUN} — {STRANGE}; {AGAIN}"),
        ({"checks": [{"name": "a"}]}, f"{RUN} — {STRANGE}; {AGAIN}"),
        ({"started": 1}, f"{RUN} — {STRANGE}; {AGAIN}"),
        ({"recipe": 1}, f"{RUN} — {STRANGE}; {AGAIN}"),
        ({"environment": 1}, f"{RUN} — {STRANGE}; {AGAIN}"),
        ({"verdict": "unheard-of"}, f"{RUN} — {STRANGE}; {AGAIN}"),
    ],
)
def test_a_run_that_shows_nothing_is_refused(
    tmp_path: Path, cli: Callable[..., Answer], report: dict[str, Any], told: str
) -> None:
    real(tmp_path, **report)
    assert cli("record", RUN).refusal == [told]
    assert not (tmp_path / FILE).exists()


def test_all_that_speaks_against_it_is_told_at_once(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    run = simulated(tmp_path)
    edit(run / "report.json", lambda report: report.update(verdict="interrupted"))
    (run / "server.log").unlink()
    recipe = tmp_path / "recipes" / "mine.yaml"
    recipe.write_text(recipe.read_text() + "# edited\n")
    assert cli("record", RUN).refusal == [
        f"{RUN} — the run was simulated; record one of a real vLLM",
        f"{RUN} — the run was interrupted; record one that came to its end",
        f"{RUN} — its server.log is not here; put it back, or run again",
        f"recipes/mine.yaml — the recipe changed since the run; {AGAIN}",
    ]


def test_an_older_report_is_refused(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    edit(real(tmp_path) / "report.json", lambda report: report.pop("choices"))
    assert cli("record", RUN).refusal == [f"{RUN} — {STRANGE}; {AGAIN}"]


@pytest.mark.parametrize("name", ["plan.json", "report.json"])
def test_a_folder_of_no_finished_run_is_refused(tmp_path: Path, cli: Callable[..., Answer], name: str) -> None:
    run = real(tmp_path)
    (run / name).write_text("[]")
    assert cli("record", RUN).refusal == [f"{RUN} — {STRANGE}; {AGAIN}"]
    (run / name).unlink()
    do = "give the folder of a run that ended: runs/RECIPE/HARDWARE/TIME-ID"
    assert cli("record", RUN).refusal == [f"{RUN} — there is no {name} in it; {do}"]
    assert cli("record", "nowhere").refusal == [f"nowhere — there is no report.json in it; {do}"]


def test_a_recipe_that_is_not_here_is_refused(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    (tmp_path / "recipes" / "mine.yaml").unlink()
    told = "recipe — recipes/mine.yaml is not here; record it from the folder where the run was started"
    assert cli("record", RUN).refusal == [told]


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    (tmp_path / "recipes" / "results").write_text("")
    do = "name another folder with --to FOLDER"
    assert cli("record", RUN).refusal == [f"recipes/results/mine — it cannot be written: Not a directory; {do}"]
    assert cli("record", RUN, "--to", "kept").code == 0


def test_nothing_is_put_into_an_installed_package(
    tmp_path: Path, cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    real(tmp_path)
    shipped = tmp_path / "package" / "_shipped" / "recipes"
    shipped.parent.mkdir(parents=True)
    (tmp_path / "recipes").rename(shipped)
    monkeypatch.setattr("recipe_runner.evidence.record.PACKAGE", tmp_path / "package")
    told = "package/_shipped/recipes/mine.yaml — the recipe is part of the installed package"
    assert cli("record", RUN).refusal == [f"{told}; name another folder with --to FOLDER"]
    assert cli("record", RUN, "--to", "recipes/results").page == f"{FILE}\n"


def test_a_recipe_is_verified_on_what_a_run_of_it_passed_on(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    cli("record", RUN)
    recipe = tmp_path / "recipes" / "mine.yaml"
    assert re.search(r"^  mine +recipes +Mine \(verified on cpu\)$", cli("list", "recipes").page, re.M)
    rows = {row["name"]: row for row in json.loads(cli("list", "recipes", "--json").page)["recipes"]}
    assert rows["mine"]["verified"] == ["cpu"]
    assert set(rows) == {*library.names(library.folders())}
    date = json.loads((tmp_path / FILE).read_text())["started"][:10]
    text = f"  cpu: passed ({date}, vLLM simulated)"
    assert cli("show", "mine", "hardware=cpu").page.endswith(f"\nverified:\n{text:<58}  # {FILE}\n")
    assert json.loads(cli("show", "mine", "hardware=cpu", "--json").page)["verified"] == [
        {
            **{"hardware": "cpu", "vllm": "simulated", "date": date, "verdict": "passed", "as_typed": []},
            **{"current": True, "file": FILE},
        }
    ]
    recipe.write_text(recipe.read_text() + "# edited\n")
    assert re.search(r"^  mine +recipes +Mine$", cli("list", "recipes").page, re.M)
    text = f"  cpu: passed, but it or the recipe was edited since ({date}, vLLM simulated)"
    assert f"\nverified:\n{text}  # {FILE}\n" in cli("show", "mine", "hardware=cpu").page


def test_a_run_as_typed_is_recorded_and_verifies_nothing(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    run = real(tmp_path)
    edit(run / "report.json", lambda report: report["overrides"].update({"serve.dtype": "half"}))
    told = "it was run with serve.dtype, and the recipe says otherwise, so the recipe does not count as verified by it"
    assert cli("record", RUN) == (0, f"{FILE}\n", f"note: {told}\n")
    assert re.search(
        r"^  mine +recipes +Mine \(passed as typed on cpu with serve.dtype\)$", cli("list", "recipes").page, re.M
    )
    rows = {row["name"]: row for row in json.loads(cli("list", "recipes", "--json").page)["recipes"]}
    assert (rows["mine"]["verified"], rows["mine"]["as_typed"]) == ([], ["cpu with serve.dtype"])
    assert "  cpu: passed as typed, with serve.dtype (" in cli("show", "mine", "hardware=cpu").page


def test_what_was_typed_as_the_recipe_has_it_was_the_recipe(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    run = real(tmp_path)
    own = {"benchmark.small.num_prompts": 2, "env.CACHE": f"{Path.home()}/cache", "serve.dtype": None}
    edit(run / "report.json", lambda report: report["overrides"].update(own | {"serve.enforce_eager": True}))
    assert cli("record", RUN) == (0, f"{FILE}\n", "")
    assert json.loads((tmp_path / FILE).read_text())["as_typed"] == []
    assert "typed was" not in cli("validate", FILE).stdout
    edit(run / "report.json", lambda report: report["overrides"].update({"serve.enforce_eager": 1}))  # no flag
    assert "it was run with serve.enforce_eager, and" in cli("record", RUN, "--to", "kept").stderr


def test_a_run_is_compared_with_its_own_evidence(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    cli("record", RUN)
    for pair in ((RUN, FILE), (FILE, RUN)):
        found = json.loads(cli("compare", "--json", *pair).page)
        assert found["configuration"] == []
        assert [one["not_judged"] for one in found["benchmarks"]] == [[]]


def test_the_how_to_shows_what_happens(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    real(tmp_path)
    done = [block for block in blocks(HOW_TO) if block.mark == f"run by {Path(__file__).relative_to(ROOT)}"]
    assert len(done) == 2
    for block in done:
        body = block.body.replace("internvl3-tiny", "mine").replace("20261123T222730Z-3dbd", ID)
        ((words, shown),) = commands(block._replace(body=body))
        assert cli(*shlex.split(words)[1:]) == (0, shown, "")
