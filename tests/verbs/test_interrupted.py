"""Ctrl-C, SIGTERM, SIGHUP and SIGQUIT at any moment: torn down, reported, nothing left behind."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.running import DOWN, LIMIT_S, SMALL, Started, fake

SKIPPED = {"capital": "skipped", "another": "skipped", "load": "skipped"}
CHECKED = {"capital": "passed", "another": "passed"}


@pytest.mark.parametrize(
    ("how", "moment", "number", "verdicts"),
    [
        ("deaf", "launch", signal.SIGINT, SKIPPED),
        ("deaf", "waited", signal.SIGINT, SKIPPED),
        ("deaf", "waited", signal.SIGTERM, SKIPPED),
        ("deaf", "waited", signal.SIGHUP, SKIPPED),
        ("deaf", "waited", signal.SIGQUIT, SKIPPED),
        ("slow-check", "in-check", signal.SIGINT, SKIPPED),
        ("bench-hangs", "in-bench", signal.SIGINT, CHECKED | {"load": "skipped"}),
        ("bench-stubborn", "in-bench", signal.SIGTERM, CHECKED | {"load": "skipped"}),
    ],
)
def test_once(tmp_path: Path, how: str, moment: str, number: signal.Signals, verdicts: dict[str, str]) -> None:
    started = Started(tmp_path, *SMALL, *fake(how))
    started.wait_for(moment)
    started.popen.send_signal(number)
    assert started.wait() == 130, started.stderr
    started.assert_nothing_left()
    assert started.report["verdict"] == "interrupted"
    assert started.report["teardown"] == DOWN
    assert started.report["errors"] == []
    assert started.verdicts == verdicts
    assert {started.details[name] for name, verdict in verdicts.items() if verdict == "skipped"} == {"interrupted"}
    assert started.events[-1] | {"at": ""} == {"at": "", "event": "end", "verdict": "interrupted"}
    assert started.stdout.splitlines()[-1].startswith("interrupted in ")


@pytest.mark.parametrize(
    ("how", "moment", "verdicts"),
    [
        (("deaf", "ignores-sigterm"), "waited", SKIPPED),
        (("bench-hangs", "ignores-sigterm"), "in-bench", CHECKED | {"load": "skipped"}),
        (("ignores-sigterm",), "terminated", CHECKED | {"load": "measured"}),
    ],
    ids=["starting", "measuring", "tearing down"],
)
def test_a_second_signal_skips_the_grace(
    tmp_path: Path, how: tuple[str, ...], moment: str, verdicts: dict[str, str]
) -> None:
    """The grace is longer than the test may take."""
    started = Started(tmp_path, *SMALL, *fake(*how), "timeouts.stop_s=3600")
    started.wait_for(moment)
    started.popen.send_signal(signal.SIGINT)
    started.wait_for("terminated")
    assert started.popen.poll() is None
    started.popen.send_signal(signal.SIGTERM)
    assert started.wait() == 130, started.stderr
    started.assert_nothing_left()
    assert started.report["verdict"] == "interrupted"
    assert started.report["teardown"] == DOWN
    assert started.verdicts == verdicts


def test_before_anything_was_launched(tmp_path: Path) -> None:
    """While it asks a server that does not answer which models it has."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LIMIT_S)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = Started(tmp_path, SMALL[0], "engine=attach", f"engine.url={url}")
        with silent.accept()[0]:
            started.popen.send_signal(signal.SIGTERM)
            code = started.wait()
    assert (code, started.stderr, started.stdout) == (130, "interrupted\n", "")
    assert not (tmp_path / "runs").exists()


def test_a_sweep_stops_at_the_point_where_it_was_interrupted(tmp_path: Path) -> None:
    swept = ("serve.max_model_len=512,1024", "benchmark.load.num_prompts=5,4")
    started = Started(tmp_path, "-m", *SMALL, *fake("bench-hangs"), *swept)
    started.wait_for("in-bench")
    started.popen.send_signal(signal.SIGINT)
    assert started.wait() == 130, started.stderr
    started.assert_nothing_left()
    folders = sorted(path.parent.name for path in tmp_path.glob("runs/sweeps/*/*/report.md"))
    assert folders == ["000"]
    (sweep,) = tmp_path.glob("runs/sweeps/*")
    points = json.loads((sweep / "sweep.json").read_text())["points"]
    assert [point["verdict"] for point in points] == ["interrupted", None, None, None]
    assert started.stdout.count("interrupted in ") == 1
    assert started.stderr.splitlines()[-1] == (
        f"4 of 4 points have no result; to go on: recipe-run -m --resume {sweep.relative_to(tmp_path)}"
    )


@pytest.mark.parametrize(
    ("words", "number", "code", "verdict"),
    [
        ((), signal.SIGINT, 0, "passed"),
        (("validation.capital.expect.contains=Rome",), signal.SIGTERM, 1, "failed"),
        (("validation=none",), signal.SIGHUP, 4, "inconclusive"),
    ],
)
def test_serve_ends_with_what_its_checks_said(
    tmp_path: Path, words: tuple[str, ...], number: signal.Signals, code: int, verdict: str
) -> None:
    started = Started(tmp_path, "serve", *SMALL, *fake(), *words)
    started.wait_for("Ctrl-C stops it")
    assert started.popen.poll() is None
    assert f"serving test/small at {started.plan['url']}; Ctrl-C stops it\n" in started.stderr
    started.popen.send_signal(number)
    assert started.wait() == code, started.stderr
    started.assert_nothing_left()
    assert started.report["verdict"] == verdict
    assert started.report["benchmarks"] == []
    assert started.report["teardown"] == DOWN
    assert started.phases == ["launch", "ready", "checks", "serving", "teardown"]


@pytest.mark.parametrize(("how", "moment"), [("deaf", "waited"), ("slow-check", "in-check")])
def test_serve_that_was_not_ready_yet_is_interrupted(tmp_path: Path, how: str, moment: str) -> None:
    started = Started(tmp_path, "serve", *SMALL, *fake(how))
    started.wait_for(moment)
    started.popen.send_signal(signal.SIGINT)
    assert started.wait() == 130
    started.assert_nothing_left()
    assert started.report["verdict"] == "interrupted"
    assert started.report["benchmarks"] == []


def test_serve_whose_server_dies(tmp_path: Path) -> None:
    started = Started(tmp_path, "serve", *SMALL, *fake())
    started.wait_for("Ctrl-C stops it")
    os.kill(started.pids()[0], signal.SIGKILL)
    assert started.wait() == 3
    started.assert_nothing_left()
    assert started.report["verdict"] == "error"
    assert started.verdicts == CHECKED
    assert f"server — the server was killed by signal 9; see {started.report['server_log']}\n" in started.stderr
