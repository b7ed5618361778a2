"""Sweeps on the simulated server: what their folder tells, how they are gone on with, and when they cannot be."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import sweep
from recipe_runner.figures.best import UNKNOWN
from recipe_runner.host import leases
from recipe_runner.serialize import write_json
from recipe_runner.serving import server
from tests.running import Started, run_here

OWN = '''
import os
import signal
import time
from pathlib import Path

import psutil

from recipe_runner.api import Benchmark, Outcome, Report


class Told(Benchmark):
    """Measures what it is told; a file named after that says what else happens, once."""

    value: int

    def run(self, name, bench):
        told = Path(f"at-{self.value}")
        what = told.read_text() if told.exists() else ""
        told.unlink(missing_ok=True)
        if what == "killed":
            for child in psutil.Process().children(recursive=True):
                child.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "interrupted":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
        if what == "error":
            raise ZeroDivisionError
        figures = {"output_throughput": 100 * self.value, "median_ttft_ms": 10 + self.value, "median_tpot_ms": 5}
        return Outcome(what or "measured", "", figures)


class Broken(Report):
    def write(self, report, folder):
        pass

    def write_sweep(self, sweep, folder):
        return sweep["no such"]


class Seen(Report):
    def write(self, report, folder):
        pass

    def write_sweep(self, sweep, folder):
        (folder / "seen").write_text(str([(p["verdict"], (p["report"] or {}).get("verdict")) for p in sweep["points"]]))
'''
RECIPE = """\
summary: What is told
model: {id: a/model}
serve: {host: 127.0.0.1, port: 0}
validation:
  capital: {uses: completion, prompt: The capital of France is, expect: {contains: Paris}}
benchmark:
  told: {uses: "sweep_plugins:Told", value: 0}
"""
WORDS = ("-m", "recipe=mine", "hardware=cpu", "engine=sim")
VALUES = "benchmark.told.value=3,1,2"
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """recipe-run in this folder, with nothing captured of what came before."""
    monkeypatch.setattr(leases, "FOLDER", tmp_path / "leases")
    (tmp_path / "sweep_plugins.py").write_text(OWN)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text(RECIPE)

    def run(*words: str) -> int:
        capfd.readouterr()
        return run_here(tmp_path, *words)[0]

    return run


def folder() -> Path:
    (found,) = Path("runs/sweeps").iterdir()
    return found


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder() / "sweep.json").read_text())
    return found


def points() -> list[tuple[str, str | None]]:
    return [(point["folder"], point["verdict"]) for point in document()["points"]]


def folders() -> list[str]:
    return sorted(path.name for path in folder().iterdir() if path.is_dir())


def test_the_document_is_there_before_anything_starts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    start = server.Server.start

    def spied(self: server.Server) -> None:
        seen.append(document())
        start(self)

    monkeypatch.setattr(server.Server, "start", spied)
    assert run(*WORDS, VALUES, "report.formats=[json]") == 0
    (before,) = seen
    assert list(before) == ["format", "words", "config_dirs", "trust", "started", "axes", "points"]
    assert {key: before[key] for key in ("format", "words", "config_dirs", "trust", "axes")} == {
        "format": 1,
        "words": [*WORDS[1:], VALUES, "report.formats=[json]"],
        "config_dirs": [],
        "trust": False,
        "axes": {"benchmark.told.value": [3, 1, 2]},
    }
    assert before["points"] == [
        {"number": number, "folder": f"00{number}", "overrides": {"benchmark.told.value": value}, "verdict": None}
        for number, value in enumerate((3, 1, 2))
    ]
    after = document()
    assert [point.pop("verdict") for point in after["points"]] == ["passed"] * 3
    assert [point.pop("verdict") for point in before["points"]] == [None] * 3
    assert after == before


def test_points_that_differ_in_the_benchmark_alone_share_a_launch_and_keep_their_order(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*WORDS, "benchmark.told.value=1,2", "serve.max_model_len=256,128", "--json") == 0
    out, err = capfd.readouterr()
    assert len(list(folder().glob("*/server.log"))) == 2
    assert re.findall(r"^point .*$", err, re.M) == [
        "point 1 of 4: benchmark.told.value=1, serve.max_model_len=256",
        "point 3 of 4: benchmark.told.value=2, serve.max_model_len=256",
        "point 2 of 4: benchmark.told.value=1, serve.max_model_len=128",
        "point 4 of 4: benchmark.told.value=2, serve.max_model_len=128",
    ]
    told = json.loads(out)
    assert list(told) == list(document())
    assert [point["errors"] for point in told["points"]] == [[]] * 4
    reports = [point["report"] for point in told["points"]]
    assert [report["overrides"]["benchmark.told.value"] for report in reports] == [1, 1, 2, 2]
    assert [Path(report["server_log"]).parent.name for report in reports] == ["000", "001", "000", "001"]


def test_a_sweep_ends_with_its_points_beside_each_other(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*WORDS, VALUES) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [re.sub(r"in \S+ s", "in # s", line) for line in lines[:3]] == [
        f"passed (simulated) in # s; 0 processes left; {folder()}/00{number}" for number in range(3)
    ]
    cells = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines if line[0] in "│┃"]
    assert cells == [
        ["point", "benchmark.told.value", "verdict", "output tok/s", "median TTFT ms", "median TPOT ms"],
        ["000", "3", "passed", "300.00", "13.00", "5.00"],
        ["001", "1", "passed", "100.00", "11.00", "5.00"],
        ["002", "2", "passed", "200.00", "12.00", "5.00"],
    ]
    assert lines[-1] == UNKNOWN


def test_the_best_of_repeated_points_is_marked(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*WORDS, VALUES, "benchmark.told.repeat=3") == 0
    *lines, best, apart = capfd.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines if line[0] == "│"]
    assert [row[3:] for row in cells] == [
        *(["300.00 *", "13.00", "5.00"], ["100.00", "11.00 *", "5.00"], ["200.00", "12.00", "5.00"])
    ]
    assert best.strip() == "* best"
    assert apart == (
        "two figures are told apart where they differ by more than 0.0 % (output tok/s), 0.0 % (median TTFT ms), "
        "0.0 % (median TPOT ms)"
    )


def test_a_sweep_of_one_point_is_a_sweep(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*WORDS, "--json") == 0
    assert [point["verdict"] for point in json.loads(capfd.readouterr().out)["points"]] == ["passed"]
    assert (document()["axes"], points()) == ({}, [("000", "passed")])


def test_one_that_was_interrupted_is_gone_on_with(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("at-1").write_text("interrupted")
    assert run(*WORDS, VALUES) == 130
    assert points() == [("000", "passed"), ("001", "interrupted"), ("002", None)]
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == f"2 of 3 points have no result; to go on: recipe-run -m --resume {folder()}"
    kept = (folder() / "001" / "report.json").read_bytes()

    assert run("-m", "--resume", str(folder())) == 0
    assert points() == [("000", "passed"), ("001.2", "passed"), ("002", "passed")]
    assert folders() == ["000", "001", "001.2", "002"]
    assert (folder() / "001" / "report.json").read_bytes() == kept
    out, err = capfd.readouterr()
    assert re.findall("^point .*$", err, re.M) == [
        "point 2 of 3: benchmark.told.value=1",
        "point 3 of 3: benchmark.told.value=2",
    ]
    assert out.count("│ passed ") == 3
    assert "to go on" not in err


def test_one_that_was_killed_keeps_what_it_had_measured(run: Run, tmp_path: Path) -> None:
    Path("at-1").write_text("killed")
    assert Started(tmp_path, *WORDS, VALUES, "report.formats=[]").wait() == -9
    assert points() == [("000", "passed"), ("001", None), ("002", None)]
    assert run("-m", "--resume", "runs/sweeps") == 0, "the newest there"
    assert run("-m", "--resume", str(folder() / "sweep.json")) == 0
    assert points() == [("000", "passed"), ("001.2", "passed"), ("002", "passed")]


def test_what_ended_with_an_error_is_run_again_and_what_failed_is_not(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("at-3").write_text("failed")
    Path("at-1").write_text("error")
    assert run(*WORDS, VALUES) == 70
    assert points() == [("000", "failed"), ("001", "error"), ("002", "passed")]
    assert run("-m", "--resume", str(folder()), "--json") == 1, "of all points"
    assert points() == [("000", "failed"), ("001.2", "passed"), ("002", "passed")]
    told = json.loads(capfd.readouterr().out)
    assert [point["report"]["verdict"] for point in told["points"]] == ["failed", "passed", "passed"]


def test_where_every_point_has_its_result_that_is_said(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("at-1").write_text("failed")
    assert run(*WORDS, VALUES) == 1
    before = folders()
    assert run("-m", "--resume", str(folder())) == 1
    out, err = capfd.readouterr()
    assert err == f"every point of {folder()} has its result\n"
    assert out.count("│ passed ") == 2
    assert folders() == before


def refusal(capfd: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    return [line.removeprefix("recipe-run: ") for line in err.splitlines()]


def begun(run: Run) -> str:
    """A sweep of which one point has its result."""
    Path("at-1").write_text("interrupted")
    assert run(*WORDS, VALUES) == 130
    return str(folder())


CURE = "begin a new sweep: its points could not be compared with those that have ended"


def test_after_the_recipe_changed_it_is_refused(
    run: Run, write: Callable[[str, str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    at = begun(run)
    write("recipes/mine.yaml", RECIPE.replace("port: 0", "port: 0, max_model_len: 64"))
    assert run("-m", "--resume", at) == 2
    assert refusal(capfd) == [
        f"{at}/000 — mine.yaml has changed since; {CURE}",
        f"{at}/000 — it ran with nothing, and would run with --max-model-len 64 now; {CURE}",
    ]
    assert folders() == ["000", "001"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (("CUDA_VISIBLE_DEVICES", "1"), None),
        (("VLLM_LOGGING_LEVEL", "DEBUG"), "it ran with nothing, and would run with VLLM_LOGGING_LEVEL=DEBUG now"),
    ],
)
def test_under_other_variables_it_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], now: tuple[str, str], told: str | None
) -> None:
    at = begun(run)
    monkeypatch.setenv(*now)
    assert run("-m", "--resume", at) == (2 if told else 0)
    assert told is None or refusal(capfd) == [f"{at}/000 — {told}; {CURE}"]


def changed(change: Callable[[dict[str, Any]], object]) -> None:
    """Change the plan that the first point ran by."""
    file = folder() / "000" / "plan.json"
    plan = json.loads(file.read_text())
    change(plan)
    file.write_text(json.dumps(plan))


def turned(plan: dict[str, Any]) -> None:
    """Have the last two flags the other way round."""
    argv = plan["processes"][0]["argv"]
    argv[-4:] = [*argv[-2:], *argv[-4:-2]]


def test_variables_fields_and_repeats_of_a_point_are_compared_and_their_order_is_not(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    at = begun(run)
    changed(turned)
    changed(lambda plan: plan["processes"][0]["env"].update(A="1"))
    changed(lambda plan: plan["benchmarks"][0]["fields"].update(value=4))
    changed(lambda plan: plan["benchmarks"][0].update(times=2))
    assert run("-m", "--resume", at) == 2
    was, now = "A=1, told.times=2, told.value=4", "told.times=1, told.value=3"
    assert refusal(capfd) == [f"{at}/000 — it ran with {was}, and would run with {now} now; {CURE}"]


def test_after_the_environment_changed_it_is_refused(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    at = begun(run)
    file = folder() / "000" / "report.json"
    report = json.loads(file.read_text())
    report["environment"] |= {"vllm": "0.20.0", "gpus": ["A100", "A100"], "packages": ["their-checks 1.0"]}
    file.write_text(json.dumps(report))
    assert run("-m", "--resume", at) == 2
    assert refusal(capfd) == [
        f"{at}/000 — vLLM was 0.20.0, and is simulated now; {CURE}",
        f"{at}/000 — the GPUs was A100, A100, and is nothing now; {CURE}",
        f"{at}/000 — the packages in use was their-checks 1.0, and is nothing now; {CURE}",
    ]


def test_a_point_of_which_it_is_not_known_how_it_ran_is_refused(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    at = begun(run)
    (folder() / "000" / "plan.json").write_text("{")
    assert run("-m", "--resume", at) == 2
    assert refusal(capfd) == [f"{at}/000 — its plan.json cannot be read; {CURE}"]


def test_words_that_come_to_other_points_are_refused(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    at = begun(run)
    found = document()
    found["words"][-1] = "benchmark.told.value=3,1,4"
    (folder() / "sweep.json").write_text(json.dumps(found))
    assert run("-m", "--resume", at) == 2
    assert refusal(capfd) == [f"{at} — its words come to other points now; begin a new sweep"]


def test_trust_is_typed_again(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("at-1").write_text("interrupted")
    assert run("--trust", *WORDS, VALUES) == 130
    again = f"recipe-run -m --resume {folder()} --trust"
    assert capfd.readouterr().err.splitlines()[-1].endswith(f"to go on: {again}")
    assert run("-m", "--resume", str(folder())) == 2
    assert refusal(capfd) == [
        f"--trust — this sweep was begun with --trust, which is not taken from a file; if you still trust it: {again}"
    ]
    assert run(*again.split()[1:]) == 0


def test_added_folders_are_those_of_the_sweep(run: Run) -> None:
    Path("my/hardware").mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / "conf" / "hardware" / "cpu.yaml", "my/hardware/desk.yaml")
    Path("at-1").write_text("interrupted")
    assert run(*WORDS, VALUES, "hardware=desk", "--config-dir", "my") == 130
    assert document()["config_dirs"] == ["my"]
    assert run("-m", "--resume", str(folder())) == 0


@pytest.mark.parametrize("more", [["serve.x=1"], ["--config-dir", "my"]])
def test_words_beside_are_refused(run: Run, more: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run("-m", "--resume", "runs/sweeps/a b", *more) == 2
    told = (
        "--resume — a sweep is gone on with as it was begun, with its own words; "
        "write recipe-run -m --resume 'runs/sweeps/a b', or begin a new sweep without --resume"
    )
    assert refusal(capfd) == [told]
    assert run("--resume", "runs/sweeps/a b") == 2
    assert refusal(capfd) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "here — this is no sweep: there is no sweep.json in it; name a folder of runs/sweeps/"),
        ("{", "here/sweep.json — this cannot be read: it was cut off, or edited; begin a new sweep"),
        ("[]", "here/sweep.json — this cannot be read: it was cut off, or edited; begin a new sweep"),
        ('{"format": 1}', "here/sweep.json — this cannot be read: it was cut off, or edited; begin a new sweep"),
        (
            '{"format": 2}',
            "here/sweep.json — this is of format 2, and this recipe-run reads up to 1; update recipe-runner",
        ),
    ],
)
def test_what_is_no_sweep_is_refused(run: Run, text: str | None, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("here").mkdir()
    if text is not None:
        Path("here/sweep.json").write_text(text)
    assert run("-m", "--resume", "here") == 2
    assert refusal(capfd) == [told]
    assert run("-m", "--resume", "nowhere") == 2
    assert refusal(capfd) == ["nowhere — there is no such folder; name a folder of runs/sweeps/"]


def test_a_sweep_that_another_process_runs_is_left_to_it(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    at = begun(run)
    held = leases.lease([f"sweep-{folder().name}"], "elsewhere")
    assert isinstance(held, leases.Lease)
    with held:
        assert run("-m", "--resume", at) == 2
    (told,) = refusal(capfd)
    assert re.fullmatch(re.escape(at) + r" — this sweep is leased by pid \d+ of \S+ \(elsewhere\); .*", told)
    assert told.endswith("; wait for it, or stop it")


def test_writers_are_given_the_points_with_their_reports(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("at-1").write_text("interrupted")
    formats = "report.formats=['sweep_plugins:Broken', 'sweep_plugins:Seen']"
    assert run(*WORDS, VALUES, formats) == 130
    assert (folder() / "seen").read_text() == "[('passed', 'passed'), ('interrupted', 'interrupted'), (None, None)]"
    told, last = capfd.readouterr().err.splitlines()[-2:]
    line = 1 + OWN.splitlines().index('        return sweep["no such"]')
    assert told == (
        "recipe-run: report.formats — the sweep_plugins:Broken report cannot be written: "
        f"KeyError: 'no such' (sweep_plugins.py:{line}); mend what writes it; see events.jsonl"
    )
    (event,) = [json.loads(line) for line in (folder() / "events.jsonl").read_text().splitlines()]
    assert event["event"] == "traceback"
    assert "to go on" in last


def test_a_document_that_cannot_be_written_any_more_costs_no_point(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, value: Any) -> Path:
        if path.name == "sweep.json" and (path.parent / "002").exists():
            raise OSError(28, "No space left on device")
        return write_json(path, value)

    monkeypatch.setattr(sweep, "write_json", full)
    assert run(*WORDS, VALUES) == 0
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"recipe-run: report.folder — sweep.json in {folder()} cannot be written: No space left on device; "
        "make room there, or name another folder with report.folder=…"
    )
    assert points()[2] == ("002", None)
    assert run("-m", "--resume", str(folder())) == 0
    assert folders() == ["000", "001", "002"], "the reports of the points say what was done"
