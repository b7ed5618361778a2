"""Assets stay in the recipe's folder; a person's may lie anywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from recipe_runner.api import Asset, Plugin


class Needs(Plugin):
    file: Asset


def read(file: str, folder: Path, *, inside: bool) -> Needs:
    return Needs.model_validate({"uses": "needs", "file": file}, context=lambda field: (folder / "recipes", inside))


def test_an_asset_is_relative_to_the_file_that_names_it(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write("recipes/assets/red.png", "")
    assert read("assets/red.png", tmp_path, inside=True).file == str(file)
    assert Needs(uses="needs", file="recipes/assets/red.png").file == str(file)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hosts", "link.png", "assets/../../secret.png"])
def test_a_recipes_asset_may_not_leave_its_folder_but_a_persons_may(
    name: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    secret = write("secret.png", "")
    write("recipes/assets/x", "")
    (tmp_path / "recipes" / "link.png").symlink_to(secret)
    with pytest.raises(ValidationError, match="the file must be in the recipe's folder; a recipe brings its own files"):
        read(name, tmp_path, inside=True)
    assert Path(read(name, tmp_path, inside=False).file).is_file()


def test_an_asset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="there is no such file; a path is relative to the file that it stands"):
        read("none.png", tmp_path, inside=True)
