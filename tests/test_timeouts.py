"""Whole runs of which a part takes too long: it is ended, judged as the design has it, and told with its setting."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner import prepare, runner
from recipe_runner.composition.schema import Timeouts
from recipe_runner.model.weights import Problem
from recipe_runner.reports.json import Json
from recipe_runner.serving import server
from tests.running import DATA, DOWN, SMALL, Clock, Started, fake, run_here

OWN = """
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

from recipe_runner.api import Benchmark, Check, Outcome


def hang(how):
    Path("hanging").touch()
    while True:
        match how:
            case "loop":
                pass
            case "retry":
                try:
                    time.sleep(60)
                except Exception:
                    pass
            case "wait":
                threading.Event().wait()
            case "regex":
                re.match("(a+)+$", "a" * 40 + "b")
            case "signal":
                signal.pause()


class Hangs(Check):
    how: str

    def run(self, server):
        hang(self.how)


class HangingBench(Benchmark):
    def run(self, name, bench):
        hang("wait")


class Floods(Check):
    def run(self, server):
        (log,) = Path().glob("runs/*/*/*/server.log")
        log.write_bytes(b"x" * (2 << 20))
        hang("wait")


class FloodingBench(Benchmark):
    def run(self, name, bench):
        program = "import time; print('x' * (2 << 20), flush=True); time.sleep(120)"
        bench.run([sys.executable, "-c", program], bench.folder / "flood.log")
"""


def own(tmp_path: Path, benchmark: dict[str, Any] | None = None, **validation: Any) -> tuple[str, ...]:
    """The words that run a recipe whose checks, from a module of its own, come before those of the small one."""
    (tmp_path / "own_parts.py").write_text(OWN)
    recipe = yaml.safe_load((DATA / "small.yaml").read_text())
    recipe["validation"] = validation | recipe["validation"]
    recipe["benchmark"] = (benchmark or {}) | recipe["benchmark"]
    shutil.copytree(DATA / "small", tmp_path / "small")
    (tmp_path / "own.yaml").write_text(json.dumps(recipe))
    return ("--trust", "recipe=own.yaml", "hardware=cpu", "timeouts.stop_s=5")


@pytest.mark.parametrize("how", ["loop", "retry", "wait", "regex", "signal"])
def test_a_check_that_hangs_fails_and_the_others_still_run(tmp_path: Path, how: str) -> None:
    words = own(tmp_path, mine={"uses": "own_parts:Hangs", "how": how})
    code, folder = run_here(tmp_path, *words, *fake(), "timeouts.check_s=0.3")
    assert code == 1
    folder.assert_nothing_left()
    assert folder.verdicts == {"mine": "failed", "capital": "passed", "another": "passed", "load": "measured"}
    assert folder.details["mine"] == "the check took more than 0.3 s; allow more with timeouts.check_s=…"
    assert (folder.report["errors"], folder.report["teardown"]) == ([], DOWN)


@pytest.mark.parametrize("how", ["bench-hangs", "bench-stubborn"])
def test_a_benchmark_that_hangs_fails_and_the_others_still_run(tmp_path: Path, how: str) -> None:
    words = own(tmp_path, {"mine": {"uses": "own_parts:HangingBench"}})
    code, folder = run_here(tmp_path, *words, *fake(how), "timeouts.benchmark_s=0.3")
    assert code == 1
    folder.assert_nothing_left()
    assert folder.verdicts == {"capital": "passed", "another": "passed", "mine": "failed", "load": "failed"}
    told = "the benchmark took more than 0.3 s; allow more with timeouts.benchmark_s=…"
    assert (folder.details["mine"], folder.details["load"]) == (told, told)
    assert folder.report["teardown"] == DOWN


def test_the_benchmark_after_one_that_hangs_is_measured(tmp_path: Path) -> None:
    words = own(tmp_path, {"mine": {"uses": "own_parts:HangingBench"}})
    code, folder = run_here(tmp_path, *words, *fake(), "timeouts.benchmark_s=3", "validation=none")
    assert code == 1
    assert folder.verdicts == {"mine": "failed", "load": "measured"}


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    words = (*SMALL, *fake("slow-check"), "benchmark=none")
    code, folder = run_here(tmp_path, *words, "timeouts.first_token_s=1", "timeouts.request_s=60")
    assert code == 1
    folder.assert_nothing_left()
    assert folder.verdicts == {"capital": "failed", "another": "passed"}
    what = "/v1/completions did not begin to answer within 1 s; allow more with timeouts.first_token_s=…"
    assert folder.details["capital"] == what


def test_a_server_that_never_ends_its_answer(tmp_path: Path) -> None:
    words = (*SMALL, *fake("slow-check"), "benchmark=none")
    code, folder = run_here(tmp_path, *words, "timeouts.first_token_s=60", "timeouts.request_s=1")
    assert code == 1
    told = "/v1/completions did not answer within 1 s; allow more with timeouts.request_s=…"
    assert folder.details["capital"] == told


def test_a_run_that_is_over_ends_a_check_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "time", Clock(tmp_path / "hanging"))
    words = own(tmp_path, mine={"uses": "own_parts:Hangs", "how": "loop"})
    code, folder = run_here(tmp_path, *words, *fake())
    assert code == 3
    folder.assert_nothing_left()
    what = "the run took more than 14400 s"
    assert folder.report["errors"] == [
        {"where": "timeouts.run_s", "what": what, "do": "allow more with timeouts.run_s=…"}
    ]
    assert folder.verdicts == {"mine": "error", "capital": "skipped", "another": "skipped", "load": "skipped"}
    assert set(folder.details.values()) == {what}
    assert folder.report["teardown"] == DOWN


def test_a_run_that_is_over_ends_the_wait_for_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "time", Clock(tmp_path / "waited"))
    code, folder = run_here(tmp_path, *SMALL, *fake("deaf"))
    assert code == 3
    folder.assert_nothing_left()
    assert folder.report["errors"][0]["where"] == "timeouts.run_s"
    assert folder.phases == ["launch", "ready", "teardown"]


def fetching(monkeypatch: pytest.MonkeyPatch, fetch: Callable[..., object]) -> None:
    """Have runs fetch weights first, in this way."""
    gather = prepare.gather
    monkeypatch.setattr(prepare, "gather", lambda *args, **given: replace(gather(*args, **given), to_fetch=1))
    monkeypatch.setattr(runner, "fetch", fetch)


def test_a_run_that_is_over_ends_its_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> None:
        (tmp_path / "hanging").touch()
        threading.Event().wait()

    monkeypatch.setattr(runner, "time", Clock(tmp_path / "hanging"))
    fetching(monkeypatch, fetch)
    code, folder = run_here(tmp_path, *SMALL, *fake())
    assert code == 3
    assert folder.report["errors"][0]["where"] == "timeouts.run_s"
    assert folder.phases == ["fetch", "teardown"]


def test_a_download_that_takes_too_long_says_what_to_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Problem("stopped", "the download of a/model was stopped", "run it again")
    fetching(monkeypatch, lambda *_: stopped)
    code, folder = run_here(tmp_path, *SMALL, *fake())
    assert code == 3
    do = "allow more with timeouts.fetch_s=…, and run it again"
    assert folder.report["errors"] == [{"where": "model.id", "what": stopped.what, "do": do}]


def test_a_server_that_dies_while_a_check_hangs_is_noticed(tmp_path: Path) -> None:
    started = Started(tmp_path, *own(tmp_path, mine={"uses": "own_parts:Hangs", "how": "wait"}), *fake())
    started.wait_for("hanging")
    os.kill(started.pids()[0], signal.SIGKILL)
    assert started.wait() == 3, started.stderr
    started.assert_nothing_left()
    assert started.verdicts["mine"] == "error"
    assert started.details["mine"] == "the server was killed by signal 9"


def test_ctrl_c_ends_a_check_that_loops(tmp_path: Path) -> None:
    started = Started(tmp_path, *own(tmp_path, mine={"uses": "own_parts:Hangs", "how": "loop"}), *fake())
    started.wait_for("hanging")
    started.popen.send_signal(signal.SIGINT)
    assert started.wait() == 130, started.stderr
    started.assert_nothing_left()
    assert set(started.verdicts.values()) == {"skipped"}


def test_a_report_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "WRITE_S", 0.2)
    monkeypatch.setattr(Json, "write", lambda *_: threading.Event().wait())
    code, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert code == 0
    folder.assert_nothing_left()
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("passed in ")
    assert "the report in runs/small/cpu/" in err
    assert " cannot be written: it took more than 0.2 s; make room there, or name another folder" in err


def test_a_server_that_fills_the_disk_with_its_log_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not left the grace, in which it would go on."""
    graces = []
    stop = server.Server.stop
    monkeypatch.setattr(server.Server, "stop", lambda self, s, hurry: (graces.append(hurry()), stop(self, s, hurry))[1])
    words = own(tmp_path, mine={"uses": "own_parts:Floods"})
    code, folder = run_here(tmp_path, *words, *fake(), "report.max_log_mib=1")
    assert code == 3
    folder.assert_nothing_left()
    what, do = "server.log grew larger than 1 MiB", "allow more with report.max_log_mib=…"
    assert folder.report["errors"] == [{"where": "report.max_log_mib", "what": what, "do": do}]
    assert folder.verdicts["mine"] == "error"
    assert graces == [True]


def test_a_benchmark_that_fills_the_disk_with_its_log_fails(tmp_path: Path) -> None:
    words = own(tmp_path, {"mine": {"uses": "own_parts:FloodingBench"}})
    code, folder = run_here(tmp_path, *words, *fake(), "report.max_log_mib=1", "validation=none")
    assert code == 1
    folder.assert_nothing_left()
    assert folder.verdicts == {"mine": "failed", "load": "measured"}
    assert folder.details["mine"] == "flood.log grew larger than 1 MiB; allow more with report.max_log_mib=…"


@pytest.mark.parametrize("name", sorted(Timeouts.model_fields))
@pytest.mark.parametrize("value", [".inf", ".nan", "1e9", "-1"])
def test_no_limit_is_without_end(tmp_path: Path, name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(tmp_path, *SMALL, f"timeouts.{name}={value}")[0] == 2
    assert capsys.readouterr().err.startswith(f"recipe-run: timeouts.{name} — ")


def test_every_limit_is_explained() -> None:
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "timeouts.md").read_text()
    assert [name for name in Timeouts.model_fields if f"`{name}`" not in page] == []
