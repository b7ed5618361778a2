"""Whole runs on servers that misbehave: the verdict, the words, and nothing left behind."""

from pathlib import Path

import pytest

from recipe_runner import runner
from recipe_runner.serving import items, server
from tests.running import DOWN, SMALL, Clock, Folder, fake, run_here

READY = "timeouts.ready_s=60"
LOG = "see {log}"
GENERATES = "the server is up, but does not generate: /v1/completions"


@pytest.mark.parametrize(
    ("how", "word", "what", "do", "excerpt"),
    [
        ("ends", READY, "the server ended with status 7", LOG, ["ValueError: no such architecture"]),
        (
            "deaf",
            "timeouts.ready_s=1.5",
            "the server was not ready after 1.5 s",
            f"{LOG}, or wait longer with timeouts.ready_s=…",
            ["INFO loading weights"],
        ),
        (
            "unhealthy",
            "timeouts.ready_s=auto",
            "the server was not ready after 180 s",
            f"{LOG}, or wait longer with timeouts.ready_s=…",
            None,
        ),
        ("generates-400", READY, f"{GENERATES} answered 400: this model does not support\\x1b[2J it", LOG, None),
        ("generates-garbage", READY, f"{GENERATES} answered something else than JSON: '<html>'", LOG, None),
        ("generates-nothing", READY, f"{GENERATES} answered without a text in `choices`", LOG, None),
        ("generates-no-text", READY, f"{GENERATES} answered without a text in `choices`", LOG, None),
    ],
)
def test_servers_that_do_not_get_ready(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    word: str,
    what: str,
    do: str,
    excerpt: list[str] | None,
) -> None:
    monkeypatch.setattr(server, "time", Clock(tmp_path / "waited"))
    code, folder = run_here(tmp_path, *SMALL, *fake(how), word)
    assert code == 3
    folder.assert_nothing_left()
    report = folder.report
    assert report["verdict"] == "error"
    assert report["errors"] == [{"where": "server", "what": what, "do": do.format(log=report["server_log"])}]
    assert report["teardown"] == DOWN
    assert set(folder.verdicts.values()) == {"skipped"}
    assert set(folder.details.values()) == {what}
    assert folder.phases == ["launch", "ready", "teardown"]
    assert report["log_excerpt"]
    assert excerpt in (None, report["log_excerpt"])
    told = capsys.readouterr().err
    assert f"server — {what}; {do.format(log=report['server_log'])}\n" in told
    assert "".join(f"  | {line}\n" for line in report["log_excerpt"]) in told


def test_a_first_generation_that_takes_too_long(tmp_path: Path) -> None:
    sim = ("engine=sim", "engine.ttft_ms=20000", "timeouts.ready_s=1", "timeouts.stop_s=1")
    code, folder = run_here(tmp_path, "recipe=internvl3", "hardware=a100x2", *sim, "serve.port=0", "benchmark=none")
    assert code == 3
    do = f"see {folder.report['server_log']}, or wait longer with timeouts.ready_s=…"
    assert folder.report["errors"] == [{"where": "server", "what": "the server was not ready after 1 s", "do": do}]
    assert folder.report["teardown"] == DOWN


def test_a_server_that_is_killed_in_a_check(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake("dies-in-a-check"))
    what = "the server was killed by signal 9"
    assert code == 3
    folder.assert_nothing_left()
    assert folder.report["errors"][0]["what"] == what
    assert folder.report["log_excerpt"] == ["RuntimeError: the engine is dead"]
    assert folder.verdicts == {"capital": "error", "another": "skipped", "load": "skipped"}
    assert set(folder.details.values()) == {what}
    assert folder.report["teardown"] == DOWN


def test_a_server_that_dies_in_its_last_item_is_noticed(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake("dies-in-a-check"), "benchmark=none", "~validation.another")
    assert code == 3
    assert folder.verdicts == {"capital": "error"}


def test_a_server_that_is_killed_while_it_is_measured(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake("bench-kills-server"))
    assert code == 3
    folder.assert_nothing_left()
    assert folder.verdicts == {"capital": "passed", "another": "passed", "load": "error"}
    assert folder.details["load"] == folder.report["errors"][0]["what"] == "the server was killed by signal 9"
    assert folder.report["teardown"] == DOWN


@pytest.mark.parametrize("how", ["ignores-sigterm", "orphan", "orphan-setsid"])
def test_what_does_not_want_to_go_is_killed(tmp_path: Path, how: str) -> None:
    """A grandchild that lost its parent holds the server's socket, and ignores SIGTERM."""
    code, folder = run_here(tmp_path, *SMALL, "timeouts.stop_s=0.3", *fake(how), "benchmark=none")
    assert code == 0
    folder.assert_nothing_left()
    assert folder.report["teardown"] == DOWN
    assert len(folder.pids()) == (1 if how == "ignores-sigterm" else 2)


def test_a_benchmark_that_takes_longer_than_a_run_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "time", Clock(tmp_path / "in-bench"))
    code, folder = run_here(tmp_path, *SMALL, *fake("bench-hangs"), "timeouts.run_s=3600")
    assert code == 3
    folder.assert_nothing_left()
    what = "the run took more than 3600 s"
    assert folder.report["errors"] == [
        {"where": "timeouts.run_s", "what": what, "do": "allow more with timeouts.run_s=…"}
    ]
    assert folder.verdicts == {"capital": "passed", "another": "passed", "load": "error"}
    assert folder.details["load"] == what


def test_a_port_that_somebody_took_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "AFTER_S", 0.1)
    monkeypatch.setattr(server, "port_free", lambda host, port: False)
    code, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert code == 0
    assert folder.report["teardown"] == DOWN | {"port_free": False}
    assert "; 0 processes left; the port is still in use; runs/small/cpu/" in capsys.readouterr().out


def test_a_bug_of_ours_leaves_nothing_and_the_report_does_not_say_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("who wrote\nthis?")

    monkeypatch.setattr(items, "Bench", broken)
    code, folder = run_here(tmp_path, *SMALL, *fake())
    assert code == 70
    folder.assert_nothing_left()
    assert folder.report["verdict"] == "error"
    what = "recipe-run failed: RuntimeError: who wrote\\nthis?"
    assert folder.report["errors"][0] == {
        "where": "recipe-run",
        "what": what,
        "do": "report this bug with the traceback",
    }
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_run_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert run_here(tmp_path, *SMALL, *fake(), "report.folder=taken")[0] == 2
    told = capsys.readouterr().err
    assert told.startswith("recipe-run: report.folder — taken/small/cpu/")
    assert told.endswith(" cannot be written: Not a directory; name another with report.folder=…\n")
    assert not Folder(tmp_path).pids()
