"""Runs on real vLLM that something happens to; one that passes is in test_wheel.py."""

import os
import signal
from pathlib import Path

import psutil

from tests.e2e.conftest import start
from tests.running import DOWN

TINY = ("recipe=internvl3-tiny", "hardware=cpu", "serve.port=0")


def test_ctrl_c_while_it_starts_up(tmp_path: Path) -> None:
    run = start(tmp_path, *TINY)
    run.wait_for(lambda: "EngineCore" in _log(tmp_path), "engine in the log")
    assert run.end(signal.SIGINT) == 130
    assert run.report["verdict"] == "interrupted"
    assert run.report["teardown"] | {"files_removed": 0} == DOWN
    assert {check["verdict"] for check in run.report["checks"]} == {"skipped"}


def test_the_api_server_is_killed_during_the_benchmark(tmp_path: Path) -> None:
    run = start(tmp_path, *TINY, "benchmark.small.num_prompts=100000")
    run.wait_for(lambda: any(tmp_path.glob("runs/*/*/*/small.log")), "benchmark")
    server = next(c for c in psutil.Process(run.popen.pid).children() if "serve" in c.cmdline()[2])
    workers = server.children(recursive=True)
    assert any("EngineCore" in " ".join(p.cmdline()) for p in workers)
    os.kill(server.pid, signal.SIGKILL)
    assert run.end() == 3
    report = run.report
    assert report["verdict"] == "error"
    assert report["errors"][0]["what"] == "the server was killed by signal 9"
    assert [c["verdict"] for c in report["checks"]] == ["passed"] * 6
    (bench,) = report["benchmarks"]
    assert (bench["verdict"], bench["detail"]) == ("error", "the server was killed by signal 9")
    assert report["teardown"] | {"files_removed": 0} == DOWN
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in workers)


def test_a_flag_that_vllm_does_not_know_is_refused_before_launch(tmp_path: Path) -> None:
    run = start(tmp_path, *TINY, "serve.no_such_flag=1")
    assert run.end() == 2
    assert run.told == (
        "recipe-run: serve.no_such_flag — the vLLM that is installed here has no flag no_such_flag; "
        "take it away, or use a vLLM that has it\n"
    )
    assert not (tmp_path / "runs").exists()


def test_a_flag_that_vllm_does_not_know_is_quoted_from_its_log(tmp_path: Path) -> None:
    run = start(tmp_path, *TINY, "serve.no_such_flag=1", "preflight.flags=warn")
    assert run.end() == 3
    assert run.report["errors"][0]["what"] == "the server ended with status 2: this vLLM has no --no-such-flag 1"
    assert "unrecognized arguments: --no-such-flag 1" in run.report["log_excerpt"][-1]
    assert "unrecognized arguments: --no-such-flag 1" in run.told


def _log(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("runs/*/*/*/server.log"))
