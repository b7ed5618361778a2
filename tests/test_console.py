"""The live view on a pseudo-terminal."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import DOWN, LIMIT_S, SMALL, Folder, fake, until

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """recipe-run with a terminal of its own, as its standard error and the one that controls it."""

    def __init__(self, folder: Path, *words: str, controls: bool = True, **env: str) -> None:
        self.keyboard, self.side = pty.openpty()
        self.before = termios.tcgetattr(self.side)
        self.seen = ""
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "recipe_runner", *words],
            cwd=folder,
            stdin=self.side,
            stdout=subprocess.DEVNULL,
            stderr=self.side,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **env},
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controls else None,
        )
        os.set_blocking(self.keyboard, False)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()
        os.close(self.keyboard)
        os.close(self.side)

    def look(self) -> str:
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.keyboard, 65536):
                self.seen += part.decode()
        return self.seen

    def wait(self) -> int:
        until(lambda: (self.look(), self.popen.poll())[1] is not None, "end")
        self.look()
        return self.popen.wait(LIMIT_S)

    @property
    def text(self) -> str:
        """What was shown, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Folder]:
    yield Folder(tmp_path)
    Folder(tmp_path).assert_nothing_left()


def test_a_live_view_while_it_runs_and_lines_that_stay(tmp_path: Path, left: Folder) -> None:
    with Terminal(tmp_path, *SMALL, *fake("deaf")) as terminal:
        until(lambda: "INFO loading weights" in terminal.look(), "last line of the log")
        os.kill(left.pids()[0], signal.SIGKILL)
        assert terminal.wait() == 3
        assert termios.tcgetattr(terminal.side) == terminal.before
    assert re.search(r"waiting until it is ready  \d+ s of at most 180 s  \(all: \d+ s\)", terminal.text)
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) == 1
    assert f"small on cpu, into {left.report['folder']}" in terminal.text
    after = terminal.seen[terminal.seen.index(SHOW) :]
    assert "server — the server was killed by signal 9; see" in after


def test_ctrl_c_on_the_terminal_reaches_only_us(tmp_path: Path, left: Folder) -> None:
    with Terminal(tmp_path, *SMALL, *fake("bench-hangs")) as terminal:
        until(lambda: "INFO measuring" in terminal.look() and (tmp_path / "in-bench").exists(), "benchmark")
        assert "benchmarks load  0 s" in terminal.text
        os.write(terminal.keyboard, b"\x03")
        assert terminal.wait() == 130
        assert termios.tcgetattr(terminal.side) == terminal.before
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) == 1
    assert left.report["verdict"] == "interrupted"
    assert "passed      capital  'The capital of France is Paris.'" in terminal.text


def test_a_lost_terminal_ends_the_run(tmp_path: Path, left: Folder) -> None:
    """It takes the controlling terminal away; what is written from then on is an error."""
    terminal = Terminal(tmp_path, *SMALL, *fake("deaf"))
    with terminal:
        until(lambda: terminal.look() and (tmp_path / "waited").exists(), "server")
        os.close(terminal.side)
        os.close(terminal.keyboard)
        terminal.keyboard, terminal.side = pty.openpty()
        assert terminal.popen.wait(LIMIT_S) == 130
    assert left.report["verdict"] == "interrupted"
    assert left.report["teardown"] == DOWN


def test_a_lost_terminal_that_controls_nothing_is_no_matter(tmp_path: Path, left: Folder) -> None:
    """No SIGHUP comes; every write is an error from then on."""
    terminal = Terminal(tmp_path, *SMALL, *fake(), "benchmark=none", controls=False)
    with terminal:
        until(lambda: HIDE in terminal.look(), "live view")
        os.close(terminal.side)
        os.close(terminal.keyboard)
        terminal.keyboard, terminal.side = pty.openpty()
        assert terminal.popen.wait(LIMIT_S) == 0
    assert left.report["verdict"] == "passed"
    assert left.report["teardown"] == DOWN


@pytest.mark.parametrize("size", [(50, 200), (3, 12), (1, 1), (0, 0)])
def test_a_terminal_that_changes_its_size(tmp_path: Path, left: Folder, size: tuple[int, int]) -> None:
    with Terminal(tmp_path, *SMALL, *fake("deaf"), COLUMNS="", LINES="") as terminal:
        until(lambda: "INFO loading" in terminal.look(), "last line of the log")
        fcntl.ioctl(terminal.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        os.kill(terminal.popen.pid, signal.SIGWINCH)
        seen = len(terminal.seen)
        until(lambda: len(terminal.look()) > seen + 100, "view of the new size")
        os.write(terminal.keyboard, b"\x03")
        assert terminal.wait() == 130
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) == 1
    assert left.report["verdict"] == "interrupted"
    assert "Traceback" not in terminal.text


def test_a_terminal_one_character_wide(tmp_path: Path, left: Folder) -> None:
    with Terminal(tmp_path, *SMALL, *fake(), "benchmark=none", COLUMNS="1", LINES="1") as terminal:
        assert terminal.wait() == 0
    assert "'The capital of France is Paris.'" in terminal.text


def test_no_colour_where_none_is_wanted(tmp_path: Path, left: Folder) -> None:
    with Terminal(tmp_path, *SMALL, *fake(), "benchmark=none", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
    assert "passed      capital" in terminal.text
    assert re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", terminal.seen) is None


def test_what_a_server_logs_does_not_steer_the_terminal(tmp_path: Path, left: Folder) -> None:
    server = tmp_path / "server.py"
    logged = b"\x1b[2J\x1b]0;title\x07\xff\xe2\x80\xae" + b"x" * 2_000_000 + b"the end\n"
    server.write_text(f"import sys, time\nsys.stdout.buffer.write({logged!r})\nsys.stdout.flush()\ntime.sleep(60)\n")
    words = ("engine=vllm", f"engine.command='{sys.executable} {server}'")
    with Terminal(tmp_path, *SMALL, *words) as terminal:
        until(lambda: "xxx" in terminal.look(), "last line of the log")
        os.write(terminal.keyboard, b"\x03")
        assert terminal.wait() == 130
    assert "\x1b[2J" not in terminal.seen
    assert "title" not in terminal.seen
    assert "\u202e" not in terminal.seen


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, left: Folder) -> None:
    with Terminal(tmp_path, *SMALL, "engine=sim", "benchmark=none", TERM="dumb") as terminal:
        assert terminal.wait() == 0
    assert HIDE not in terminal.seen
    assert re.search(r"^ +\d+\.\d s  waiting until it is ready\r$", terminal.text, re.MULTILINE)
