"""A Hugging Face hub on loopback: models, gates, revisions, files in ranges; slow, broken or silent when told."""

import contextlib
import hashlib
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64}


def safetensors(shapes: Mapping[str, tuple[str, list[int]]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A file with zeros for these tensors: name → dtype, shape; two bytes an element."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in shapes.items():
        start, size = end, 2
        for extent in shape:
            size *= extent
        end = start + size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@dataclass
class Model:
    """What the hub has of one model. `gated` asks for a token, `readers` are the tokens with access."""

    files: dict[str, bytes]
    gated: str | bool = False
    readers: tuple[str, ...] = ()
    card: dict[str, Any] | None = field(default_factory=lambda: {"license": "apache-2.0"})
    parameters: dict[str, int] | None = None
    branches: tuple[str, ...] = ("main",)


@dataclass
class Hub:
    """The server: what it has, how it behaves, what it was asked."""

    models: dict[str, Model] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    hang: bool = False
    drip: bool = False
    answer: tuple[int, bytes] | None = None
    slow: dict[str, float] = field(default_factory=dict)  # file → seconds that each KiB takes
    cut: dict[str, int] = field(default_factory=dict)  # file → bytes after which it breaks off, once
    asked: list[str] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def got(self, name: str) -> list[str]:
        """The requests for a file's content."""
        return [line for line in self.asked if line.startswith("GET") and f"/{name}" in line]


@contextlib.contextmanager
def serving(**how: Any) -> Iterator[Hub]:
    hub = Hub(**how)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path} {self.headers.get('Range', '')}".strip())
        if hub.hang:
            hub.closing.wait()
        elif hub.drip:
            self._drip()
        elif hub.answer:
            self._send(*hub.answer)
        elif path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        else:
            self._resolve(path)

    def _drip(self) -> None:
        """One byte of a header at a time: no single read takes long."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        while not self.server.hub.closing.wait(0.1):
            self.wfile.write(b".")
            self.wfile.flush()

    @property
    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _api(self, path: str) -> None:
        name = "/".join(path.split("/")[:2])
        model = self._model(name)
        if model is None:
            return
        rest = path.removeprefix(name).strip("/").split("/", 1)
        if rest[0] in ("revision", "tree") and rest[1] not in (*model.branches, COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif rest[0] == "tree":
            self._json([{"type": "file", "path": k, "size": len(v), "oid": _etag(v)} for k, v in model.files.items()])
        else:
            info: dict[str, Any] = {"id": name, "sha": COMMIT, "gated": model.gated, "private": False}
            info["siblings"] = [{"rfilename": k, "size": len(v)} for k, v in model.files.items()]
            if model.card is not None:
                info["cardData"] = model.card
            if model.parameters:
                info["safetensors"] = {"parameters": model.parameters, "total": sum(model.parameters.values())}
            self._json(info)

    def _model(self, name: str) -> Model | None:
        """The model, or None and the answer that a stranger gets."""
        if self._token and self._token not in self.server.hub.tokens:
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif name not in self.server.hub.models:
            if self._token:
                self._refuse(404, "RepoNotFound")
            else:
                self._refuse(401, None, "Invalid username or password.")
        else:
            return self.server.hub.models[name]
        return None

    def _resolve(self, path: str) -> None:
        owner, name, _, _, file = path.strip("/").split("/", 4)
        model = self._model(f"{owner}/{name}")
        if model is None:
            return
        if model.gated and self._token not in model.readers:
            self._refuse(403 if self._token else 401, "GatedRepo")
        elif file not in model.files:
            self._refuse(404, "EntryNotFound")
        else:
            self._file(file, model.files[file])

    def _file(self, name: str, content: bytes) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("ETag", f'"{_etag(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = content[start:]
        if name in self.server.hub.cut:
            self.wfile.write(body[: self.server.hub.cut.pop(name)])
            return
        pause = self.server.hub.slow.get(name, 0.0)
        for at in range(0, len(body), 1024 if pause else 1 << 20):
            self.wfile.write(body[at : at + (1024 if pause else 1 << 20)])
            self.wfile.flush()
            if pause and self.server.hub.closing.wait(pause):
                return

    def _refuse(self, status: int, code: str | None, message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        if message:
            headers["X-Error-Message"] = message
        self._send(status, json.dumps({"error": message or code, "you sent": self._token}).encode(), headers)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode())

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def asked_by(monkeypatch: pytest.MonkeyPatch, **how: Any) -> Iterator[Hub]:
    """The hub that this process, and those it starts, ask; huggingface_hub reads some variables once, at its import."""
    from huggingface_hub import constants
    from huggingface_hub.utils._http import close_session

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "no such file")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(**how) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
    close_session()
