"""recipe-run in a process of its own: its exit codes, and what it says where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipe_runner.verbs import run
from tests.running import LIMIT_S, SMALL, Folder, Started, fake, run_here

SIM = (*SMALL, "engine=sim", "benchmark=none")
RAISES = """
from recipe_runner.api import Check


class Raises(Check):
    def run(self, server):
        raise KeyError
"""


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        (SIM, 0, "passed"),
        ((*SIM, "validation.another.expect.contains=Rome"), 1, "failed"),
        (("recipe=smal", "hardware=cpu"), 2, None),
        ((*SMALL, *fake("ends")), 3, "error"),
        ((*SIM, "validation=none"), 4, "inconclusive"),
        ((*SIM, "validation.raises={uses: 'raises:Raises'}"), 70, "error"),
    ],
)
def test_exit_codes(tmp_path: Path, words: tuple[str, ...], code: int, verdict: str | None) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    started = Started(tmp_path, *words)
    assert started.wait() == code, started.stderr
    started.assert_nothing_left()
    if verdict is None:
        assert not (tmp_path / "runs").exists()
    else:
        simulated = " (simulated)" if words[: len(SIM)] == SIM else ""
        assert started.report["verdict"] == verdict
        assert started.stdout.splitlines()[-1].startswith(f"{verdict}{simulated} in ")


def test_what_a_person_reads_goes_to_stderr_and_the_result_to_stdout(tmp_path: Path) -> None:
    started = Started(tmp_path, *SMALL, *fake())
    assert started.wait() == 0
    folder = started.report["folder"]
    clock, told = zip(*[(line[:11], line[11:]) for line in started.stderr.splitlines()[1:]], strict=True)
    assert all(moment.endswith(" s  ") and float(moment[:-4]) >= 0 for moment in clock)
    assert started.stderr.splitlines()[0] == f"small on cpu, into {folder}"
    assert list(told) == [
        *("launch", "waiting until it is ready", "checks"),
        *("passed      capital  'The capital of France is Paris.'", "passed      another  'Tokyo.'"),
        *("benchmarks", "measured    load  5 requests, 10.00 tok/s out, median TTFT 12.2 ms", "teardown"),
    ]
    *table, capital, another, load, verdict = started.stdout.splitlines()
    assert [" ".join(line.split()) for line in table if "│" in line][:2] == [
        "│ Successful requests │ 5 │ 5 │",
        "│ Failed requests │ 0 │ │",
    ]
    assert capital == "passed       capital 'The capital of France is Paris.'"
    assert another == "passed       another 'Tokyo.'"
    assert load == "measured     load 5 requests, 10.00 tok/s out, median TTFT 12.2 ms"
    assert verdict.startswith("passed in ")
    assert verdict.endswith(f" s; 0 processes left; {folder}")
    assert "\x1b" not in started.stdout + started.stderr


def test_where_there_is_no_terminal_nothing_is_animated(tmp_path: Path) -> None:
    started = Started(tmp_path, *SIM, FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert started.wait() == 0
    assert "\x1b[?25l" not in started.stderr
    assert "launch" in started.stderr
    assert "capital" in started.stdout


@pytest.mark.parametrize(("words", "unbuffered"), [((), ""), ((), "1"), (("--json",), "")])
def test_when_nobody_reads_any_more_the_verdict_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "recipe_runner", *SIM, "validation=none", *words]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=write, timeout=LIMIT_S, check=False)
    os.close(write)
    assert done.returncode == 4
    assert Folder(tmp_path).report["verdict"] == "inconclusive"
    Folder(tmp_path).assert_nothing_left()


def test_json_is_one_document_and_the_same_as_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = run_here(tmp_path, *SIM, "--json")
    out, err = capsys.readouterr()
    assert code == 0
    assert json.loads(out) == folder.report
    assert "teardown" in err


def test_json_of_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(tmp_path, *SIM, "--json", "serve.port=99999")[0] == 2
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert list(document) == ["format", "errors"]
    assert [list(error) for error in document["errors"]] == [["where", "what", "do"]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (SIM, "recipe-run: platform — darwin cannot run vLLM servers; use WSL2, or attach to a server elsewhere"),
        ((*SMALL[:1], "engine=attach", "engine.url=http://127.0.0.1:1"), "recipe-run: engine.url — no server answers"),
    ],
)
def test_elsewhere_than_on_linux_one_can_attach(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.setattr(run.sys, "platform", "darwin")
    assert run_here(tmp_path, *words)[0] == 2
    assert capsys.readouterr().err.startswith(told)
    assert not (tmp_path / "runs").exists()
