"""The runs that README.md, index.md and first-run.md show, on real vLLM: each is done, and prints what is shown."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import start
from tests.pages import Block, blocks, commands, same

ROOT = Path(__file__).parents[2]
MARK = f"run by {Path(__file__).relative_to(ROOT)}"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-run.md"
OTHERS = (ROOT / "README.md", ROOT / "docs" / "index.md")
printed: dict[str, str] = {}  # by command, so that what two pages show is run once


def marked(page: Path) -> Iterator[Block]:
    return (block for block in blocks(page) if block.mark == MARK)


def plain(text: str) -> str:
    """Without what is measured, and however wide it made a table."""
    text = re.sub(r"[━─]+", "─", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\b[\d,]+\.?\d*(?= │| tok/s| ms\b| s\b|;)", "#", text))


def run(folder: Path, command: str, code: int) -> str:
    if command not in printed:
        program, *words = shlex.split(command)
        assert Path(program).name == "recipe-run"
        started = start(folder / f"run{len(printed)}", *words, "serve.port=0")
        assert started.end() == code, started.told
        printed[command] = started.told + (started.folder / "stdout").read_text()
    return printed[command]


@pytest.mark.parametrize("page", [TUTORIAL, *OTHERS], ids=lambda page: page.name)
def test_what_is_shown_is_what_happens(page: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tutorial")
    files = [block for block in blocks(page) if block.title.startswith("recipes/")]
    seen = 0
    for block in marked(page):
        for command, shown in commands(block):
            code = 1 if "London" in command else 0
            command = command.replace(".venv/bin/", "")
            for file in files:  # those that the page has its reader write
                place = folder / f"run{len(printed)}" / file.title
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(file.body)
            same(plain(run(folder, command, code)), plain(shown))
            seen += 1
    assert seen
