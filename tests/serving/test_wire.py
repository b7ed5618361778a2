"""Answers as they come over the wire: streamed or not, whole or broken, in time or cut."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recipe_runner.client import AnswerError, Client
from recipe_runner.serving import wire

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
LONG_S = 30.0
Script = Callable[["Peer"], object]


class Peer:
    """A server of one connection at a time, that does as its script says."""

    def __init__(self, script: Script) -> None:
        self.script, self.over = script, threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.connection, _ = self.listening.accept()
                with self.connection, contextlib.suppress(OSError):
                    if self.over.is_set():
                        break
                    self.script(self)
                    self.connection.shutdown(socket.SHUT_WR)
                    while self.connection.recv(1 << 20):  # or what was sent would be lost with what was not read
                        pass

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """A byte now and then, without an end."""
        while not self.over.wait(0.01):
            self.send(data[:1])

    def wait(self) -> None:
        self.over.wait(LONG_S)


@contextlib.contextmanager
def peer(script: Script) -> Iterator[Peer]:
    made = Peer(script)
    made.thread.start()
    try:
        yield made
    finally:
        made.over.set()
        with socket.create_connection(made.listening.getsockname()):
            made.thread.join(LONG_S)
        made.listening.close()
        assert not made.thread.is_alive()


def event(text: str | None, **choice: Any) -> bytes:
    body = {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, **choice}]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def ask(script: Script, total_s: float = LONG_S, first_s: float | None = None, message: str = "Hi") -> Any:
    with peer(script) as made, Client(made.url, "small", total_s, connect_s=LONG_S, first_token_s=first_s) as client:
        return client.chat([{"role": "user", "content": message}])


def refusal(script: Script, total_s: float = LONG_S, first_s: float | None = None, message: str = "Hi") -> AnswerError:
    with pytest.raises(AnswerError) as caught:
        ask(script, total_s, first_s, message)
    return caught.value


ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
END = event(None, finish_reason="stop")
USAGE = b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("stream", "text", "usage"),
    [
        (ROLE + event("Pa") + event("ris") + END + USAGE + DONE, "Paris", {"total_tokens": 3}),
        (event("Paris", finish_reason="length"), "Paris", {}),
        (event("Paris") + DONE, "Paris", {}),
        (event("Paris") + DONE + event(" and more"), "Paris", {}),
        (b": ping\r\nevent: x\r\n" + (event("Paris") + END).replace(b"\n", b"\r\n"), "Paris", {}),
        ((event("Paris") + END).replace(b"data: ", b"data:"), "Paris", {}),
        (event("other", index=1) + event("Paris") + END, "Paris", {}),
        (event("a\u2028b\x85c\x0bd") + END, "a\u2028b\x85c\x0bd", {}),
        (event("\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")) + END, "í\xa0½", {}),
        (b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n' + END, "\ud83d", {}),
        (event("x" * 1_000_000) + END, "x" * 1_000_000, {}),
        (ROLE + END, "", {}),
        (b'data: {"choices":[{"delta":{"tool_calls":[]},"finish_reason":"tool_calls"}]}\n\n', "", {}),
    ],
)
def test_what_is_streamed_is_put_together(stream: bytes, text: str, usage: dict[str, int]) -> None:
    answer = ask(lambda made: made.send(SSE + stream))
    assert (answer.text, dict(answer.usage)) == (text, usage)
    assert 0 < answer.ttft_s <= answer.seconds


@pytest.mark.parametrize(
    ("stream", "what"),
    [
        (event("Par"), "broke off after 3 characters"),
        (event("Par") + event("is")[:-9], "broke off after 3 characters"),
        (b"", "broke off after 0 characters"),
        (DONE, "answered without a text in `choices`"),
        (b"data: [1]\n\n", "answered without a text in `choices`"),
        (b'data: {"choices":[{}]}\n\n', "answered without a text in `choices`"),
        (b"data: <html>\x1b\n\n", "answered something else than JSON: '<html>\\x1b'"),
        (b"data: \xff\n\n", "answered something else than JSON: '\N{REPLACEMENT CHARACTER}'"),
        (b"data: " + b"[" * 10**6 + b"\n\n", f"answered something else than JSON: '{'[' * 80}…'"),
        (event("Pa") + b'data: {"error":{"message":"engine\\nis dead"}}\n\n' + DONE, "broke off: engine\\nis dead"),
        (event("Pa") + b'data: {"error":"oh"}\n\n' + DONE, 'broke off: \'{"error":"oh"}\''),
    ],
)
def test_what_is_no_whole_stream_is_no_answer(stream: bytes, what: str) -> None:
    error = refusal(lambda made: made.send(SSE + stream))
    assert (str(error), error.do) == (f"/v1/chat/completions {what}", "")


@pytest.mark.parametrize("head", [JSON, SSE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")])
def test_a_connection_that_breaks_off(head: bytes) -> None:
    error = refusal(lambda made: made.send(head + b"5\r\n" + event("Par")))
    assert str(error).startswith("/v1/chat/completions ")
    assert error.do == ""


REQUEST, FIRST = "allow more with timeouts.request_s=…", "allow more with timeouts.first_token_s=…"
STILL = "/v1/chat/completions was still answering after 0.2 s"
AT_ALL = "/v1/chat/completions did not answer within 0.2 s"
BEGIN = "/v1/chat/completions did not begin to answer within 0.2 s"


@pytest.mark.parametrize(
    ("script", "total_s", "first_s", "what", "do"),
    [
        (Peer.wait, 0.2, None, AT_ALL, REQUEST),
        (Peer.wait, LONG_S, 0.2, BEGIN, FIRST),
        (Peer.wait, 0.2, LONG_S, AT_ALL, REQUEST),
        (lambda made: made.drip(b"H"), 0.2, None, AT_ALL, REQUEST),
        (lambda made: made.drip(b"H"), LONG_S, 0.2, BEGIN, FIRST),
        (lambda made: (made.send(b"HTTP/1.1 200 OK\r\nX: "), made.drip(b"x")), 0.2, None, AT_ALL, REQUEST),
        (lambda made: (made.send(SSE), made.wait()), LONG_S, 0.2, BEGIN, FIRST),
        (lambda made: (made.send(SSE), made.drip(b"\n")), LONG_S, 0.2, BEGIN, FIRST),
        (lambda made: (made.send(SSE + event("Par")), made.wait()), 0.2, None, STILL, REQUEST),
        (lambda made: (made.send(SSE + event("Par")), made.drip(b"\n")), 0.2, 0.2, STILL, REQUEST),
        (lambda made: (made.send(JSON), made.drip(b" ")), 0.2, None, STILL, REQUEST),
        (lambda made: (made.send(JSON.replace(b"Content-Length", b"X")), made.drip(b" ")), 0.2, None, STILL, REQUEST),
    ],
)
def test_no_answer_takes_longer_than_it_may(
    script: Script, total_s: float, first_s: float | None, what: str, do: str
) -> None:
    """A read time-out alone would wait for ever where a byte drips in now and then."""
    error = refusal(script, total_s, first_s)
    assert (str(error), error.do) == (what, do)


def test_a_server_that_does_not_read_what_it_is_asked() -> None:
    error = refusal(Peer.wait, 0.2, None, message="x" * 20_000_000)
    assert (str(error), error.do) == (AT_ALL, REQUEST)


def test_a_connection_that_is_not_made_in_time() -> None:
    """Nobody accepts, and the queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with Client(url, "small", LONG_S, connect_s=0.1) as client, pytest.raises(AnswerError) as caught:
            client.models()
    assert str(caught.value) == "/v1/models cannot be reached within 0.1 s"
    assert caught.value.do == "allow more with timeouts.connect_s=…"


def test_health_that_drips_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipe_runner.client.HEALTH_S", 0.1)
    with peer(lambda made: made.drip(b"H")) as made, Client(made.url, "small", LONG_S) as client:
        assert not client.healthy()


@pytest.mark.parametrize("head", [JSON.replace(b"Content-Length", b"X"), SSE, SSE.replace(b"200", b"500")])
def test_an_answer_without_an_end_does_not_fill_the_memory(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_MIB", 1)

    def flood(made: Peer) -> None:
        made.send(head)
        while True:
            made.send(b"x" * 65536)

    assert str(refusal(flood)) == "/v1/chat/completions answered with more than 1 MiB"


def test_a_fuse_that_blew_before_there_was_a_connection_cuts_it_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, wire.Fuse(LONG_S, LONG_S) as fuse:
        fuse._blow()
        stream = type("Stream", (), {"get_extra_info": lambda self, name: ours})()
        fuse.trace("connection.connect_tcp.complete", {"return_value": stream})
        assert theirs.recv(1) == b""


def test_a_request_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with peer(lambda made: made.send(SSE + event("Paris") + END)) as made, Client(made.url, "small", LONG_S) as client:
        assert client.chat([]).text == "Paris"
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG_S / 3)
        assert not thread.is_alive()
