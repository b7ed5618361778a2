"""Whole runs with plugins that have bugs, and benchmarks that leave things: each is told, and nothing else is lost."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner.process import Child
from recipe_runner.serving import items
from tests.running import SMALL, Folder, run_here
from tests.test_runner_attached import serving

OWN = """
import sys

from recipe_runner.api import Benchmark, Check, Outcome, Report

LEAVES = '''
import mmap, os, sys, time
come, tell = os.pipe()
if os.fork() == 0:
    maps = []
    for name in sys.argv[1:]:
        with open(name, "a+b") as file:
            file.truncate(4096)
            maps.append(mmap.mmap(file.fileno(), 0))
    os.write(tell, b"x")
    time.sleep(60)
os.read(come, 1)
'''


class Changed(Check):
    def run(self, server):
        metrics = {}
        outcome = Outcome("passed", metrics=metrics)
        metrics["late"] = None
        return outcome


class Says(Check):
    values: list

    def run(self, server):
        return Outcome(*self.values)


class Figures(Benchmark):
    value: float | str | None = None

    def run(self, name, bench):
        return Outcome("measured", "", {"figure": self.value})


class Leaves(Benchmark):
    files: list[str]

    def run(self, name, bench):
        bench.run([sys.executable, "-c", LEAVES, *self.files], bench.folder / "leaves.log")
        return Outcome("measured")


class Broken(Report):
    def write(self, report, folder):
        return report["no\\nsuch"]


class Exits(Check):
    def run(self, server):
        sys.exit(0)


class ExitsMeasuring(Benchmark):
    def run(self, name, bench):
        sys.exit("enough")


class ExitsPlanning(Benchmark):
    def run(self, name, bench): ...

    def argv(self, server):
        sys.exit(0)


class ExitsWriting(Report):
    def write(self, report, folder):
        sys.exit(0)


class Loud(Check):
    print("noise of the module")

    def run(self, server):
        print("noise of the check")
        return Outcome("passed")


class LoudMeasuring(Benchmark):
    def run(self, name, bench):
        print("noise of the benchmark")
        return Outcome("measured")

    def argv(self, server):
        print("noise of the plan")
        return ()


class LoudWriting(Report):
    def write(self, report, folder):
        print("noise of the report")

    def write_sweep(self, sweep, folder):
        print("noise of the sweep")


class Key(Benchmark):
    def run(self, name, bench):
        argv = [sys.executable, "-c", "import os; print('key:', os.environ.get('OPENAI_API_KEY'))"]
        bench.run(argv, bench.folder / "key.log")
        return Outcome("measured")
"""
VERDICTS = "passed, failed, inconclusive, measured, skipped, error"


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., tuple[int, Folder]]:
    """Runs the small recipe with these plugins."""
    (tmp_path / "own_plugins.py").write_text(OWN)

    def run(*words: str, engine: Sequence[str] = ("engine=sim",), verb: Sequence[str] = ("run",)) -> tuple[int, Folder]:
        return run_here(tmp_path, *verb, "--trust", *SMALL, *engine, "benchmark=none", *words)

    return run


@pytest.mark.parametrize(
    ("block", "detail"),
    [
        ("uses: 'own_plugins:Says', values: [passed, null]", "the detail is None, not a text"),
        ("uses: 'own_plugins:Says', values: [ok]", f"the verdict is 'ok', not one of {VERDICTS}"),
        ("uses: 'own_plugins:Says', values: [[passed]]", f"the verdict is ['passed'], not one of {VERDICTS}"),
        ("uses: 'own_plugins:Says', values: [passed, a, null]", "the metrics are None, not numbers by name"),
        ("uses: 'own_plugins:Changed'", "the metric 'late' is None, not a finite number by a name"),
    ],
)
def test_an_outcome_that_is_none_is_the_error_of_its_check_only(
    own: Callable[..., tuple[int, Folder]], block: str, detail: str
) -> None:
    code, folder = own(f"+validation.mine={{{block}}}", "+validation.last={uses: models}")
    assert code == 70
    assert folder.verdicts == {"capital": "passed", "another": "passed", "mine": "error", "last": "passed"}
    assert re.fullmatch(re.escape(f"TypeError: {detail}") + r"( \(own_plugins\.py:\d+\))?", folder.details["mine"])
    (trace,) = [event for event in folder.events if event["event"] == "traceback"]
    assert trace["name"] == "mine"
    assert ("own_plugins.py" in trace["text"]) == ("Says" in block)
    assert (folder.run / "report.md").exists()
    folder.assert_nothing_left()


@pytest.mark.parametrize(("value", "said"), [("null", "None"), ("fast", "'fast'")])
def test_a_metric_that_is_no_number_is_the_error_of_its_benchmark_only(
    own: Callable[..., tuple[int, Folder]], value: str, said: str
) -> None:
    bad, good = (
        f"+benchmark.{name}={{uses: 'own_plugins:Figures', value: {at}}}" for name, at in (("a", value), ("b", 1.5))
    )
    code, folder = own(bad, good)
    assert code == 70
    assert (folder.verdicts["a"], folder.verdicts["b"]) == ("error", "measured")
    told = f"TypeError: the metric 'figure' is {said}, not a finite number by a name"
    assert re.fullmatch(re.escape(told) + r" \(own_plugins\.py:\d+\)", folder.details["a"])
    assert [item["metrics"] for item in folder.report["benchmarks"]] == [{}, {"figure": 1.5}]


def test_a_plugin_that_exits_is_the_error_of_its_item_only(own: Callable[..., tuple[int, Folder]]) -> None:
    code, folder = own(
        *("+validation.mine={uses: 'own_plugins:Exits'}", "+validation.last={uses: models}"),
        *("+benchmark.a={uses: 'own_plugins:ExitsMeasuring'}", "+benchmark.b={uses: 'own_plugins:Figures', value: 1}"),
    )
    assert code == 70
    assert [*folder.verdicts.items()][2:] == [("mine", "error"), ("last", "passed"), ("a", "error"), ("b", "measured")]
    told = folder.details["mine"], folder.details["a"]
    assert [re.sub(r":\d+\)", ")", one) for one in told] == [
        *("SystemExit: 0 (own_plugins.py)", "SystemExit: enough (own_plugins.py)"),
    ]
    assert [event["name"] for event in folder.events if event["event"] == "traceback"] == ["mine", "a"]
    folder.assert_nothing_left()


def test_a_plugin_that_exits_elsewhere_is_a_bug(
    own: Callable[..., tuple[int, Folder]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, folder = own("+benchmark.a={uses: 'own_plugins:ExitsPlanning'}")
    assert (code, [*folder.path.glob("runs/*/*/*/report.json")]) == (70, [])
    assert capsys.readouterr().err.splitlines()[-2:] == [
        *("SystemExit: 0", "recipe-run: this is a bug; please report it with the lines above"),
    ]


@pytest.mark.parametrize(("writer", "what"), [("Broken", "KeyError: 'no\\nsuch'"), ("ExitsWriting", "SystemExit: 0")])
def test_a_report_writer_that_raises_keeps_no_other_from_writing(
    own: Callable[..., tuple[int, Folder]], capsys: pytest.CaptureFixture[str], writer: str, what: str
) -> None:
    code, folder = own(f"report.formats=['own_plugins:{writer}', json]")
    assert code == 0
    line = OWN.splitlines().index(f"class {writer}(Report):") + 3
    told = (
        f"report.formats — the own_plugins:{writer} report cannot be written: {what} (own_plugins.py:{line}); "
        "mend what writes it; see events.jsonl"
    )
    assert folder.report["verdict"] == "passed"
    assert folder.report["warnings"] == [told]
    assert told in capsys.readouterr().err
    (trace,) = [event for event in folder.events if event["event"] == "traceback"]
    assert trace["name"] == f"own_plugins:{writer}"
    assert trace["text"].startswith("Traceback (most recent call last):\n")
    folder.assert_nothing_left()


@pytest.mark.parametrize("words", [["run"], ["plan"], ["run", "-m", "timeouts.check_s=5,6"]])
def test_what_plugins_print_is_no_result(
    own: Callable[..., tuple[int, Folder]], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, _ = own(
        *("+validation.mine={uses: 'own_plugins:Loud'}", "+benchmark.mine={uses: 'own_plugins:LoudMeasuring'}"),
        *("report.formats=['own_plugins:LoudWriting']", "--json"),
        verb=words,
    )
    assert code == 0
    out, err = capsys.readouterr()
    assert "noise of" not in out
    json.loads(out)
    told = {line for line in err.splitlines() if line.startswith("noise")}
    run = {"noise of the check", "noise of the benchmark", "noise of the report"} if words[0] == "run" else set()
    sweep = {"noise of the sweep"} if "-m" in words else set()
    assert told == {"noise of the module", "noise of the plan"} | run | sweep


@pytest.fixture
def segments() -> Iterator[list[Path]]:
    """Two names in shared memory, the first of a file that is there already."""
    files = [Path(f"/dev/shm/recipe-runner-test-{uuid.uuid4().hex}") for _ in range(2)]
    files[0].touch()
    yield files
    for file in files:
        file.unlink(missing_ok=True)


def leaves(*files: Path) -> str:
    return f"+benchmark.leaves={{uses: 'own_plugins:Leaves', files: {json.dumps([*map(str, files)])}}}"


def test_shared_memory_that_a_benchmark_found_is_left_to_its_owner(
    own: Callable[..., tuple[int, Folder]], segments: list[Path]
) -> None:
    code, folder = own(leaves(*segments))
    assert (code, folder.verdicts["leaves"]) == (0, "measured")
    assert [file.exists() for file in segments] == [True, False]
    folder.assert_nothing_left()


@pytest.mark.parametrize("key", ["", "mine"])
def test_a_key_for_somebody_else_is_not_sent_to_the_server(
    own: Callable[..., tuple[int, Folder]], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """`vllm bench serve` sends what stands in OpenAI's variable to whatever server it measures."""
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai")
    monkeypatch.setenv("VLLM_API_KEY", key)
    _, folder = own("+benchmark.key={uses: 'own_plugins:Key'}")
    assert (folder.run / "key.log").read_text() == f"key: {key}\n"


@pytest.mark.parametrize("attached", [False, True])
def test_processes_of_a_benchmark_that_are_left_are_an_error(
    own: Callable[..., tuple[int, Folder]], monkeypatch: pytest.MonkeyPatch, attached: bool
) -> None:
    class Stubborn(Child):
        def stop(self, *args: Any) -> list[psutil.Process]:
            left = self.members()
            super().stop(*args)
            return left

    monkeypatch.setattr(items, "Child", Stubborn)
    with serving() as running:
        url = f"engine.url=http://127.0.0.1:{running.server_port}"
        code, folder = own(leaves(), engine=("engine=attach", url) if attached else ("engine=sim",))
    assert code == 3
    assert folder.report["verdict"] == "error"
    assert folder.report["teardown"]["processes_left"] == 1
    (error,) = folder.report["errors"]
    assert error["where"] == "teardown"
    assert re.fullmatch(r"of a benchmark's client there is 1 process left: .*pid \d+\)?", error["what"])
    assert error["do"] == "what hangs in a driver goes only with a restart"
