import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.benchmarks import load_client
from recipe_runner.engines import sim_server
from recipe_runner.engines.sim_faults import Fault
from tests.engines.test_sim_server import running
from tests.running import free_port

WORKLOAD = {"input_len": 8, "output_len": 4, "max_concurrency": 2, "num_prompts": 5, "num_warmups": 0, "seed": 1}


class Asked:
    """What a server was asked, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.monkeypatch = monkeypatch
        understood = sim_server.Handler._understood

        def seen(handler: Any, data: bytes, answering: Any) -> Any:
            self.bodies.append(json.loads(data))
            self.keys.append(handler.headers.get("Authorization"))
            return understood(handler, data, answering)

        monkeypatch.setattr(sim_server.Handler, "_understood", seen)

    @property
    def prompts(self) -> list[str]:
        return [body["prompt"] for body in self.bodies]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Asked(monkeypatch)


def measure(server: sim_server.Server | int, folder: Path, *more: str, **changed: Any) -> dict[str, Any]:
    port = server if isinstance(server, int) else server.server_port
    settings = {"url": f"http://127.0.0.1:{port}", "model": "small", "endpoint": "completions", "timeout_s": 5}
    words = [(f"--{k.replace('_', '-')}", str(v)) for k, v in {**settings, **WORKLOAD, **changed}.items()]
    argv = [word for pair in words for word in pair]
    assert load_client.main([*argv, "--result", str(folder / "x.json"), *more]) == 0
    result: dict[str, Any] = json.loads((folder / "x.json").read_text())
    return result


def test_a_run(tmp_path: Path, asked: Asked) -> None:
    with running() as server:
        result = measure(server, tmp_path, "--ignore-eos")
    assert result.items() >= WORKLOAD.items()
    assert (result["client"], result["completed"], result["failed"]) == ("recipe-runner load", 5, 0)
    assert (result["total_input_tokens"], result["total_output_tokens"]) == (40, 20)
    assert "url" not in result
    assert [len(result[name]) for name in ("ttfts", "start_times")] == [5, 5]
    assert (result["output_lens"], [len(gaps) for gaps in result["itls"]], result["errors"]) == ([4] * 5, [3] * 5, [])
    assert [len(prompt.split()) for prompt in asked.prompts] == [8] * 5
    assert len(set(asked.prompts)) == 5
    del asked.bodies[0]["prompt"]
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    assert asked.bodies[0] == {"model": "small", "max_tokens": 4, "ignore_eos": True, **stream}


def test_the_same_seed_asks_the_same_and_warm_ups_ask_something_else(tmp_path: Path, asked: Asked) -> None:
    with running() as server:
        measure(server, tmp_path, max_concurrency=1)
        assert measure(server, tmp_path, max_concurrency=1, num_warmups=2)["completed"] == 5
        measure(server, tmp_path, max_concurrency=1, seed=2)
    first, warm, second, third = asked.prompts[:5], asked.prompts[5:7], asked.prompts[7:12], asked.prompts[12:]
    assert first == second
    assert len({*first, *warm, *third}) == 12


def test_a_chat_without_ignoring_the_end(tmp_path: Path, asked: Asked) -> None:
    with running() as server:
        result = measure(server, tmp_path, "--no-ignore-eos", endpoint="chat", output_len=50)
    assert result["total_output_tokens"] == 25
    assert list(asked.bodies[0]) == ["model", "messages", "max_tokens", "stream", "stream_options"]


def test_there_are_never_more_at_once_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[int] = []
    stream = sim_server.Handler._stream

    def seen(handler: sim_server.Handler, *args: Any, **kwargs: Any) -> None:
        at_once.append(handler.server.metrics._running)
        stream(handler, *args, **kwargs)

    monkeypatch.setattr(sim_server.Handler, "_stream", seen)
    with running(pace=sim_server.Pace(20)) as server:
        assert measure(server, tmp_path, max_concurrency=3, num_prompts=9)["completed"] == 9
    assert max(at_once) == 3


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "two"}, None),
        ({"VLLM_API_KEY": "one", "OPENAI_API_KEY": "two"}, "Bearer one"),
    ],
)
def test_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked, environment: dict[str, str], sent: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with running() as server:
        assert measure(server, tmp_path)["completed"] == 5
    assert asked.keys == [sent] * 5


def test_a_proxy_in_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with running() as server:
        assert measure(server, tmp_path)["completed"] == 5


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            "error",
            'ValueError: status 500: {"error": {"message": "simulated: the engine failed", "code": 500}}',
        ),
        ("garbage", "ValueError: the stream ended after 0 events, without its end"),
        ("empty", "ValueError: the stream ended after 0 events, without its end"),
        ("truncated", "ValueError: the stream ended after 2 events, without its end"),
    ],
)
def test_failed_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, why: str) -> None:
    with running(fault=Fault(fault, every=2)) as server:
        result = measure(server, tmp_path, max_concurrency=1)
    assert (result["completed"], result["failed"]) == (3, 2)
    assert (result["errors"], len(result["ttfts"])) == ([why, why], 3)
    said = [line for line in capsys.readouterr().out.splitlines() if "Simulated" not in line]
    assert said[:3] == ["1 requests completed", f"a request failed: {why}", "2 requests completed"]


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = measure(free_port(), tmp_path)
    assert (result["completed"], result["failed"]) == (0, 5)
    assert capsys.readouterr().out.splitlines()[0].startswith("a request failed: ConnectError: ")


def test_a_silent_server_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(pace=sim_server.Pace(1000)) as server:
        result = measure(server, tmp_path, timeout_s=0.05, num_prompts=50)
        assert (result["completed"], result["failed"]) == (0, 2)
    said = [line for line in capsys.readouterr().out.splitlines() if "Simulated" not in line]
    assert said == ["a request failed: ReadTimeout: the server was silent for 0.05 s"] * 2


def test_without_a_file_the_result_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"url": f"http://127.0.0.1:{free_port()}", "model": "m", "endpoint": "chat", "timeout_s": 1}
    argv = [f"--{k.replace('_', '-')}={v}" for k, v in {**settings, **WORKLOAD, "num_prompts": 1}.items()]
    assert load_client.main(argv) == 0
    printed = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert printed["failed"] == 1
    assert "errors" not in printed
