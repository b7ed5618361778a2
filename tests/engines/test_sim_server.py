import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from recipe_runner.client import AnswerError, Client
from recipe_runner.engines import sim_server

REPLIES = (("capital", "Which one?"), ("capital of France", " Paris."))


@pytest.fixture
def server() -> Iterator[sim_server.Server]:
    with sim_server.Server(("127.0.0.1", 0), "small", REPLIES) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def client(server: sim_server.Server) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as made:
        yield made


def ask(server: sim_server.Server, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.request(method, path, body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_it_answers_as_a_client_expects(client: Client) -> None:
    assert client.healthy()
    assert client.models() == ["small"]
    completed = client.complete("The capital of France is", max_tokens=5)
    assert completed.text == " Paris."
    assert completed.usage == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    assert client.chat([{"role": "user", "content": "A capital?"}]).text == "Which one?"
    assert client.complete("Hello").text == "This is a simulated answer."


def test_an_image_is_said_to_be_there(client: Client, server: sim_server.Server) -> None:
    server.replies = (("<image_url> What colour", "red"),)
    content = [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": "What colour?"}]
    assert client.chat([{"role": "system", "content": "Hi"}, {"role": "user", "content": content}]).text == "red"


def test_everything_it_produces_says_simulated(server: sim_server.Server) -> None:
    assert ask(server, "GET", "/v1/models")[1]["simulated"]
    assert ask(server, "GET", "/version") == (200, {"version": "simulated"})
    for path, body in (("completions", {"prompt": "Hi"}), ("chat/completions", {"messages": []})):
        status, answer = ask(server, "POST", f"/v1/{path}", json.dumps(body))
        assert (status, answer["simulated"], answer["model"]) == (200, True, "small")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/", None, (404, "no such page")),
        ("POST", "/v1/embeddings", "{}", (404, "no such page")),
        ("POST", "/v1/completions", "{", (400, "the body is not a JSON object")),
        ("POST", "/v1/completions", "[]", (400, "the body is not a JSON object")),
        ("POST", "/v1/completions", '{"model": "large"}', (404, "The model `large` does not exist.")),
    ],
)
def test_what_it_refuses(
    server: sim_server.Server, method: str, path: str, body: str | None, expected: tuple[int, str]
) -> None:
    status, message = expected
    assert ask(server, method, path, body) == (status, {"error": {"message": message, "code": status}})


def test_another_model_is_refused_in_words(server: sim_server.Server) -> None:
    with Client(f"http://127.0.0.1:{server.server_port}", "large", 5) as client, pytest.raises(AnswerError) as caught:
        client.complete("Hi")
    assert str(caught.value) == "/v1/completions answered 404: The model `large` does not exist."


@pytest.mark.parametrize(
    ("words", "name", "ignored"),
    [
        ((), "org/model", "[]"),
        (("--served-model-name", "small", "--enforce-eager"), "small", "['--enforce-eager']"),
    ],
)
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], name: str, ignored: str
) -> None:
    seen = []
    monkeypatch.setattr(sim_server.Server, "serve_forever", lambda server, poll_interval: seen.append(server))
    argv = ["--reply", "a", "b", "org/model", "--host", "127.0.0.1", "--port", "0", *words]
    assert sim_server.main(argv) == 0
    (server,) = seen
    assert (server.model, server.replies) == (name, [["a", "b"]])
    said = f"INFO: simulated server for {name} on 127.0.0.1:0; takes no notice of {ignored}\n"
    assert capsys.readouterr().out == said
