"""Where things are looked for, and how a path is shown."""

from pathlib import Path

import pytest

from recipe_runner import paths


def test_shipped_folders_are_at_the_top_of_a_checkout() -> None:
    assert (paths.shipped("conf") / "config.yaml").is_file()
    assert (paths.shipped("recipes") / "internvl3.yaml").is_file()


def test_shipped_folders_are_inside_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_shipped" / "conf").mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    assert paths.shipped("conf") == tmp_path / "_shipped" / "conf"


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
