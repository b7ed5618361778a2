"""Recipes by name: ./recipes before added folders before the shipped ones."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.composition import library
from recipe_runner.evidence import files as evidence
from recipe_runner.paths import shipped

SHIPPED = shipped("recipes").resolve()


def test_folders_in_their_order(write: Callable[..., Path], tmp_path: Path) -> None:
    write("recipes/a.yaml", "")
    write("mine/recipes/a.yaml", "")
    assert library.folders([Path("mine"), Path("nothing-there")]) == [
        tmp_path / "recipes",
        tmp_path / "mine" / "recipes",
        SHIPPED,
    ]


def test_a_folder_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SHIPPED.parent)
    assert library.folders() == [SHIPPED]


@pytest.mark.parametrize("name", ["", ".", "..", "../recipes/internvl3", "/etc/hosts", "none"])
def test_find_never_leaves_the_folder(name: str) -> None:
    assert library.find(name, [SHIPPED]) is None


def test_first_folder_wins(recipe: Callable[..., Path]) -> None:
    own = recipe("", "internvl3")
    among = library.folders()
    assert library.find("internvl3", among) == own
    assert library.names(among)["internvl3"] == own
    assert library.names(among)["internvl3-tiny"] == SHIPPED / "internvl3-tiny.yaml"
    assert library.shadowed("internvl3", among) == SHIPPED / "internvl3.yaml"
    assert library.shadowed("internvl3-tiny", among) is None
    assert library.shadowed("unheard-of", among) is None


def test_what_may_not_be_looked_at_is_not_there(recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    own = recipe("").parent
    known, look = library.names([SHIPPED]), Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if own in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    assert library.names([own, SHIPPED]) == known
    assert library.folders([own]) == [own, SHIPPED]
    assert list(evidence.of(own / "mine.yaml", [own])) == []


def test_names_are_those_of_files(recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe("")
    (tmp_path / "recipes" / "folder.yaml").mkdir()
    (tmp_path / "recipes" / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "recipes" / "notes.txt").write_text("")
    assert library.names([tmp_path / "recipes"]) == {"mine": tmp_path / "recipes" / "mine.yaml"}
