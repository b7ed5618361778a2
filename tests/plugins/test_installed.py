"""What is installed is found without being imported."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.plugins.installed import Installed, groups


def test_ours_are_found_like_any_others() -> None:
    (chat,) = [one for one in groups()["checks"] if one.name == "chat"]
    assert (chat.origin, chat.place) == ("recipe-runner", "recipe_runner.checks.chat:Chat")
    assert chat.source() == Path(sys.modules["recipe_runner"].__file__ or "").parent / "checks" / "chat.py"


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("theirs_alone:C", "theirs_alone.py"),
        ("theirs:C", "theirs/__init__.py"),
        ("theirs.one:C", "theirs/one.py"),
        ("theirs.two:C", "theirs/two/__init__.py"),
        ("theirs.three:C", None),
        ("no_such_module:C", None),
    ],
)
@pytest.mark.parametrize("editable", [False, True])
def test_a_source_is_found_without_an_import(
    place: str, source: str | None, editable: bool, package: Callable[..., Path], tmp_path: Path
) -> None:
    files = dict.fromkeys(("theirs/__init__.py", "theirs/one.py", "theirs/two/__init__.py"), "raise SystemExit\n")
    site = package("their-package", {}, files | {"theirs_alone.py": "raise SystemExit\n"})
    one = Installed("x", place, "their-package", "1.0", tmp_path / "elsewhere" if editable else site)
    assert one.source() == (site / source if source else None)
    assert "theirs" not in sys.modules


def test_distributions_that_nobody_can_read_hide_no_others(package: Callable[..., Path]) -> None:
    site = package("their-package", {"checks": ["theirs = theirs:C"]})
    (site / "their_package-1.0.dist-info" / "entry_points.txt").write_text("[recipe_runner.checks]\nno value\n")
    site = package("without-version", {"checks": ["x = y:Z"]})
    (site / "without_version-1.0.dist-info" / "METADATA").write_text("Name: without-version\n")
    groups.cache_clear()
    names = {one.name: one.origin for one in groups()["checks"]}
    assert "theirs" not in names
    assert names["x"].startswith("without-version ")
    assert names["chat"] == "recipe-runner"


def test_of_two_distributions_of_one_name_the_first_counts(package: Callable[..., Path]) -> None:
    site = package("their-package", {"checks": ["new = y:Z"]})
    old = site.parent / "old" / "their_package-0.1.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Name: their-package\nVersion: 0.1\n")
    (old / "entry_points.txt").write_text("[recipe_runner.checks]\nold = y:Z\n")
    sys.path.append(str(old.parent))
    groups.cache_clear()
    assert [one.origin for one in groups()["checks"] if one.name in ("new", "old")] == ["their-package 1.0"]
