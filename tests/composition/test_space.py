"""Where choices are looked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError
from recipe_runner.paths import shipped


def test_names_are_those_of_our_files_and_of_the_persons(write: Callable[..., Path]) -> None:
    write("my/validation/thorough.yaml", "{}")
    write("my/recipes/extra.yaml", "model: {id: m}")
    assert Space().names("validation") == {"recipe", "none", "smoke"}
    space = Space((Path("my"),))
    assert space.names("validation") == {"recipe", "none", "smoke", "thorough"}
    assert space.names("recipe") - Space().names("recipe") == {"extra"}


def test_the_persons_file_goes_before_ours(write: Callable[..., Path]) -> None:
    write("my/hardware/cpu.yaml", "{}")
    assert Space((Path("my"),)).file("hardware", "cpu") == Path("my/hardware/cpu.yaml")
    assert Space((Path("my"),)).file("hardware", "host") == shipped("conf") / "hardware" / "host.yaml"


def test_a_file_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(RecipeError) as error:
        Space().file("engine", "vlm")
    assert str(error.value) == (
        "engine — there is no engine vlm; did you mean vllm? There are: attach, sim, vllm, vllm_cpu"
    )


def test_a_recipe_by_path_is_found_even_where_one_of_its_name_exists(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("recipes/x.yaml", "model: {id: m}")
    write("other/x.yaml", "model: {id: m}")
    space = Space()
    assert space.recipe("x") == (tmp_path / "recipes" / "x.yaml", space.recipes)
    file, folders = space.recipe("other/x.yaml")
    assert (file, folders[0], folders[1]) == (tmp_path / "other" / "x.yaml", tmp_path / "other", tmp_path / "recipes")
    assert space.recipe("recipes/x.yaml")[1] == space.recipes


def test_only_the_recipe_that_hides_a_shipped_one_is_announced(recipe: Callable[..., Path]) -> None:
    own, other = recipe("", "internvl3"), recipe("", "other")
    space = Space()
    assert [*space.shadow_notes(own)] == [
        "recipe internvl3: recipes/internvl3.yaml is used instead of the shipped recipe of that name"
    ]
    assert [*space.shadow_notes(other)] == []
    assert [*space.shadow_notes(shipped("recipes").resolve() / "internvl3.yaml")] == []
