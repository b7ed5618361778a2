"""Where things are looked for, and how a path is shown."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import paths
from recipe_runner.errors import RecipeError
from tests.conftest import Answer


def test_shipped_folders_are_at_the_top_of_a_checkout() -> None:
    assert (paths.shipped("conf") / "config.yaml").is_file()
    assert (paths.shipped("recipes") / "internvl3.yaml").is_file()


def test_shipped_folders_are_inside_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_shipped" / "conf").mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    assert paths.shipped("conf") == tmp_path / "_shipped" / "conf"


@pytest.mark.parametrize("text", ["", ".", "..", "nothing", "nothing/below", "file", "file/below", "~/x"])
def test_a_path_that_a_person_typed(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert paths.typed(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 300, "File name too long"),
        ("x/" * 3000, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("a\0b", "embedded null byte"),
        ("locked", "Permission denied"),
    ],
)
def test_a_path_that_nobody_can_look_at(text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to("loop")
    look = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if path == Path("locked", ".."):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(RecipeError) as error:
        paths.typed(text)
    assert str(error.value) == f"{text[:80]} — this cannot be looked at: {why}; check the path"


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "{}", "x"),
        ("validate", "{}"),
        ("record", "{}"),
        ("-m", "--resume", "{}"),
    ],
)
def test_paths_are_refused_by_whatever_verb_takes_them(words: tuple[str, ...], cli: Callable[..., Answer]) -> None:
    (told,) = cli(*(word.format("x" * 5000) for word in words)).refusal
    assert told == f"{'x' * 80} — this cannot be looked at: File name too long; check the path"


@pytest.mark.parametrize(
    ("where", "variable", "set_to", "expected"),
    [
        (paths.personal_config, "XDG_CONFIG_HOME", "/my/config", "/my/config/recipe-runner/config.yaml"),
        (paths.personal_config, "XDG_CONFIG_HOME", "", "/home/me/.config/recipe-runner/config.yaml"),
        (paths.cache, "XDG_CACHE_HOME", "/my/cache", "/my/cache/recipe-runner"),
        (paths.cache, "XDG_CACHE_HOME", "", "/home/me/.cache/recipe-runner"),
    ],
)
def test_personal_folders_follow_xdg(
    where: object, variable: str, set_to: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv(variable, set_to)
    assert where() == Path(expected)  # type: ignore[operator]


def test_paths_are_short_where_a_person_knows_the_folder(tmp_path: Path) -> None:
    assert paths.short(tmp_path / "recipes" / "mine.yaml") == "recipes/mine.yaml"
    assert paths.short(paths.shipped("conf") / "config.yaml") == "conf/config.yaml"
    assert paths.short(paths.PACKAGE / "_shipped" / "recipes" / "x.yaml") == "recipes/x.yaml"
    assert paths.short("/etc/hosts") == "/etc/hosts"
