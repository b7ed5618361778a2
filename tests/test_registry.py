"""Plugins by name and by place."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import registry
from recipe_runner.checks.models import Models
from recipe_runner.errors import RecipeError

CHECK = "from recipe_runner.api import Check\nclass Mine(Check):\n    {}: int = 1\n    def run(self, server): ...\n"
CHECKS = (
    "chat, completion, determinism, embedding, image, long_context, models, reasoning, structured_output, tool_call"
)


def test_every_entry_point_of_ours_loads_as_its_kind() -> None:
    for kind, cls in registry.KINDS.items():
        for name in registry.known(kind):
            assert issubclass(registry.load(kind, name, "here"), cls)


def test_a_plugin_by_its_place_is_found_in_the_current_folder(write: Callable[..., Path]) -> None:
    write("my_place_checks.py", CHECK.format("word"))
    assert list(registry.load("checks", "my_place_checks:Mine", "here").model_fields) == ["uses", "word"]
    assert registry.load("checks", "recipe_runner.checks.models:Models", "here") is Models


def test_a_plugin_beside_the_recipe_comes_first(write: Callable[..., Path], tmp_path: Path) -> None:
    text = "from beside_words import WORD\n" + CHECK.format("{}").replace("int = 1", "str = WORD")
    for folder in ("one", "other"):
        write(f"{folder}/beside_checks.py", text.format(folder))
        write(f"{folder}/beside_words.py", f"WORD = {folder!r}\n")
    write("beside_checks.py", CHECK.format("here"))
    before = sys.path.copy()
    one, other, again = (
        registry.load("checks", "beside_checks:Mine", "x", [tmp_path / name]) for name in ("one", "other", "one")
    )
    assert [one(uses="x").one, other(uses="x").other] == ["one", "other"]  # type: ignore[attr-defined]
    assert again is one
    assert sys.path == before
    assert not {"beside_checks", "beside_words"} & sys.modules.keys()
    here = registry.load("checks", "beside_checks:Mine", "x", [tmp_path / "none"])
    assert [*here.model_fields] == ["uses", "here"]


def test_a_module_of_a_package_beside_the_recipe(write: Callable[..., Path], tmp_path: Path) -> None:
    write("one/beside_package/checks.py", CHECK.format("inner"))
    found = registry.load("checks", "beside_package.checks:Mine", "x", [tmp_path / "one"])
    assert "inner" in found.model_fields


@pytest.mark.parametrize("module", ["../beside_secret", "..beside_secret", "one/../beside_secret"])
def test_a_module_is_no_path(module: str, write: Callable[..., Path], tmp_path: Path) -> None:
    write("beside_secret.py", CHECK.format("secret"))
    with pytest.raises(RecipeError, match="cannot be loaded"):
        registry.load("checks", f"{module}:Mine", "x", [tmp_path / "one"])


def test_a_broken_module_beside_the_recipe_is_told_each_time(write: Callable[..., Path], tmp_path: Path) -> None:
    write("one/beside_broken.py", "raise ValueError('broken at import')\n")
    for _ in range(2):
        with pytest.raises(RecipeError, match="cannot be loaded: ValueError: broken at import"):
            registry.load("checks", "beside_broken:Mine", "x", [tmp_path / "one"])


@pytest.mark.parametrize(
    ("uses", "told"),
    [
        ("xyz", f"there is no check xyz; choose one of: {CHECKS}"),
        ("compleion", f"there is no check compleion; did you mean completion? There are: {CHECKS}"),
        (None, f"`uses` is missing; name what it uses: {CHECKS}"),
        (3, f"`uses` is missing; name what it uses: {CHECKS}"),
        (
            "no_such_module:Check",
            "the check no_such_module:Check cannot be loaded: ModuleNotFoundError: No module named 'no_such_module' "
            "(looked for in recipes, my, the folder you are in, and where Python looks); "
            "correct the name, or the module",
        ),
        (
            "my_lacking_checks:Mine",
            "the check my_lacking_checks:Mine cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'; "
            "correct the name, or the module",
        ),
        (
            "recipe_runner.api:Chek",
            "there is no Chek in recipe_runner.api; did you mean Check? There are: Bench, Benchmark, Check, Engine, "
            "Located, Plugin, Report, Target",
        ),
        ("os:getcwd", "os:getcwd is not a Check; derive it from recipe_runner.api.Check"),
        (
            "recipe_runner.engines.sim:Sim",
            "recipe_runner.engines.sim:Sim is not a Check; derive it from recipe_runner.api.Check",
        ),
        (
            "my_broken_checks:Mine",
            "the check my_broken_checks:Mine cannot be loaded: ValueError: broken at import; "
            "correct the name, or the module",
        ),
    ],
)
def test_what_cannot_be_loaded_is_told_in_words(uses: object, told: str, write: Callable[..., Path]) -> None:
    write("my_broken_checks.py", "raise ValueError('broken at import')\n")
    write("my_lacking_checks.py", "import no_such_module\n")
    with pytest.raises(RecipeError) as error:
        registry.load("checks", uses, "validation.x", (Path("recipes"), Path(), Path("my")))
    assert str(error.value) == f"validation.x — {told}"


GOOD = (
    'from recipe_runner.api import Check\nclass Good(Check):\n    """All is well."""\n    def run(self, server): ...\n'
)
CURE = "mend or update their-package, or remove it: `pip uninstall their-package`"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (
            "no_such_module:Check",
            "the check theirs of their-package 1.0 cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            "theirs.lacking:Check",
            "the check theirs of their-package 1.0 cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_dependency'",
        ),
        ("theirs.raising:Check", "the check theirs of their-package 1.0 cannot be loaded: ValueError: at import"),
        ("theirs.ending:Check", "the check theirs of their-package 1.0 cannot be loaded: SystemExit: 3"),
        (
            "theirs.good:Missing",
            "the check theirs of their-package 1.0 cannot be loaded: "
            "AttributeError: module 'theirs.good' has no attribute 'Missing'",
        ),
        ("theirs.good", "theirs of their-package 1.0 is not a Check"),
        ("theirs.good:function", "theirs of their-package 1.0 is not a Check"),
        ("theirs.good:Report", "theirs of their-package 1.0 is not a Check"),
        ("theirs.good:Lazy", "theirs of their-package 1.0 has no run(self, server)"),
        ("theirs.good:Old", "theirs of their-package 1.0 has no run(self, server)"),
        ("theirs.good:Odd", "theirs of their-package 1.0 has no run(self, server)"),
    ],
)
def test_what_is_wrong_with_an_installed_plugin_names_its_package(
    place: str, told: str, package: Callable[..., Path]
) -> None:
    more = (
        "from typing import ClassVar\n"
        "from recipe_runner.api import Report\n"
        "def function(): ...\n"
        "class Lazy(Check): ...\n"
        "class Old(Check):\n    def run(self): ...\n"
        "class Odd(Check):\n    run: ClassVar = 3\n"
    )
    package(
        "their-package",
        {"checks": [f"theirs = {place}", "fine = theirs.good:Good"]},
        {
            "theirs/__init__.py": "",
            "theirs/good.py": GOOD + more,
            "theirs/lacking.py": "import no_such_dependency\n",
            "theirs/raising.py": "raise ValueError('at import')\n",
            "theirs/ending.py": "raise SystemExit(3)\n",
        },
    )
    with pytest.raises(RecipeError) as error:
        registry.load("checks", "theirs", "validation.x")
    assert str(error.value) == f"validation.x — {told}; {CURE}"
    assert registry.load("checks", "fine", "validation.x").__name__ == "Good"
    assert registry.load("checks", "models", "validation.x") is Models


def test_a_class_by_its_place_that_does_nothing_says_what_to_write(write: Callable[..., Path]) -> None:
    write("my_lazy_checks.py", CHECK.replace("def run", "def runs").format("word"))
    with pytest.raises(RecipeError) as error:
        registry.load("checks", "my_lazy_checks:Mine", "validation.x")
    told = "my_lazy_checks:Mine has no run(self, server); write it as recipe_runner.api.Check has it"
    assert str(error.value) == f"validation.x — {told}"


def test_two_of_one_name_are_an_error_that_names_both(package: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        package(f"{name}-package", {"checks": [f"brief = {name}_checks:Good"]}, {f"{name}_checks.py": GOOD})
    package("third-package", {"checks": ["chat = third_checks:Good"]}, {"third_checks.py": GOOD})
    with pytest.raises(RecipeError) as error:
        registry.load("checks", "brief", "validation.x")
    assert str(error.value) == (
        "validation.x — there are 2 checks brief: of one-package 1.0 and of two-package 1.0; "
        "uninstall all but one, or name the class that you mean: one_checks:Good or two_checks:Good"
    )
    with pytest.raises(RecipeError, match=r"there are 2 checks chat: of recipe-runner and of third-package 1\.0; "):
        registry.load("checks", "chat", "validation.x")
    assert registry.load("checks", "two_checks:Good", "validation.x").__name__ == "Good"
    assert registry.load("checks", "models", "validation.x") is Models
