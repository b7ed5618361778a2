import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recipe_runner.client import AnswerError, Call, Client
from tests.running import free_port

ASKED = {"model": "small", "stream": True, "stream_options": {"include_usage": True}}


class Server(ThreadingHTTPServer):
    """Gives every request the same answer, and keeps what was asked."""

    daemon_threads = True
    answer: tuple[int, bytes] = (200, b"{}")
    kind = ""
    asked: list[tuple[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, json.loads(body) if body else None))
        status, data = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", self.server.kind)
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, "small", 5) as made:
        yield made


def test_what_is_asked_and_what_comes_back(server: Server, client: Client) -> None:
    server.answer = (200, b'{"choices": [{"text": " Paris"}], "usage": {"total_tokens": 3}}')
    answer = client.complete("The capital is", max_tokens=3)
    assert (answer.text, dict(answer.usage)) == (" Paris", {"total_tokens": 3})
    assert answer.seconds > 0
    server.answer = (200, b'{"choices": [{"message": {"content": "Paris."}}]}')
    answer = client.chat(({"role": "user", "content": "?"},), temperature=0)
    assert (answer.text, dict(answer.usage)) == ("Paris.", {})
    server.answer = (200, b'{"data": [{"id": "small"}, {"id": "other"}]}')
    assert client.models() == ["small", "other"]
    assert server.asked == [
        ("/v1/completions", ASKED | {"prompt": "The capital is", "max_tokens": 3}),
        ("/v1/chat/completions", ASKED | {"messages": [{"role": "user", "content": "?"}], "temperature": 0}),
        ("/v1/models", None),
    ]


def test_a_check_may_do_without_a_stream(server: Server, client: Client) -> None:
    server.answer = (200, b'{"choices": [{"text": " Paris"}]}')
    assert client.complete("Hi", stream=False).ttft_s is None
    assert server.asked == [("/v1/completions", {"model": "small", "prompt": "Hi", "stream": False})]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False), (301, False)])
def test_health(server: Server, client: Client, status: int, healthy: bool) -> None:
    server.answer = (status, b"")
    assert client.healthy() is healthy


def ask_completion(client: Client) -> object:
    return client.complete("Hi").text


def ask_chat(client: Client) -> object:
    return client.chat([]).text


def ask_models(client: Client) -> object:
    return client.models()


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (ask_completion, {"choices": [{"text": None}], "usage": None}),
        (ask_completion, {"choices": [{"text": None}], "usage": "none"}),
        (ask_chat, {"choices": [{"message": {"content": None}}], "usage": None}),
    ],
)
def test_no_text_is_the_empty_text(
    server: Server, client: Client, ask: Callable[[Client], object], body: object
) -> None:
    server.answer = (200, json.dumps(body).encode())
    assert ask(client) == ""


def ask_vectors(client: Client) -> object:
    return client.embed(["Hi"])


NO_TEXT = "answered without a text in `choices`"
NO_LIST = "/v1/models answered without a list of models"
NO_VECTORS = "/v1/embeddings answered without vectors in `data`"


@pytest.mark.parametrize(
    ("ask", "status", "body", "message"),
    [
        (ask_completion, 200, "{}", f"/v1/completions {NO_TEXT}"),
        (ask_completion, 200, '{"choices": []}', f"/v1/completions {NO_TEXT}"),
        (ask_completion, 200, '{"choices": [{}]}', f"/v1/completions {NO_TEXT}"),
        (ask_completion, 200, '{"choices": ["text"]}', f"/v1/completions {NO_TEXT}"),
        (ask_completion, 200, "[]", f"/v1/completions {NO_TEXT}"),
        (ask_completion, 200, "null", f"/v1/completions {NO_TEXT}"),
        (ask_chat, 200, '{"choices": [{"message": null}]}', f"/v1/chat/completions {NO_TEXT}"),
        (ask_chat, 200, '{"choices": [{"text": "Hi"}]}', f"/v1/chat/completions {NO_TEXT}"),
        (ask_chat, 200, '{"choices": [{"message": {"tool_calls": [{}]}}]}', f"/v1/chat/completions {NO_TEXT}"),
        (ask_chat, 200, '{"choices": [{"message": {"reasoning": 3}}]}', f"/v1/chat/completions {NO_TEXT}"),
        (ask_vectors, 200, "{}", NO_VECTORS),
        (ask_vectors, 200, '{"data": [{"embedding": [1]}]}', NO_VECTORS),
        (ask_vectors, 200, '{"data": [{"index": 0, "embedding": ["x"]}]}', NO_VECTORS),
        (ask_vectors, 200, '{"data": [{"index": 0, "embedding": 1}]}', NO_VECTORS),
        (ask_vectors, 200, f'{{"data": [{{"index": 0, "embedding": [1{"0" * 400}]}}]}}', NO_VECTORS),
        (ask_vectors, 404, '{"detail": "Not Found"}', """/v1/embeddings answered 404: '{"detail": "Not Found"}'"""),
        (ask_models, 200, "{}", NO_LIST),
        (ask_models, 200, '{"data": null}', NO_LIST),
        (ask_models, 200, '{"data": [{}]}', NO_LIST),
        (ask_models, 200, '["small"]', NO_LIST),
        (ask_completion, 200, "<html>\x1b[2J", "/v1/completions answered something else than JSON: '<html>\\x1b[2J'"),
        (
            ask_completion,
            400,
            '{"error": {"message": "too\\nlong\\u001b[2J", "code": 400}}',
            "/v1/completions answered 400: too\\nlong\\x1b[2J",
        ),
        (ask_models, 404, '{"message": "no such page"}', "/v1/models answered 404: no such page"),
        (ask_models, 404, '{"detail": "Not Found"}', """/v1/models answered 404: '{"detail": "Not Found"}'"""),
        (ask_chat, 500, '{"error": "oh"}', """/v1/chat/completions answered 500: '{"error": "oh"}'"""),
        (ask_chat, 502, "<b>Bad Gateway</b>", "/v1/chat/completions answered 502: '<b>Bad Gateway</b>'"),
        (ask_models, 503, "", "/v1/models answered 503: ''"),
        (ask_models, 500, "[1]", "/v1/models answered 500: '[1]'"),
    ],
)
def test_answers_that_are_none(
    server: Server, client: Client, ask: Callable[[Client], object], status: int, body: str, message: str
) -> None:
    server.answer = (status, body.encode())
    with pytest.raises(AnswerError) as caught:
        ask(client)
    assert str(caught.value) == message


def test_nobody_listens() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "small", 5) as client:
        assert not client.healthy()
        with pytest.raises(AnswerError) as caught:
            client.models()
    assert str(caught.value) == "/v1/models cannot be reached: [Errno 111] Connection refused"


def test_a_proxy_from_the_environment_is_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    with Client(server.url, "small", 5) as client:
        assert client.healthy()


@pytest.mark.parametrize(
    ("answer", "version"),
    [((200, b'{"version": "0.25.1"}'), "0.25.1"), ((404, b"{}"), None), ((200, b"[]"), None), ((200, b"{}"), None)],
)
def test_the_version_is_what_the_server_says(
    server: Server, client: Client, answer: tuple[int, bytes], version: str | None
) -> None:
    server.answer = answer
    assert client.version() == version


def events(*choices: dict[str, Any]) -> bytes:
    lines = [f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\n\n" for choice in choices]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


CALLED = [
    {"index": 1, "function": {"name": "two", "arguments": ""}},
    {"index": 0, "id": "x", "type": "function", "function": {"name": "one", "arguments": '{"a"'}},
]
REST = [{"index": 0, "function": {"arguments": ": 1}"}}, {"index": 1, "function": {"name": None, "arguments": "{}"}}]
WHOLE = [{"function": {"name": "one", "arguments": '{"a": 1}'}}, {"function": {"name": "two", "arguments": "{}"}}]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_chat_has_more_than_text(server: Server, client: Client, name: str, streamed: bool) -> None:
    message = {"content": "Yes.", name: "Hm. So.", "tool_calls": WHOLE}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    pieces = (
        {"delta": {"role": "assistant", name: "Hm."}},
        {"delta": {name: " So.", "content": None}, "finish_reason": None},
        {"delta": {"content": "Yes.", "tool_calls": CALLED}},
        {"delta": {"tool_calls": REST}, "finish_reason": "tool_calls"},
    )
    server.answer, server.kind = (200, events(*pieces) if streamed else body), "text/event-stream" * streamed
    answer = client.chat([])
    assert (answer.text, answer.reasoning, answer.finish) == ("Yes.", "Hm. So.", "tool_calls")
    assert answer.calls == (Call("one", '{"a": 1}'), Call("two", "{}"))


def test_a_vector_for_each_text(server: Server, client: Client) -> None:
    data = [{"index": 1, "embedding": [3, None]}, {"index": 0, "embedding": [1.5, 2]}]
    server.answer = (200, json.dumps({"data": data}).encode())
    first, (three, nothing) = client.embed(["a", "b"])
    assert (first, three, math.isnan(nothing)) == ([1.5, 2.0], 3.0, True)
    asked = {"model": "small", "input": ["a", "b"], "encoding_format": "float"}
    assert server.asked == [("/v1/embeddings", asked)]
