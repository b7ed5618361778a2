"""What models and servers may say: no text of theirs ends a run, fills the memory, or steers a terminal."""

import ast
import contextlib
import datetime
import io
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner import closing, report
from recipe_runner import folder as folder_module
from recipe_runner.serving.serverlog import last_line, logged_memory, telling_lines
from tests.running import DATA, SMALL, run_here

PACKAGE = Path(__file__).parents[1] / "recipe_runner"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = {
    "control characters": "Paris\x00\x07\x1b[2J\x1b]0;title\x07\x9b31m\x7f",
    "lines": "Paris\r\n\u2028\x85\x0b\x0cEND",
    "bidi": "Paris \u202e\u2066siraP\u2069",
    "half a character": "Paris \ud83d",
    "not a character": "Paris \ufffe\U0010ffff\ufeff",
    "one long line": "Paris" + "x" * 1_000_000,
    "emoji, markup": "Paris :smile: [red]x[/red] [link=file:///x]y[/link] {}%s%n 🗼👩‍👩‍👧 ﷽",
}


class Saying(BaseHTTPRequestHandler):
    """A server that always says the same."""

    text = ""

    def do_GET(self) -> None:
        body = {"data": [{"id": "test/small"}], "version": self.text}
        self.answer(json.dumps(body).encode(), "application/json")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = {"delta": {"content": self.text}} if "messages" in asked else {"text": self.text}
        event = json.dumps({"choices": [{**said, "finish_reason": "stop"}]})
        self.answer(f"data: {event}\n\n".encode(), "text/event-stream")

    def answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def saying(text: str) -> Iterator[str]:
    handler = type("Handler", (Saying,), {"text": text})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()
            thread.join()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_model_says_is_only_text(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with saying(text) as url:
        words = ("engine=attach", f"engine.url={url}", "engine.command=/no/vllm", "benchmark=none")
        code, folder = run_here(tmp_path, SMALL[0], *words)
        out, err = capsys.readouterr()
    assert code == 1, err
    assert folder.verdicts == {"capital": "passed", "another": "failed"}
    for told in (out, err, *(path.read_text("utf-8") for path in folder.run.iterdir())):
        assert STEERING.search(told) is None
        assert len(told) < 50_000
    assert folder.events[-1]["verdict"] == "failed"


def test_what_files_are_called_is_only_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b\x07\x9b31m\nforged \u202e"
    folder = tmp_path / "recipes" / name
    shutil.copytree(DATA / "small", folder / "small")
    shutil.copy(DATA / "small.yaml", folder / f"{name}.yaml")
    recipe = f"recipe='recipes/{name}/{name}.yaml'"
    words = ("hardware=cpu", "engine=sim", "serve.port=0", "benchmark=none")
    codes = [run_here(tmp_path, verb, recipe, *words)[0] for verb in ("run", "plan")]
    codes.append(run_here(tmp_path, "show", recipe.removeprefix("recipe="), *words[:1])[0])
    codes.append(run_here(tmp_path, "validate", f"recipes/{name}/{name}.yaml")[0])
    run = next(path.parent for path in tmp_path.glob("runs/*/*/*/report.json"))
    codes.append(run_here(tmp_path, "record", str(run))[0])
    codes.append(run_here(tmp_path, "-m", recipe, *words, "timeouts.stop_s=1,2", "report.folder=swept")[0])
    (tmp_path / "swept").rename(tmp_path / name)
    codes.append(run_here(tmp_path, "-m", "--resume", str(next(tmp_path.glob(f"{name}/sweeps/*"))))[0])
    told = "\n".join(capsys.readouterr())
    assert codes == [0, 0, 0, 0, 2, 0, 0], told
    assert STEERING.search(told) is None
    assert not [line for line in told.splitlines() if line.startswith("forged")]


LOGGED = (
    b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x00\n"
    + b"\xff\xfe\xed\xa0\xbd\n"
    + "\u202ebidi\u2069\n".encode()
    + b"y" * (1 << 20)
    + b"\n"
    + b"ValueError: \x1b[2J\xff\xe2\x80\xae"
    + b"x" * 100_000
    + b"\n"
)


def test_what_a_server_logs_is_only_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = tmp_path / "server.py"
    server.write_text(f"import sys\nsys.stdout.buffer.write({LOGGED!r})\nsys.exit(7)\n")
    code, folder = run_here(tmp_path, *SMALL, "engine=vllm", f"engine.command='{sys.executable} {server}'")
    out, err = capsys.readouterr()
    assert code == 3
    folder.assert_nothing_left()
    (line,) = folder.report["log_excerpt"]
    assert line.startswith("ValueError: [2J")
    assert (folder.run / "server.log").read_bytes() == LOGGED
    for told in (out, err, *(path.read_text("utf-8") for path in folder.run.glob("*.[jm]*"))):
        assert STEERING.search(told) is None
        assert len(told) < 50_000


@pytest.mark.parametrize("line", [b"end", b"\xff\xfe\x00end", b"x" * 10_000_000 + b"end", b"\n" * 1000 + b"end"])
def test_a_log_of_any_size_is_looked_at_in_no_time(tmp_path: Path, line: bytes) -> None:
    """It would take minutes and all the memory to read this one."""
    log = tmp_path / "server.log"
    with log.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line)
    before = psutil.Process().memory_info().rss
    assert all(len(text) <= 300 for text in (last_line(log), *telling_lines(log)))
    assert logged_memory(log) == {}
    assert psutil.Process().memory_info().rss - before < 256 << 20


def test_a_server_that_logs_at_full_speed_is_ended(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text("import sys\nwhile True:\n    sys.stdout.write('x' * 99 + '\\n')\n")
    words = ("engine=vllm", f"engine.command='{sys.executable} {server}'", "report.max_log_mib=8")
    code, folder = run_here(tmp_path, *SMALL, *words)
    assert code == 3
    folder.assert_nothing_left()
    assert folder.report["errors"][0]["what"] == "server.log grew larger than 8 MiB"
    assert (folder.run / "server.log").stat().st_size < 4096 << 20


def test_durations_do_not_follow_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set back by an hour whenever somebody looks."""
    looked = 0

    def jumping() -> float:
        nonlocal looked
        looked += 1
        return 1e9 - 3600 * looked

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Jumping":
            return cls.fromtimestamp(jumping(), tz)

    real_s = time.monotonic()
    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(report, "datetime", Jumping)
    monkeypatch.setattr(folder_module, "datetime", Jumping)
    code, folder = run_here(tmp_path, *SMALL, "engine=sim", "benchmark=none")
    real_s = time.monotonic() - real_s
    assert code == 0
    assert looked > 10
    seconds = [part["seconds"] for part in (*folder.report["phases"], *folder.report["checks"])]
    assert all(0 <= value <= real_s for value in seconds)
    moments = [datetime.datetime.fromisoformat(event["at"]) for event in folder.events]
    assert moments == sorted(moments, reverse=True)
    assert {moment.utcoffset() for moment in moments} == {datetime.timedelta(0)}


TIMES = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today")
WALL = {
    "report.py": "time stamps",
    "folder.py": "time stamps",
    "sweep.py": "time stamps",
    "model/hub.py": "the age of a file",
    "model/fetch.py": "the age of a file",
    "host/orphans.py": "the age of a file",
    "engines/": "what a server says of itself",
}


def test_the_time_of_day_is_asked_for_nothing_but_time_stamps() -> None:
    for file in PACKAGE.rglob("*.py"):
        where = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "time.time",
                "datetime.now",
                "datetime.utcnow",
            ):
                assert where.startswith(tuple(WALL)), f"{where}:{node.lineno} takes the time of day"


def test_words_of_our_own_are_said_in_ascii_where_there_is_nothing_else() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    closing.of_run(
        {
            **{"verdict": "passed", "folder": "runs/→", "expected": {}, "phases": [], "checks": [], "benchmarks": []},
            "teardown": {"processes_left": 0, "port_free": True},
        },
        stream,
    )
    assert raw.getvalue() == b"passed in 0.0 s; 0 processes left; runs/\\u2192\n"
