import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from recipe_runner.client import AnswerError, Call, Client
from recipe_runner.engines import sim_server
from recipe_runner.engines.sim_faults import Fault
from tests.running import until

REPLIES = (("capital", "Which one?"), ("capital of France", " Paris."))
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}}


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[sim_server.Server]:
    with sim_server.Server(("127.0.0.1", 0), "small", REPLIES, **settings) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[sim_server.Server]:
    with running() as made:
        yield made


@pytest.fixture
def client(server: sim_server.Server) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as made:
        yield made


def send(server: sim_server.Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, bytes]:
    """Status, kind and body; chunks are put together."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.request(method, path, body if isinstance(body, str | None) else json.dumps(body), headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.headers["Content-Type"], data


def ask(server: sim_server.Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    status, _, data = send(server, method, path, body, **headers)
    return status, json.loads(data)


def stream(server: sim_server.Server, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, whole and in vLLM's form."""
    status, kind, data = send(server, "POST", path, {**body, "stream": True})
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    *events, done, nothing = data.decode().split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    read: list[dict[str, Any]] = [json.loads(event.removeprefix("data: ")) for event in events]
    assert all(event["simulated"] and event["model"] == "small" for event in read)
    assert len({(event["id"], event["object"]) for event in read}) == 1
    return read


def test_it_answers_as_a_client_expects(client: Client) -> None:
    assert client.healthy()
    assert client.models() == ["small"]
    completed = client.complete("The capital of France is", max_tokens=5)
    assert completed.text == " Paris."
    assert completed.usage == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    assert client.chat([{"role": "user", "content": "A capital?"}]).text == "Which one?"
    assert client.complete("Hello").text == "This is a simulated answer."


def test_everything_it_produces_says_simulated(server: sim_server.Server) -> None:
    assert ask(server, "GET", "/v1/models")[1]["simulated"]
    assert ask(server, "GET", "/version") == (200, {"version": "simulated"})
    for path, body in (("completions", {"prompt": "Hi"}), ("chat/completions", {"messages": []})):
        status, answer = ask(server, "POST", f"/v1/{path}", body)
        assert (status, answer["simulated"], answer["model"]) == (200, True, "small")


def test_a_completion_is_streamed_a_token_a_chunk(server: sim_server.Server) -> None:
    body = {"prompt": "A capital", "stream_options": {"include_usage": True}}
    *pieces, usage = stream(server, "/v1/completions", body)
    assert [event["choices"][0]["text"] for event in pieces] == ["Which", " one?"]
    assert [event["choices"][0]["finish_reason"] for event in pieces] == [None, "stop"]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 2, "total_tokens": 4, "completion_tokens": 2}
    assert len(stream(server, "/v1/completions", {"prompt": "A capital"})) == 2


def test_a_chat_is_streamed_as_vllm_does(server: sim_server.Server) -> None:
    events = stream(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": "A capital"}]})
    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant", "content": ""},
        {"content": "Which"},
        {"content": " one?"},
    ]
    assert events[0]["object"] == "chat.completion.chunk"


def test_a_streamed_tool_call_comes_in_pieces(server: sim_server.Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": [TOOL], "tool_choice": "required"}
    role, opened, *pieces = [event["choices"][0] for event in stream(server, "/v1/chat/completions", body)]
    assert role["delta"] == {"role": "assistant", "content": ""}
    (call,) = opened["delta"]["tool_calls"]
    assert call == {
        "index": 0,
        "id": call["id"],
        "type": "function",
        "function": {"name": "weather", "arguments": ""},
    }
    said = "".join(piece["delta"]["tool_calls"][0]["function"]["arguments"] for piece in pieces)
    assert json.loads(said) == {"city": "simulated"}
    assert pieces[-1]["finish_reason"] == "tool_calls"


def test_reasoning_comes_apart_whole_and_streamed() -> None:
    with running(reasons=True) as server:
        body = {"messages": [{"role": "user", "content": "A capital"}]}
        (choice,) = ask(server, "POST", "/v1/chat/completions", body)[1]["choices"]
        said = {"content": "Which one?", "reasoning": "This is simulated reasoning."}
        assert choice["message"] == {"role": "assistant", "tool_calls": [], **said}
        deltas = [event["choices"][0]["delta"] for event in stream(server, "/v1/chat/completions", body)]
        assert deltas[:3] == [
            {"role": "assistant", "content": ""},
            {"reasoning": "This is simulated reasoning."},
            {"content": "Which"},
        ]
        with Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as client:
            for streamed in (True, False):
                answer = client.chat(body["messages"], stream=streamed)
                assert (answer.reasoning, answer.text) == ("This is simulated reasoning.", "Which one?")
                assert (answer.usage["completion_tokens"], answer.finish) == (6, "stop")


def test_calls_are_the_same_whole_and_streamed(client: Client) -> None:
    for streamed in (True, False):
        answer = client.chat([], tools=[TOOL], tool_choice="required", stream=streamed)
        assert answer.calls == (Call("weather", '{"city": "simulated"}'),)
        assert (answer.text, answer.finish) == ("", "tool_calls")


def test_embeddings(server: sim_server.Server, client: Client) -> None:
    one, same, other = client.embed(["A cat sleeps", "a CAT sleeps!", "nobody"])
    assert (len(one), one) == (64, same)
    assert sum(a * b for a, b in zip(one, other, strict=True)) == 0
    answer = ask(server, "POST", "/v1/embeddings", {"input": "A cat"})[1]
    assert (answer["object"], answer["model"], answer["simulated"]) == ("list", "small", True)
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2, "completion_tokens": 0}
    assert answer["data"][0].keys() == {"object", "index", "embedding"}


@pytest.mark.parametrize(
    ("fault", "reasoning", "text"),
    [
        ("off_topic", "", "This is a simulated answer."),
        ("leaked_reasoning", "", "<think> This is simulated reasoning. </think>Which one?"),
        ("wavering", "This is simulated reasoning.", "Which one? 1"),
        (None, "This is simulated reasoning.", "Which one?"),
    ],
)
def test_an_answer_that_is_not_what_it_should_be(fault: str | None, reasoning: str, text: str) -> None:
    with (
        running(reasons=True, fault=Fault(fault, every=2)) as server,
        Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as client,
    ):
        good, struck = (client.chat([{"role": "user", "content": "A capital"}]) for _ in range(2))
    assert (good.reasoning, good.text) == ("This is simulated reasoning.", "Which one?")
    assert (struck.reasoning, struck.text) == (reasoning, text)


def test_what_faults_leave_alone() -> None:
    for fault in ("off_topic", "leaked_reasoning", "flat_embeddings"):
        with (
            running(fault=Fault(fault)) as server,
            Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as client,
        ):
            (vector,) = client.embed(["A cat"])
            assert (vector == [1.0] * 64) is (fault == "flat_embeddings")
            text = client.chat([{"role": "user", "content": "A capital"}]).text
            assert text == ("This is a simulated answer." if fault == "off_topic" else "Which one?")


def test_tokens_come_at_their_pace(server: sim_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", waits.append)
    server.pace = sim_server.Pace(50, 10)
    stream(server, "/v1/completions", {"prompt": "A capital"})
    stream(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": "A capital"}]})
    ask(server, "POST", "/v1/completions", {"prompt": "x", "max_tokens": 101, "ignore_eos": True})
    assert waits == [0.05, 0.06, 0.06, 0.05, 0.05, 0.06, 0.06, 1.05]


def test_beyond_its_capacity_each_is_slower(server: sim_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pace = sim_server.Pace(50, 10, capacity=4)
    assert pace.among(4) == sim_server.Pace(50, 10)
    assert pace.among(6) == sim_server.Pace(75, 15)
    assert sim_server.Pace(50, 10).among(100) == sim_server.Pace(50, 10)
    waits: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", waits.append)
    server.pace = sim_server.Pace(50, 10, capacity=1)
    with server.metrics.request("a", 1, "stop"):
        stream(server, "/v1/completions", {"prompt": "A capital"})
    assert waits == [0.1, 0.12, 0.12]


def test_sixty_four_streams_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    all_there = threading.Barrier(64)
    monkeypatch.setattr(sim_server.Handler, "_wait", lambda _, started, piece: piece or all_there.wait(20))
    body = json.dumps({"prompt": "x", "max_tokens": 20, "ignore_eos": True, "stream": True})
    with running() as server:
        opened = [http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20) for _ in range(64)]
        for connection in opened:
            connection.request("POST", "/v1/completions", body)
        answers = [connection.getresponse().read() for connection in opened]
        for connection in opened:
            connection.close()
    assert [answer.count(b"data: {") for answer in answers] == [20] * 64


def test_the_page_for_prometheus(server: sim_server.Server) -> None:
    ask(server, "POST", "/v1/completions", {"prompt": "A capital"})
    status, kind, page = send(server, "GET", "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert page == server.metrics.text().encode()


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/", None, (404, "no such page", "NotFoundError")),
        ("POST", "/v1/rerank", "{}", (404, "no such page", "NotFoundError")),
        ("POST", "/v1/embeddings", "{}", (400, "the body is not as the API has it", "BadRequestError")),
        ("POST", "/v1/completions", "{", (400, "the body is not as the API has it", "BadRequestError")),
        ("POST", "/v1/completions", "[]", (400, "the body is not as the API has it", "BadRequestError")),
        ("POST", "/v1/chat/completions", "{}", (400, "the body is not as the API has it", "BadRequestError")),
        ("POST", "/v1/completions", '{"model": "large"}', (404, "The model `large` does not exist.", "NotFoundError")),
        ("POST", "/v1/completions", '{"max_tokens": 0}', (400, "max_tokens must be at least 1, got 0.", None)),
    ],
)
def test_what_it_refuses(
    server: sim_server.Server, method: str, path: str, body: str | None, expected: tuple[int, str, str | None]
) -> None:
    status, message, kind = expected
    error = {"message": message, "type": kind or "BadRequestError", "param": None, "code": status}
    assert ask(server, method, path, body) == (status, {"error": error, "simulated": True})


def test_a_key_in_its_environment_is_asked_for(server: sim_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "one")
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions")):
        assert ask(server, method, path, {})[0] == 401
        assert ask(server, method, path, {}, Authorization="Bearer one")[0] == 200
    assert send(server, "GET", "/health")[0] == 200


def test_another_model_is_refused_in_words(server: sim_server.Server) -> None:
    with Client(f"http://127.0.0.1:{server.server_port}", "large", 5) as client, pytest.raises(AnswerError) as caught:
        client.complete("Hi")
    assert str(caught.value) == "/v1/completions answered 404: The model `large` does not exist."


def test_a_client_that_goes_away_is_an_aborted_request(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(pace=sim_server.Pace(1, 5)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        body = json.dumps({"prompt": "x", "max_tokens": 4000, "ignore_eos": True, "stream": True})
        connection.request("POST", "/v1/completions", body)
        response = connection.getresponse()
        response.read(10)
        assert 'vllm:num_requests_running{engine="0",model_name="small"} 1.0\n' in server.metrics.text()
        response.close()
        connection.close()
        aborted = 'vllm:request_success_total{engine="0",model_name="small",finished_reason="abort"} 1.0'
        until(lambda: aborted in server.metrics.text(), "aborted request")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("fault", "status", "data"),
    [
        ("error", 500, b'{"error": {"message": "simulated: the engine failed", "code": 500}}'),
        ("garbage", 200, b"<html>simulated"),
        ("empty", 200, b""),
    ],
)
def test_answers_that_are_none(fault: str, status: int, data: bytes) -> None:
    with running(fault=Fault(fault, every=2)) as server:
        for expected in (False, True, False):
            answer = send(server, "POST", "/v1/completions", {"prompt": "Hi"})
            assert ((answer[0], answer[2]) == (status, data)) is expected
        assert 'finished_reason="error"} 1.0' in server.metrics.text()


def test_a_stream_that_is_cut_in_the_middle_of_an_event() -> None:
    with running(fault=Fault("truncated")) as server:
        status, _, data = send(server, "POST", "/v1/completions", {"prompt": "A capital", "stream": True})
        *events, rest = data.split(b"\n\n")
        assert (status, len(events), rest) == (200, 1, b'data: {"')
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            ask(server, "POST", "/v1/completions", {"prompt": "Hi"})


def test_a_tool_call_whose_arguments_are_no_json() -> None:
    with running(fault=Fault("malformed_tool_call")) as server:
        body = {"messages": [{"role": "user", "content": "Hi"}], "tools": [TOOL], "tool_choice": "required"}
        (choice,) = ask(server, "POST", "/v1/chat/completions", body)[1]["choices"]
        assert choice["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":'}
        (other,) = ask(server, "POST", "/v1/chat/completions", {"messages": []})[1]["choices"]
        assert other["message"]["content"] == "This is a simulated answer."


def test_a_slow_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(fault=Fault("slow_first_token", every=2)) as server:
        waits: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: 0.0)
        monkeypatch.setattr(time, "sleep", waits.append)
        for _ in range(2):
            ask(server, "POST", "/v1/completions", {"prompt": "Hi"})
    assert waits == [0.0, sim_server.SLOW_S]


def test_a_server_that_is_not_what_it_should_be() -> None:
    with running(fault=Fault("unhealthy")) as server:
        assert send(server, "GET", "/health")[0] == 503
    with running(fault=Fault("wrong_model")) as server:
        assert ask(server, "GET", "/v1/models")[1]["data"][0]["id"] == "another/model"


@pytest.mark.parametrize(
    ("words", "name", "ignored", "can"),
    [
        ((), "org/model", "[]", (False, False)),
        (("--served-model-name", "small", "tiny", "--enforce-eager"), "small", "['--enforce-eager']", (False, False)),
        (("--enable-auto-tool-choice", "--tool-call-parser", "hermes"), "org/model", "[]", (True, False)),
        (("--enable-auto-tool-choice",), "org/model", "[]", (False, False)),
        (("--reasoning-parser", "qwen3"), "org/model", "[]", (False, True)),
    ],
)
def test_the_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    name: str,
    ignored: str,
    can: tuple[bool, bool],
) -> None:
    seen = []
    monkeypatch.setattr(sim_server.Server, "serve_forever", lambda server, poll_interval: seen.append(server))
    argv = [
        "--reply",
        "a",
        "b",
        "--ttft-ms",
        "5",
        "--tpot-ms",
        "0.5",
        "--capacity",
        "3",
        "org/model",
        "--host",
        "127.0.0.1",
    ]
    assert sim_server.main([*argv, "--port", "0", *words]) == 0
    (server,) = seen
    assert (server.model, server.says.replies) == (name, [["a", "b"]])
    assert (server.says.auto_tools, server.says.reasons) == can
    assert server.pace == sim_server.Pace(5, 0.5, 3)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"INFO: simulated server for {name} on 127.0.0.1:0; takes no notice of {ignored}"
    assert all(line.startswith("(Simulated pid=") for line in lines)
    assert lines[-1].endswith(") INFO:     Application startup complete.")
    assert any("GPU KV cache size (simulated): 65,536 tokens" in line for line in lines)


def test_its_log_has_a_line_for_each_request(server: sim_server.Server, capsys: pytest.CaptureFixture[str]) -> None:
    send(server, "GET", "/health")
    said = capsys.readouterr().out
    assert said.startswith("(Simulated pid=")
    assert said.endswith(' - "GET /health HTTP/1.1" 200 OK\n')


def test_it_starts_without_anything_that_takes_time() -> None:
    program = (
        "import sys, recipe_runner.engines.sim_server; "
        "assert not {'pydantic', 'httpx', 'psutil', 'yaml', 'asyncio'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_on_ipv6() -> None:
    with sim_server.Server(("::1", 0), "small", ()) as made:
        assert made.socket.getsockname()[0] == "::1"


def test_a_port_that_is_taken_ends_it() -> None:
    with running() as server:
        argv = [sys.executable, "-m", "recipe_runner.engines.sim_server", "m", "--host", "127.0.0.1"]
        done = subprocess.run(
            [*argv, "--port", str(server.server_port)], capture_output=True, text=True, timeout=20, check=False
        )
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("given", "longest"), [(["--max-model-len", "7"], 7), (["--max-model-len", "7k"], None), ([], None)]
)
def test_the_length_that_it_takes_is_read_where_it_is_a_number(given: list[str], longest: int | None) -> None:
    args, ignored = sim_server.parsed(["small", "--host", "127.0.0.1", "--port", "0", *given])
    assert ignored == []
    with sim_server.opened(args, Fault()) as made:
        assert made.says.longest == longest
