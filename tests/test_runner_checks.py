"""Checks that come to all sorts of ends: each is told, and none stops another."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import DATA, SMALL, Folder, fake, run_here

CHECKS = """
import os
import signal
from pathlib import Path

from recipe_runner.api import Check, Outcome


class Raises(Check):
    def run(self, server):
        raise ValueError("two\\nlines \\ud83d")


class Kills(Check):
    def run(self, server):
        pid = int(Path("pids").read_text())
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return Outcome("passed")


class Nothing(Check):
    def run(self, server):
        pass


class Says(Check):
    outcome: str
    detail: str = ""

    def run(self, server):
        return Outcome(self.outcome, self.detail)
"""


def own(tmp_path: Path, **validation: Any) -> tuple[str, ...]:
    """The words that run a recipe with these checks, some from a module in the current folder, after its own."""
    (tmp_path / "own_checks.py").write_text(CHECKS)
    recipe = yaml.safe_load((DATA / "small.yaml").read_text())
    recipe["validation"] |= validation
    shutil.copytree(DATA / "small", tmp_path / "small")
    (tmp_path / "own.yaml").write_text(json.dumps(recipe))
    return ("--trust", "recipe=own.yaml", "hardware=cpu", *fake(), "benchmark=none")


def test_a_check_that_passes_does_not_hide_that_the_server_died(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *own(tmp_path, last={"uses": "own_checks:Kills"}))
    assert code == 3
    folder.assert_nothing_left()
    assert folder.verdicts == {"capital": "passed", "another": "passed", "last": "error"}


def test_a_check_that_raises_is_an_error_and_the_others_still_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = own(tmp_path, capital={"uses": "own_checks:Raises"})
    code, folder = run_here(tmp_path, *words)
    assert code == 70, capsys.readouterr().err
    assert folder.report["verdict"] == "error"
    assert folder.report["errors"] == []
    assert folder.verdicts == {"capital": "error", "another": "passed"}
    assert folder.details["capital"] == "ValueError: two\\nlines \\ud83d (own_checks.py:11)"
    (trace,) = [event for event in folder.events if event["event"] == "traceback"]
    assert trace["name"] == "capital"
    assert trace["text"].startswith("Traceback (most recent call last):\n")
    assert trace["text"].endswith("\nValueError: two\nlines \ud83d\n")
    folder.assert_nothing_left()


def test_a_check_that_raises_tells_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "lines")
    _, folder = run_here(tmp_path, *own(tmp_path, capital={"uses": "own_checks:Raises"}))
    assert folder.details["capital"] == "ValueError: two\\n*** \\ud83d (own_checks.py:11)"
    (trace,) = [event for event in folder.events if event["event"] == "traceback"]
    assert trace["text"].endswith("\nValueError: two\n*** \ud83d\n")


@pytest.mark.parametrize(
    ("block", "verdict", "detail", "code"),
    [
        ({"uses": "own_checks:Nothing"}, "error", "TypeError: the result is None, not an Outcome", 70),
        ({"uses": "own_checks:Says", "outcome": "inconclusive"}, "inconclusive", "", 4),
        ({"uses": "own_checks:Says", "outcome": "skipped", "detail": "a\x1b[2J\nb"}, "skipped", "a\\x1b[2J\\nb", 0),
        ({"uses": "completion", "prompt": "Hi", "expect": {"contains": "x"}}, "failed", None, 1),
    ],
)
def test_outcomes_of_checks(tmp_path: Path, block: dict[str, Any], verdict: str, detail: str | None, code: int) -> None:
    assert run_here(tmp_path, *own(tmp_path, mine=block))[0] == code
    folder = Folder(tmp_path)
    assert folder.verdicts == {"capital": "passed", "another": "passed", "mine": verdict}
    assert detail in (None, folder.details["mine"])


def test_a_failed_check_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake(), "validation.capital.expect.contains=Rome")
    assert code == 1
    assert folder.report["verdict"] == "failed"
    assert folder.verdicts == {"capital": "failed", "another": "passed", "load": "measured"}
    detail = "'The capital of France is Paris.' does not contain 'Rome'"
    assert folder.details["capital"] == detail
    out, err = capsys.readouterr()
    assert f"failed       capital {detail}\n" in out
    assert f"failed      capital  {detail}\n" in err


def test_an_answer_that_is_none_fails_its_check_only(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none", "validation.another.extra_body={model: x}")
    assert code == 1
    assert folder.verdicts == {"capital": "passed", "another": "failed"}
    assert folder.details["another"] == "/v1/chat/completions answered 404: The model `x` does not exist."


def test_nothing_was_judged(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SMALL, "engine=sim", "validation=none")
    assert code == 4
    assert folder.report["verdict"] == "inconclusive"
    assert folder.report["benchmarks"][0]["detail"] == "no vllm command here to measure with"
