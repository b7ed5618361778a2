"""Pages of the documentation, done as a person would do them.

A block of `console` or `bash` is run as it stands, in a folder of its own for each page, in which earlier blocks with a
`title="FILE"` are files. A comment before a block says otherwise: `<!-- not run: why -->`, `<!-- run by WHAT -->`,
`<!-- exits 2 -->`, `<!-- in the background -->`. A line `…` stands for any lines.
"""

import contextlib
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recipe_runner.facts import free_port

FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<lang>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.M | re.S,
)
PORT = "8765"  # stands for a free one
READERS = ("plan", "list", "show", "compare", "record", "validate", "--help", "--version")
SAME = (  # what differs from run to run and from machine to machine
    (r"\s*\d+\.\d s\b", " # s"),
    (r"\d{8}T\d{6}Z-[0-9a-f]+", "ID"),
    (r"\S+/bin/vllm", "vllm"),
    (r"\S+/recipes/assets", "recipes/assets"),
    (r"[ \t]+$", ""),
)


class Block(NamedTuple):
    """A fenced block: what stands before it, its language, the file that it is, its text."""

    mark: str
    lang: str
    title: str
    body: str


def blocks(page: Path) -> list[Block]:
    return [Block(*(text or "" for text in found)) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command with the output that is shown for it."""
    if block.lang == "bash":
        lines = block.body.replace("\\\n", " ").splitlines()
        yield from ((line, "") for line in lines if line.strip())
        return
    for part in re.split(r"^\$ ", block.body, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class Session:
    """A person at a shell with one page before them."""

    def __init__(self, cli: Callable[..., Any], folder: Path) -> None:
        self.cli, self.folder, self.port = cli, folder, str(free_port())
        self.background: list[subprocess.Popen[bytes]] = []

    def do(self, block: Block) -> None:
        if block.title and not block.title.startswith("~"):
            file = self.folder / block.title
            assert file.resolve().is_relative_to(self.folder.resolve()), f"{block.title} is outside the page's folder"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body, encoding="utf-8")
        elif block.lang in ("console", "bash") and not block.mark.startswith(("not run: ", "run by ")):
            for command, shown in commands(block):
                self.type(command, shown, block.mark)

    def type(self, command: str, shown: str, mark: str) -> None:
        program, *words = shlex.split(command.replace(PORT, self.port), comments=True)
        assert program == "recipe-run", f"{command!r}: say before the block why it is not run"
        if mark == "in the background":
            same(self.start(words, shown.count("\n")), shown)
            return
        code, printed = self.run(words)
        assert code == int(mark.removeprefix("exits ") or 0), f"{command}\n{printed}"
        if shown:
            same(printed.replace(self.port, PORT), shown)

    def run(self, words: list[str]) -> tuple[int, str]:
        if words[0] in READERS and "--config-dir" not in words and not list(self.folder.glob("*.py")):
            answer = self.cli(*words)
            return answer.code, answer.stderr + answer.stdout
        simulated = any(word in ("engine=sim", "engine=attach", "--resume") for word in words)
        assert words[0] in READERS or simulated, f"{words}: say before the block why it is not run"
        argv = [sys.executable, "-m", "recipe_runner", *words]
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True, check=False
        )
        return done.returncode, done.stdout

    def start(self, words: list[str], lines: int) -> str:
        """Start a command, and wait until it has printed so many lines."""
        log = self.folder / "background.log"
        with log.open("wb") as out:
            argv = [sys.executable, "-m", "recipe_runner", *words]
            self.background.append(subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT))
        deadline = time.monotonic() + 30
        while len(printed := log.read_text().splitlines(keepends=True)) < lines and time.monotonic() < deadline:
            time.sleep(0.05)
        return "".join(printed[:lines]).replace(self.port, PORT)

    def leave(self) -> None:
        for process in self.background:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def same(printed: str, shown: str) -> None:
    for pattern, instead in SAME:
        printed = re.sub(pattern, instead, printed, flags=re.M)
        shown = re.sub(pattern, instead, shown, flags=re.M)
    if "…\n" not in shown:
        assert printed.strip() == shown.strip()
        return
    wanted = "".join(r"(?:.*\n)*?" if line == "…\n" else re.escape(line) for line in shown.splitlines(keepends=True))
    if not re.fullmatch(wanted, printed.rstrip() + "\n"):
        assert printed == shown  # to see how they differ
