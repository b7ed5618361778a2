"""A newcomer's three walks: a recipe, a check, a hardware profile, by what the pages say and nothing else."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Answer
from tests.pages import Block, Session, blocks, commands

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
WALKS = {  # the page, and the part of it that is the walk
    "a recipe": ("add-a-recipe.md", "## Write one", "## How values become flags"),
    "a check": ("add-a-check.md", "# Add a check", "Fields are checked before"),
    "a hardware profile": ("add-a-hardware-profile.md", "## Write it", "What is wrong in the file"),
}
MOST_COMMANDS, MOST_FILES, MOST_LINES = 5, 3, 10


def part(name: str, tmp_path: Path) -> list[Block]:
    """The blocks of a walk, which another page could not add to."""
    page, begin, end = WALKS[name]
    text = (HOW_TO / page).read_text(encoding="utf-8")
    cut = tmp_path / "part.md"
    cut.write_text(text[text.index(begin) : text.index(end)], encoding="utf-8")
    found = blocks(cut)
    cut.unlink()
    return found


def package() -> dict[Path, int]:
    folders = (ROOT / name for name in ("recipe_runner", "conf", "recipes"))
    files = (file for folder in folders for file in folder.rglob("*") if "__pycache__" not in file.parts)
    return {file: file.stat().st_mtime_ns for file in files}


@pytest.mark.parametrize("name", WALKS)
def test_a_newcomer_gets_there(
    name: str, cli: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk, before, session = part(name, tmp_path), package(), Session(cli, tmp_path)
    start = time.perf_counter()
    for block in walk:
        session.do(block)
    seconds = time.perf_counter() - start
    session.leave()
    typed = [command for block in walk if not block.title for command, _ in commands(block)]
    files = [block.title for block in walk if block.title]
    with capsys.disabled():
        print(f"\n{name}: {len(typed)} commands, {len(files)} files, {seconds:.1f} s")
    assert 0 < len(typed) <= MOST_COMMANDS
    assert 0 < len(files) <= MOST_FILES
    assert not any(block.mark.startswith(("not run", "run by")) for block in walk)
    assert package() == before


def test_a_check_takes_ten_lines(tmp_path: Path) -> None:
    (code,) = (block.body for block in part("a check", tmp_path) if block.lang == "python")
    lines = [line for line in re.sub(r'"""[^"]*"""', "", code).splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES


TURNS = yaml.safe_load((ROOT / "tests" / "data" / "wrong_turns.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "turn", [pytest.param(turn, id=f"{walk}: {name}") for walk, turns in TURNS.items() for name, turn in turns.items()]
)
def test_a_wrong_turn_is_told_with_its_cure(
    turn: dict[str, Any], write: Callable[..., Path], cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "my_checks", raising=False)  # another test's
    for name, text in turn["files"].items():
        write(name, text)
    answer = cli("plan", *turn["words"].split())
    assert (answer.code, answer.stderr) == (2, f"recipe-run: {turn['told']}\n")


def test_each_walk_has_wrong_turns() -> None:
    assert set(TURNS) == set(WALKS)
