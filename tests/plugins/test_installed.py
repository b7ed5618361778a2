"""What is installed is found without being imported."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.plugins.installed import Installed, groups
from tests.conftest import Answer


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
    groups.cache_clear()
    names = {one.name: one.origin for one in groups()["checks"]}
    assert "theirs" not in names
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


@pytest.mark.parametrize(
    "module", ["raise SystemExit(3)", "raise ValueError('at import')", "import no_such_dependency"]
)
def test_a_broken_plugin_harms_nothing_that_does_not_name_it(
    module: str, package: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    groups_of = ("checks", "benchmarks", "engines", "reports", "folders")
    package("their-package", {group: ["theirs = their_broken_module:Theirs"] for group in groups_of})
    package("their-module", {}, {"their_broken_module.py": module})
    for words in (["--help"], ["list", "checks"], ["doctor"], ["show", "internvl3"], ["plan", "recipe=internvl3"]):
        on = ["hardware=a100x2"] if words[0] == "plan" else []
        assert cli(*words, *on).code == 0, words
    assert "their_broken_module" not in sys.modules
    assert "theirs" not in cli("schema").page
    for value in ("validation.x={uses: theirs}", "benchmark.x={uses: theirs}", "report.formats=[theirs]"):
        (told,) = cli("plan", "recipe=internvl3", "hardware=a100x2", value).refusal
        assert "theirs of their-package 1.0 cannot be loaded: " in told
        assert told.endswith("; mend or update their-package, or remove it: `pip uninstall their-package`")


def test_a_plugin_that_has_no_schema_is_left_out_of_that_for_editors(
    package: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    strange = (
        "from collections.abc import Callable\nfrom recipe_runner.api import Check\n"
        "class Theirs(Check):\n    f: Callable\n    def run(self, server): ...\n"
    )
    package("their-package", {"checks": ["theirs = their_strange_module:Theirs"]}, {"their_strange_module.py": strange})
    assert "theirs" not in cli("schema").page
