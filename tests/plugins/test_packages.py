"""Folders that packages bring: found, told apart from others, trusted, and no danger to anything else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.composition.yamlfile import read
from recipe_runner.plugins import installed, packages
from tests.conftest import Answer
from tests.nvml import Nvml, gpu
from tests.running import run_here

LAB = "# Two of the lab's own\naccelerator: Own\ncount: 2\nmemory_gib: 500\n"
RECIPE = "summary: Theirs\ndefaults: [internvl3, _self_]\nserve: {middleware: [theirs.middleware]}\n"


@pytest.fixture
def theirs(package: Callable[..., Path]) -> Callable[..., Path]:
    def theirs(name: str, **files: str) -> Path:
        inside = {f"{name}_x/data/{file.replace('__', '/')}.yaml": text for file, text in files.items()}
        site = package(f"{name}-package", {"folders": [f"{name} = {name}_x.data"]}, inside)
        return site / f"{name}_x" / "data"

    return theirs


def test_what_a_package_brings_is_there(cli: Callable[..., Answer], theirs: Callable[..., Path]) -> None:
    folder = theirs("one", recipes__their_own=RECIPE, hardware__lab=LAB)
    for what, name, summary in (("recipes", "their_own", "Theirs"), ("hardware", "lab", "Two of the lab's own")):
        (row,) = [row for row in json.loads(cli("list", what, "--json").page)[what] if row["name"] == name]
        assert (row["origin"], row["summary"]) == ("one-package 1.0", summary)
    page = cli("plan", "recipe=their_own", "hardware=lab").page
    assert page.startswith("# their_own on lab (2 × Own)\n")
    assert "--middleware theirs.middleware" in page  # a package is installed, so its word counts
    assert cli("plan", f"recipe={folder}/recipes/their_own.yaml", "hardware=lab").page == page


def test_a_persons_own_come_before(
    cli: Callable[..., Answer], theirs: Callable[..., Path], recipe: Callable[..., Path], write: Callable[..., Path]
) -> None:
    for name in ("one", "two"):
        theirs(name, recipes__internvl3="summary: Theirs\nmodel: {id: their/model}\n", hardware__a100x2=LAB)
    write("my/hardware/a100x2.yaml", LAB.replace("Own", "Mine"))
    recipe("summary: Mine\nmodel: {id: my/model}\n", "internvl3")
    answer = cli("show", "internvl3", "hardware=a100x2", "--config-dir", "my")
    assert answer.page.startswith("internvl3 — Mine\n")


def test_two_of_one_name_are_an_error_that_names_both(
    cli: Callable[..., Answer], theirs: Callable[..., Path], recipe: Callable[..., Path]
) -> None:
    more = "# More\nm: {uses: models}\n"
    theirs("one", recipes__internvl3="summary: Theirs\nmodel: {id: their/model}\n", hardware__lab=LAB)
    theirs("two", hardware__lab=LAB, validation__more=more)
    theirs("three", validation__more=more)
    twice = "there are 2 of the name internvl3: of recipe-runner and of one-package 1.0"
    cure = "uninstall all but one, or name a file: recipe=FILE.yaml"
    assert cli("plan", "recipe=internvl3", "hardware=a100x2").refusal == [f"recipe — {twice}; {cure}"]
    recipe("summary: Heir\ndefaults: [internvl3, _self_]\n", "heir")
    assert cli("plan", "recipe=heir", "hardware=a100x2").refusal == [f"recipes/heir.yaml:2 — {twice}; {cure}"]
    assert cli("plan", "recipe=qwen3-8b", "hardware=lab", "validation=more").refusal == [
        "validation — there are 2 of the name more: of three-package 1.0 and of two-package 1.0; uninstall all but one",
        "hardware — there are 2 of the name lab: of one-package 1.0 and of two-package 1.0; uninstall all but one",
    ]
    rows = {row["name"]: row for row in json.loads(cli("list", "recipes", "--json").page)["recipes"]}
    assert rows["internvl3"]["remark"] == twice
    assert cli("plan", "recipe=qwen3-8b", "hardware=h200x1").code == 0


def test_what_is_wrong_in_a_package_harms_only_who_chooses_it(
    cli: Callable[..., Answer], theirs: Callable[..., Path], nvml: Nvml
) -> None:
    folder = theirs(
        "one",
        recipes__broken="summary: {\n",
        hardware__broken="count: {\n",
        hardware__rude="# @package _global_\ncount: 1\n",
        engine__broken="uses: [\n",
    )
    assert cli("list").code == 0
    assert cli("plan", "recipe=internvl3", "hardware=a100x2").code == 0
    (told,) = cli("plan", "recipe=internvl3", "hardware=rude").refusal
    assert told.startswith(f"{folder.relative_to(Path.cwd())}/hardware/rude.yaml:1 — a header would set keys of other")
    told = cli("plan", "recipe=internvl3", "hardware=broken").refusal[0]
    assert told.startswith(f"{folder.relative_to(Path.cwd())}/hardware/broken.yaml:")
    nvml.has(gpu(), gpu())
    assert cli("plan", "recipe=internvl3").stdout.startswith("# internvl3 on a100x2 ")


@pytest.mark.parametrize("place", ["no_such_package", "one_x.no_such_folder", "json.decoder", "..", "one_x:C"])
def test_a_folder_that_is_not_there_is_told(place: str, package: Callable[..., Path]) -> None:
    package("one-package", {"folders": [f"one = {place}"]}, {"one_x.py": ""})
    assert packages.folders() == {}
    (fault,) = packages.missing()
    assert str(fault) == (
        f"one-package 1.0 — its folder {place} is not there; "
        "mend or update one-package, or remove it: `pip uninstall one-package`"
    )


THEIR_CHECK = """
from recipe_runner.api import Check, passed
class Theirs(Check):
    def run(self, server):
        return passed()
"""
SIM = ("engine=sim", "serve.port=0", "benchmark=none", "timeouts.stop_s=1")


def test_a_run_says_which_packages_took_part(
    package: Callable[..., Path], theirs: Callable[..., Path], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    package("with-check", {"checks": ["theirs = their_check:Theirs"]}, {"their_check.py": THEIR_CHECK})
    theirs("with_lab", hardware__lab=LAB)
    theirs("unused", hardware__other=LAB)
    block = "validation: {mine: {uses: theirs}, by_place: {uses: 'their_check:Theirs'}}\n"
    recipe("summary: Mine\ndefaults: [internvl3, _self_]\n" + block, "mine")
    code, run = run_here(tmp_path, "recipe=mine", "hardware=lab", *SIM, "~validation.capital")
    assert code == 0
    assert run.report["environment"]["packages"] == ["with-check 1.0", "with_lab-package 1.0"]

    lock = next(tmp_path.glob("runs/mine/lab/*/recipe.lock.yaml"))
    assert read(lock)[0]["lock"]["environment"]["packages"] == ["with-check 1.0", "with_lab-package 1.0"]
    (info,) = tmp_path.glob("site-with-check/*.dist-info")
    (info / "METADATA").write_text("Name: with-check\nVersion: 2.0\n")
    installed.groups.cache_clear()
    packages.folders.cache_clear()
    run_here(tmp_path, "--trust", f"recipe={lock.relative_to(tmp_path)}", "report.folder=again")
    was, here = ("with-check 1.0, with_lab-package 1.0", "with-check 2.0, with_lab-package 1.0")
    told = f"the packages in use was {was}, here is {here}"
    (report,) = tmp_path.glob("again/*/*/*/report.json")
    assert told in json.loads(report.read_text())["warnings"]
