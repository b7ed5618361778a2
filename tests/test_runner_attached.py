"""Whole runs against a server that somebody else started."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipe_runner.client import Client
from recipe_runner.engines import sim_server
from recipe_runner.serving import server
from tests.running import DOWN, SMALL, fake, free_port, run_here


@contextlib.contextmanager
def serving(model: str = "test/small") -> Iterator[sim_server.Server]:
    """A server that somebody else started."""
    with sim_server.Server(("127.0.0.1", 0), model, (("France", "Paris"), ("Japan", "Tokyo"))) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What the run said; the server's log goes the same way here."""
    lines = capsys.readouterr().err.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("(Simulated pid="))


def attach(url: str, *how: str) -> tuple[str, ...]:
    return (SMALL[0], "engine=attach", f"engine.url={url}", fake(*how)[1])


def test_attached_to_a_server_that_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as running:
        url = f"http://127.0.0.1:{running.server_port}"
        code, folder = run_here(tmp_path, *attach(url), "benchmark=load", "benchmark.load.num_prompts=5")
        assert code == 0, capsys.readouterr().err
        with Client(url, "test/small", 5) as client:
            assert client.healthy()
    report = folder.report
    assert folder.run.parent == tmp_path / "runs" / "small" / "attached"
    assert (report["hardware"], report["server_log"], report["url"]) == (None, None, url)
    assert report["teardown"] == DOWN | {"port_free": None}
    assert folder.verdicts == {"capital": "passed", "another": "passed", "load": "measured"}
    (measurement,) = report["benchmarks"][0]["measurements"]
    assert measurement["seed"] > 0  # others may have asked that server before
    assert measurement["server"]["requests"] == 5
    assert not (folder.run / "server.log").exists()
    assert (folder.plan["processes"], folder.plan["hardware"]) == ([], None)
    assert said(capsys).startswith(f"small on {url} (simulated), into runs/small/attached/")


def test_attached_without_vllm_the_benchmark_is_skipped(tmp_path: Path) -> None:
    with serving() as running:
        words = (*attach(f"http://127.0.0.1:{running.server_port}")[:-1], "engine.command=/no/vllm")
        code, folder = run_here(tmp_path, *words)
    assert code == 0
    assert folder.verdicts["load"] == "skipped"


def test_attached_to_a_server_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "AWAY_S", 0.2)
    with serving() as running:
        url = f"http://127.0.0.1:{running.server_port}"

        def last(handler: sim_server.Handler) -> None:
            answer(handler)
            handler.close_connection = True
            running.socket.close()

        answer = sim_server.Handler.do_POST
        monkeypatch.setattr(sim_server.Handler, "do_POST", last)
        code, folder = run_here(tmp_path, *attach(url))
    assert code == 3
    what = "the server does not answer /health any more"
    assert folder.report["errors"] == [{"where": "server", "what": what, "do": f"look at the server at {url}"}]
    assert folder.verdicts == {"capital": "error", "another": "skipped", "load": "skipped"}


@pytest.mark.parametrize("before", [0, 60, 270])
def test_a_server_that_tells_the_key_is_quoted_without_it(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where what it says is cut in the middle of the key."""
    monkeypatch.setenv("VLLM_API_KEY", "topsecretkey123")
    understood = sim_server.Handler.do_POST

    def refuse(handler: sim_server.Handler) -> None:
        if ready.pop():
            understood(handler)
            return
        told = {"error": {"message": f"{'-' * before} wrong: {handler.headers['Authorization']}, so no"}}
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler._send(401, json.dumps(told if before else told["error"]["message"]).encode(), "application/json")

    ready = [*[False] * 9, True]
    monkeypatch.setattr(sim_server.Handler, "do_POST", refuse)
    with serving() as running:
        words = attach(f"http://127.0.0.1:{running.server_port}")
        code, folder = run_here(tmp_path, *words, "benchmark=load", "benchmark.load.num_prompts=2")
    assert code == 1
    assert "completions answered 401: " in folder.details["capital"]
    assert "ValueError: status 401: " in (folder.run / "load.json").read_text()
    told = [*capsys.readouterr(), *(path.read_text() for path in folder.run.rglob("*") if path.is_file())]
    assert not [text for text in told if "tops" in text]


def test_a_server_whose_models_are_called_by_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "topsecretkey123")
    with serving("topsecretkey123") as running:
        url = f"http://127.0.0.1:{running.server_port}"
        code, _ = run_here(tmp_path, *attach(url))
    assert code == 2
    what = f"recipe-run: engine.url — the server at {url} serves ***, not test/small; "
    assert said(capsys) == f"{what}attach to another server, or say serve.served_model_name=***\n"


def test_nobody_to_attach_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert run_here(tmp_path, *attach(url))[0] == 2
    assert capsys.readouterr().err == (
        f"recipe-run: engine.url — no server answers at {url}: /v1/models cannot be reached: "
        "[Errno 111] Connection refused; start it, or correct the address\n"
    )
    assert not (tmp_path / "runs").exists()
