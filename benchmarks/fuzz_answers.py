"""A server that answers anything, and a look at what a run against it left behind, for `fuzz.py`."""

import gzip
import json
import random
import re
import shutil
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import fuzz_input
from markdown_it import MarkdownIt

from recipe_runner.serialize import UNSAFE

MODEL = "m"
RECIPE = """\
model: {id: m}
validation:
  models: {uses: models}
  completion: {uses: completion, prompt: Hello, expect: {contains: Paris}}
  chat: {uses: chat, prompt: Hello, expect: {regex: "P(a|r)*is", max_latency_s: 9}}
  image: {uses: image, image: assets/white.png, prompt: What?, expect: {not_empty: true}}
"""
# fmt: off
TEXTS = (
    "Paris", "", "\x1b[2J\x1b]0;evil\x07", "\u202esirap", "<script>alert(1)</script>", "[a](javascript:alert(1))",
    "a | b | c", "![x](https://example.org/x.png)", "# heading", "\n\n# heading\n\n- item", "`code` **bold** _em_",
    "https://example.org", "www.example.org", "<https://example.org>", "&lt;b&gt;", "\u2028\u2029\x85", "\ud83d",
    "🦜" * 200, "x" * 100_000, "\0", "```\nfence", "| --- |", "\\", "\\|", "|\\", "<!--", "a\r\nb", "~~x~~", "$x$",
    "1. x", "+ x", "===", "---", "{}", "null",
)
# fmt: on
BLOCKS = {"html_block", "heading_open", "bullet_list_open", "ordered_list_open", "hr", "blockquote_open", "fence"}
PAGE = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = {"html_inline", "link_open", "image", "code_inline", "em_open", "s_open", "hardbreak"}


@dataclass
class Script:
    """What is answered, by path; raw bytes of whole responses."""

    answers: dict[str, bytes]

    def shown(self) -> dict[str, str]:
        return {path: repr(data[:2000]) for path, data in self.answers.items()}


def script(rng: random.Random) -> Script:
    model = MODEL if rng.random() < 0.9 else rng.choice(TEXTS)
    text = rng.choice(TEXTS)
    good: dict[str, Any] = {
        "/health": {},
        "/version": {"version": rng.choice(("0.32.0", text))},
        "/v1/models": {"object": "list", "data": [{"id": model}]},
        "/v1/completions": {"choices": [{"text": text, "index": 0}], "usage": {"completion_tokens": 3}},
        "/v1/chat/completions": {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": None},
        "/metrics": {},
        "/tokenize": {"tokens": [1, 2]},
    }
    spoiled = {path for path in good if rng.random() < (0.15 if path in ("/health", "/v1/models") else 0.5)}
    return Script({path: _response(rng, body, spoil=path in spoiled) for path, body in good.items()})


def _response(rng: random.Random, body: Any, *, spoil: bool) -> bytes:
    if not spoil:
        return _whole(200, json.dumps(body).encode())
    kind = rng.randrange(12)
    if kind < 4:
        for _ in range(rng.choice((1, 1, 3))):
            body = fuzz_input.changed(rng, body)
        return _whole(200, json.dumps(body).encode())
    data = json.dumps(body).encode()
    if kind < 6:
        for _ in range(rng.choice((1, 4, 20))):
            data = fuzz_input.torn(rng, data)
        return _whole(200, data)
    error = json.dumps({"error": {"message": rng.choice(TEXTS), "code": 500}}).encode()
    match kind:
        case 6:
            return _whole(
                rng.choice((100, 204, 206, 301, 307, 400, 401, 404, 429, 500, 503, 599, 999)),
                error,
                f"Location: {rng.choice(('/', 'http://127.0.0.1:9/', '//x'))}\r\n",
            )
        case 7:
            return _whole(
                200,
                rng.choice((b"", b"null", b"[]", b"NaN", b'"x"', b"[" * 100_000, b"1" * 5000, b"\xff\xfe", b"{" * 9)),
            )
        case 8:
            return (
                _whole(200, data, "Content-Encoding: gzip\r\n")
                if rng.random() < 0.5
                else _whole(200, gzip.compress(b" " * 3_000_000 + data), "Content-Encoding: gzip\r\n")
            )
        case 9:
            lines = [
                data,
                b"[DONE]",
                rng.choice([text.encode(errors="replace") for text in TEXTS]),
                b"{}",
                b'{"choices": []}',
            ]
            events = b"".join(
                b"data: " + rng.choice(lines) + rng.choice((b"\n\n", b"\n", b"\r\n\r\n", b"")) for _ in range(6)
            )
            return _whole(200, events, "Content-Type: text/event-stream\r\n")
        case 10:
            length = rng.choice(("-1", "x", "5", str(len(data) + 1000), "99999999999999999999"))
            return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + data
        case _:
            raw = _whole(200, data)
            for _ in range(rng.choice((1, 3, 10))):
                raw = fuzz_input.torn(rng, raw)
            return raw


def _whole(status: int, body: bytes, headers: str = "Content-Type: application/json\r\n") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


class Server:
    """Answers each request as its path says, then hangs up."""

    def __init__(self, what: Script) -> None:
        self.script = what
        self.socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self: Self, *_: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(2)
            try:
                data = b""
                while b"\r\n\r\n" not in data and (got := peer.recv(65536)):
                    data += got
                head, _, body = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                while length and len(body) < int(length[1]) and (got := peer.recv(65536)):
                    body += got
                path = head.split(b" ")[1].decode(errors="replace") if b" " in head else ""
                peer.sendall(self.script.answers.get(path.partition("?")[0], _whole(404, b"{}")))
            except OSError:
                return


def prepare(*folders: Path) -> None:
    for folder in folders:
        (folder / "checks.yaml").write_text(RECIPE)
        shutil.copytree(fuzz_input.ROOT / "recipes" / "assets", folder / "assets")


def inspect(runs: Path) -> None:
    """Raise if a run left something that is not safe to read; remove what it left."""
    try:
        for file in runs.rglob("*.jsonl"):
            for line in file.read_text(encoding="utf-8").splitlines():
                fuzz_input.strict_json(line)
        for file in (*runs.rglob("*.jsonl"), *runs.rglob("*.json"), *runs.rglob("*.md")):
            text = file.read_text(encoding="utf-8")
            if found := UNSAFE.search(text) or fuzz_input.CONTROL.search(text):
                raise ValueError(f"{file.name} holds {found[0]!a}")
            if file.suffix == ".json":
                fuzz_input.strict_json(text)
            if file.suffix == ".md":
                _page(text)
    finally:
        shutil.rmtree(runs, ignore_errors=True)


FOLDED = ("<details><summary>Details</summary>", "</details>")


def _page(text: str) -> None:
    """Raise if the page has more than the markup that is ours: headings, tables, bold words, logs, what is folded."""
    tokens = PAGE.parse("".join(line for line in text.splitlines(keepends=True) if line.rstrip() not in FOLDED))
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    ours = (
        "checks on",
        "Checks",
        "Benchmarks",
        "Figures of",
        "Phases",
        "Environment",
        "Reported",
        "Diagnosis",
        "Memory",
    )
    if strange := [heading for heading in headings if not heading.startswith(ours)]:
        raise ValueError(f"report.md has the heading {strange[0]!r}")
    if kinds := {token.type for token in tokens} & (BLOCKS - {"heading_open"}):
        raise ValueError(f"report.md has {kinds}")
    for token in tokens:
        if kinds := {child.type for child in token.children or ()} & MARKUP:
            raise ValueError(f"report.md has {kinds} in {token.content!r}")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    if cells := {row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows} - {3, 4, 5, 6, 7}:
        raise ValueError(f"report.md has rows of {cells} bars")
