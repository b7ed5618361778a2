"""`recipe-run validate`: one line for each finding, by what a file is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.composition import library
from recipe_runner.paths import shipped
from tests.conftest import Answer
from tests.evidence.runs import ID, LOG, edit, real

FILE = f"recipes/results/mine/cpu-{ID}.json"
HOLDS = f"""\
{FILE}
  ok         format
  ok         digest
  ok         name
  ok         verdict
  ok         means
  ok         noise
  ok         gates
  ok         recipe
  ok         plan
"""
GATE = (
    "  note       recipe: expected.small (recipes/mine.yaml:10) — completed is a gate, "
    "and its kind and date are not said; say who measured it and when, so that others can weigh it\n"
)
LOOSE = f"  unchecked  log: the server's log is not here; name it with --log, or put it beside as cpu-{ID}.log\n"


@pytest.fixture
def evidence(tmp_path: Path, cli: Callable[..., Answer]) -> Path:
    run = real(tmp_path)
    assert cli("record", str(run)).page == f"{FILE}\n"
    return tmp_path / FILE


@pytest.mark.usefixtures("evidence")
def test_what_was_recorded_holds(tmp_path: Path, cli: Callable[..., Answer]) -> None:
    assert cli("validate", FILE).page == HOLDS + LOOSE
    assert cli("validate", "recipes/results").page == HOLDS + LOOSE
    assert cli("validate", FILE, "--log", f"runs/mine/cpu/{ID}/server.log").page == f"{HOLDS}  ok         log\n"
    (tmp_path / FILE).with_suffix(".log").write_text(LOG)
    assert cli("validate", "recipes").page == f"recipes/mine.yaml\n  ok         recipe\n{GATE}{HOLDS}  ok         log\n"


def test_what_ships_with_us_holds(cli: Callable[..., Answer]) -> None:
    answer = cli("validate", str(shipped("recipes") / "results"))
    assert answer.code == 0, answer.stdout
    assert {line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")} == {"ok", "unchecked"}


def test_what_does_not_is_said_and_counts(
    evidence: Path, cli: Callable[..., Answer], write: Callable[..., Path]
) -> None:
    edit(evidence, lambda document: document.update(note="\x1b[2J"))
    code, page, _ = cli("validate", FILE, "--json")
    (file,) = json.loads(page)["files"]
    assert (code, file["file"]) == (1, FILE)
    assert next(one for one in file["findings"] if one["state"] != "ok") == {
        **{"state": "wrong", "part": "digest"},
        "what": "the document was edited",
    }
    write("recipes/mine.yaml", Path("recipes/mine.yaml").read_text().replace("128", "64"))
    code, page, _ = cli("validate", FILE)
    assert code == 1
    assert "  wrong      digest: the document was edited\n" in page
    assert "  stale      recipe: the recipe changed since\n" in page
    assert "  stale      plan: --max-model-len was 128; now it is 64\n" in page


def test_damaged_evidence_in_a_folder_is_not_passed_over(evidence: Path, cli: Callable[..., Answer]) -> None:
    evidence.write_text(evidence.read_text()[:-40])
    (evidence.parent / "other.json").write_text("{}")
    assert cli("validate", "recipes/results") == (1, f"{FILE}\n  wrong      format: it holds no JSON\n", "")


def test_a_profile_of_ones_own_is_found_in_its_folder(
    tmp_path: Path, cli: Callable[..., Answer], write: Callable[..., Path], evidence: Path
) -> None:
    write("my/hardware/lab.yaml", "defaults:\n  - cpu\n")
    edit(evidence, lambda found: found["choices"].update(hardware="lab"))
    page = cli("validate", FILE).stdout
    assert (
        "  stale      plan: it cannot be planned now: hardware — there is my/hardware/lab.yaml, where nobody looks; "
        "write hardware=lab --config-dir my\n"
    ) in page
    assert "  wrong      plan: hardware was cpu; now it is lab\n" in cli("validate", FILE, "--config-dir", "my").stdout


def test_a_recipe_is_composed_on_all_that_it_names(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("serve: {tensor_parallel_size: 2}\nprofiles:\n  a100x2: {parallelism: {tp: x}}\n", "it's mine")
    code, page, told = cli("validate", "recipes/it's mine.yaml")
    first, *wrong = page.splitlines()
    assert (code, first, told) == (1, "recipes/it's mine.yaml", "")
    assert [line.partition(" — ")[0] for line in wrong] == [
        "  wrong      recipe: serve.tensor_parallel_size (recipes/it's mine.yaml:1)",
        "  wrong      recipe: parallelism.tp (recipes/it's mine.yaml:3)",
    ]


def test_a_file_that_cannot_be_read_is_told_once(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("serve: {\n", bare=True)
    code, page, _ = cli("validate", "recipes/mine.yaml")
    assert (code, page.count("wrong"), page.count("YAML error")) == (1, 1, 1)


@pytest.mark.parametrize("name", sorted(library.names([shipped("recipes")])))
def test_shipped_recipes_hold(name: str, cli: Callable[..., Answer]) -> None:
    assert "wrong" not in cli("validate", str(shipped("recipes") / f"{name}.yaml")).page


def test_what_a_reviewer_would_say_stands_beside(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("")
    assert cli("validate", "recipes/mine.yaml").page == (
        "recipes/mine.yaml\n"
        "  ok         recipe\n"
        "  note       recipe: summary — there is none; say in a line what the recipe is for; `list` shows it\n"
        "  note       recipe: validation — there are no checks; "
        "add some, or inherit `/validation@validation: smoke`\n"
        "  note       recipe: model.id (recipes/mine.yaml:2) — there are no facts of the model, "
        "so every plan asks the hub; `recipe-run new` writes them for a model\n"
    )


def test_of_a_faulty_recipe_only_the_faults_are_told(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("serve: {tensor_parallel_size: 2}\n")
    assert "note" not in cli("validate", "recipes/mine.yaml").stdout


@pytest.mark.parametrize("folder", ["hardware", "engine", "validation", "benchmark", "parallelism", "."])
def test_a_folder_of_choices_holds_no_recipes(folder: str, cli: Callable[..., Answer]) -> None:
    (told,) = cli("validate", str(shipped("conf") / folder)).refusal
    assert "there is neither evidence nor a recipe in it" in told


def test_recipes_are_found_among_other_files(
    recipe: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("summary: Mine\n", "base")
    recipe("defaults: [base, _self_]\nsummary: Other\n", "child")
    recipe("defaults: [cpu]\ncount: 1\n", "lab", bare=True)
    recipe("serve: {\n", "broken", bare=True)
    lines = cli("validate", "recipes").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        f"recipes/{name}.yaml" for name in ("base", "broken", "child")
    ]


DO = "name a file of evidence, a recipe's file, or a folder with some"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere — there is no such file or folder; check the path"),
        (["empty"], f"empty — there is neither evidence nor a recipe in it; {DO}"),
        (["other.json"], "other.json — this is neither evidence nor a recipe; name a file that is"),
        ([FILE, "--log", "nowhere"], "--log — there is no file nowhere; check the path"),
        (["recipes", "--log", FILE], "--log — it is the log of one run; name one file of evidence with it"),
        (["other.json", "--log", FILE], "--log — it is the log of one run; name one file of evidence with it"),
        ([], "recipe-run validate — the following arguments are required: PATH; see recipe-run validate --help"),
    ],
)
@pytest.mark.usefixtures("evidence")
def test_what_is_wrong_is_told_in_words(
    words: list[Any], told: str, tmp_path: Path, cli: Callable[..., Answer]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.json").write_text("{}")
    assert cli("validate", *words).refusal == [told]
