"""Evidence as files: found beside its recipe, and not believed after an edit."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.evidence import files
from recipe_runner.evidence.files import Evidence


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "parent.yaml").write_text("a: 1\n")
    file = tmp_path / "recipes" / "mine.yaml"
    file.write_text("b: 1\n")
    return file


def put(recipe: Path, name: str = "cpu-1", **other: Any) -> Path:
    parents = {"parent": files.sha256(recipe.with_name("parent.yaml"))}
    own = {"name": "mine", "sha256": files.sha256(recipe), "inherits": parents}
    document = {"kind": "evidence", "verdict": "passed", "hardware": "cpu", "recipe": own, "as_typed": [], **other}
    file = recipe.parent / "results" / "mine" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**document, "digest": files.digest(document)}, indent=3))
    return file


def found(recipe: Path) -> list[Evidence]:
    return list(files.of(recipe, []))


def test_each_hardware_that_a_run_passed_on_is_named_once(recipe: Path) -> None:
    put(recipe)
    put(recipe, "cpu-2")
    put(recipe, "h200x1-1", hardware="h200x1")
    put(recipe, "a100x2-1", hardware="a100x2", verdict="failed")
    assert files.verified_on(found(recipe)) == ["cpu", "h200x1"]
    assert [one.verified for one in found(recipe)] == [False, True, True, True]


@pytest.mark.parametrize("edited", ["mine.yaml", "parent.yaml", "results/mine/cpu-1.json"])
def test_nothing_that_was_edited_since_is_verified(recipe: Path, edited: str) -> None:
    put(recipe)
    file = recipe.parent / edited
    file.write_text(file.read_text().replace("1", "2", 1).replace('"cpu"', '"h100x8"'))
    assert files.verified_on(found(recipe)) == []
    assert found(recipe)[0].verdict == "passed, but it or the recipe was edited since"


def test_a_recipe_or_a_parent_that_is_gone_is_not_verified(recipe: Path) -> None:
    put(recipe)
    recipe.with_name("parent.yaml").unlink()
    assert files.verified_on(found(recipe)) == []


def test_layout_is_no_edit(recipe: Path) -> None:
    file = put(recipe)
    file.write_text(json.dumps(dict(reversed(json.loads(file.read_text()).items()))))
    assert found(recipe)[0].current


def test_evidence_of_a_shipped_recipe_may_lie_among_ones_own(recipe: Path, tmp_path: Path) -> None:
    put(recipe)
    shipped = tmp_path / "shipped" / "mine.yaml"
    shipped.parent.mkdir()
    shipped.write_bytes(recipe.read_bytes())
    assert files.verified_on(files.of(shipped, [])) == []
    assert files.verified_on(files.of(shipped, [recipe.parent])) == ["cpu"]


def test_evidence_of_another_recipe_of_that_name_is_not_of_this_one(recipe: Path, tmp_path: Path) -> None:
    put(recipe)
    own = tmp_path / "own" / recipe.name
    own.parent.mkdir()
    own.write_text("summary: Another\n")
    assert list(files.of(own, [recipe.parent])) == []
    own.write_bytes(recipe.read_bytes())
    assert [one.current for one in files.of(own, [recipe.parent])] == [True]


def test_what_is_no_evidence_is_passed_over(recipe: Path) -> None:
    (put(recipe)).write_text("{")
    for name, text in {"list": "[]", "other": "{}", "recipe": '{"kind": "evidence", "recipe": []}'}.items():
        (recipe.parent / "results" / "mine" / f"{name}.json").write_text(text)
    assert [(one.file.stem, one.current, one.vllm, one.hardware) for one in found(recipe)] == [
        ("recipe", False, None, "None")
    ]


def test_what_was_typed_is_not_the_recipe(recipe: Path) -> None:
    put(recipe, as_typed=["benchmark=none", "serve.dtype"])
    (one,) = found(recipe)
    assert (one.verified, one.verdict) == (False, "passed as typed, with benchmark=none, serve.dtype")
    assert (files.verified_on([one]), files.typed_on([one])) == ([], ["cpu with benchmark=none, serve.dtype"])
    put(recipe, "cpu-2")
    assert (files.verified_on(found(recipe)), files.typed_on(found(recipe))) == (["cpu"], [])


def test_evidence_that_does_not_say_what_was_typed_verifies_nothing(recipe: Path) -> None:
    put(recipe, as_typed=None)
    assert files.verified_on(found(recipe)) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_in_json_cannot_be_read(recipe: Path, number: str) -> None:
    file = put(recipe, seconds=1.5)
    file.write_text(file.read_text().replace("1.5", number))
    assert files.read(file) is None
