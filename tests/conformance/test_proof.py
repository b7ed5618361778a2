"""Plugins with a fault are found out, each by the tests that are there for it, and it is told why."""

import importlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.pages import blocks, commands

ROOT = Path(__file__).parents[2]
FAULTY = ROOT / "tests" / "data" / "faulty_plugins.py"


def test_each_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(FAULTY, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    proofs = {name: proof for name, proof in vars(importlib.import_module(FAULTY.stem)).items() if name[:4] == "Test"}
    nodes = [f"::{name}::{test}" for name, proof in proofs.items() for test in proof.found] + [
        "::TestSays",
        "::TestForgotten",
    ]
    words = [*(f"{FAULTY.name}{node}" for node in nodes), "-q", "--junitxml=found.xml", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    assert "proven      check faulty_plugins:Says" in done.stdout.splitlines()
    assert "not proven  check faulty_plugins:Thread: 1 of 1 tests did not pass" in done.stdout.splitlines()
    assert "not proven  check of TestForgotten: 1 of 1 tests did not pass" in done.stdout.splitlines()
    told: dict[str, dict[str, str]] = {name: {} for name in proofs}
    for case in ET.parse(tmp_path / "found.xml").iter("testcase"):
        for failure in case.iter("failure"):
            test = case.get("name", "").partition("[")[0]
            told[case.get("classname", "").rpartition(".")[2]][test] = failure.text or ""
    for name, proof in proofs.items():
        assert told[name].keys() == dict(proof.found).keys(), (name, done.stdout)
        assert all(why in told[name][test] for test, why in dict(proof.found).items()), (name, told[name])


def test_the_page_says_what_happens(tmp_path: Path) -> None:
    page = blocks(ROOT / "docs" / "how-to" / "prove-a-plugin.md")
    for block in page:
        if block.title:
            (tmp_path / block.title).write_text(block.body, encoding="utf-8")
    ((command, shown),) = (each for block in page if block.lang == "console" for each in commands(block))
    assert command == "pytest"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"\d+ passed", done.stdout)
    assert passed in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("proven ")]
    assert line in done.stdout.splitlines()


def test_pytest_loads_next_to_nothing_of_us_by_itself() -> None:
    heavy = {"pydantic", "hydra", "httpx", "psutil", "yaml", "recipe_runner.api"}
    program = f"import sys; import recipe_runner.conformance.plugin; assert not {heavy} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", program], check=True)
