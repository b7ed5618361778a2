"""Whole runs whose benchmarks are measured several times: what counts, what is judged, what is doubted."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import runner
from recipe_runner.api import Outcome
from recipe_runner.errors import Fault, ServerError
from recipe_runner.figures.counters import Counters
from recipe_runner.figures.repeats import Measurement, Repeats
from tests.running import Folder, Started, run_here

RECIPE = """
model: {{id: test/small}}
serve: {{port: 0, served_model_name: test/small}}
benchmark:
  speed: {{uses: "series:Series", values: {values}, more: {more}}}
expected:
  own:
    workload: speed
    source: a run of our own
    kind: own
    hardware: {hardware}
    date: 2026-11-23
    metrics: {{output_throughput: {{value: 100, unit: tok/s, tolerance: 5, gate: {gate}}}}}
"""
SERIES = """
import time
from recipe_runner.api import Benchmark, Outcome, failed, skipped


class Series(Benchmark):
    values: list
    more: dict = {}

    def run(self, name, bench):
        which = name.partition(".")[2]
        number = {"": 0, "warmup": 0}.get(which) if which in ("", "warmup") else int(which)
        value = self.values[number % len(self.values)]
        seed = bench.fresh_seed(self.more.get("seed", 0))
        for _ in range(self.more.get("asks", 0)):
            bench.server.complete("the same words each time, more than a block of sixteen tokens, " * 8, max_tokens=4)
        if self.more.get("sleeps_at") == number:
            (bench.folder.parents[3] / "sleeps").touch()
            time.sleep(60)
        if value == "skip":
            return skipped("no command")
        if value is None:
            return failed("nothing was measured")
        metrics = {"output_throughput": value, "completed": self.more.get("asks", 0), "seed": seed}
        if self.more.get("lacks_at") == number:
            del metrics["output_throughput"]
        verdict = "inconclusive" if self.more.get("unsure_at") == number else "measured"
        return Outcome(verdict, f"{value} tok/s", metrics, {"ttft_ms": [value, value + 1]})

    def unmeasured(self):
        return self.more["no such key"] if self.more.get("buggy") else 0

    def shared_prefix(self):
        return self.more.get("shared")
"""
Run = Callable[..., tuple[int, Folder]]


@pytest.fixture
def series(tmp_path: Path, recipe: Callable[..., Path]) -> Run:
    """Runs a benchmark that shows these values, the first of which is the warm-up if there are more."""
    (tmp_path / "series.py").write_text(SERIES)

    def run(
        values: str, *words: str, gate: str = "true", hardware: str = "cpu", more: str = "{}"
    ) -> tuple[int, Folder]:
        recipe(RECIPE.format(values=values, gate=gate, hardware=hardware, more=more))
        return run_here(tmp_path, "recipe=mine", "hardware=cpu", "engine=sim", *words)

    return run


def item(folder: Folder) -> dict[str, Any]:
    (found,) = folder.report["benchmarks"]
    assert isinstance(found, dict)
    return found


def test_once_where_nothing_gates(series: Run) -> None:
    code, folder = series("[100]", gate="false")
    assert code == 4
    found = item(folder)
    assert (found["verdict"], found["detail"]) == ("measured", "100 tok/s")
    assert [one["name"] for one in found["measurements"]] == ["speed"]
    assert found["noise"] == {}
    assert found["figures"][0]["verdict"] is None


@pytest.mark.parametrize(
    ("spans", "client_cpu", "told"),
    [
        ([(1.0, 1.2)], None, "8 requests; too short to see whether the client was the limit"),
        ([(1.0, 9.0)], 0.5, "8 requests"),
        ([], None, "8 requests"),  # a benchmark that does not say when it measured
    ],
)
def test_a_client_that_could_not_be_looked_at_is_told(
    spans: list[tuple[float, float]], client_cpu: float | None, told: str
) -> None:
    made = Measurement("speed", True, Outcome("measured", "8 requests", spans=spans), 1.0, client_cpu=client_cpu)
    assert Repeats("speed", 1, {}, "cpu", 1, 1, [made]).outcome().detail == told


@pytest.mark.parametrize(
    ("preemptions", "told"), [([0, 0], ""), ([0, 1], "; 1 preemption"), ([3, 4], "; 7 preemptions")]
)
def test_preemptions_of_all_that_count_are_told(preemptions: list[int], told: str) -> None:
    repeats = Repeats("speed", 2, {}, "cpu", 1, 1)
    for number, count in enumerate([99, *preemptions]):
        outcome, server = Outcome("measured", "8 requests"), Counters(requests=8, preemptions=count)
        repeats.made.append(Measurement(f"speed.{number}", number > 0, outcome, 1.0, server=server))
    assert repeats.outcome().detail == f"2 measurements{told}"


def test_five_times_and_a_warm_up_where_a_figure_gates(series: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = series("[5, 101, 99, 100, 102, 98]")
    assert code == 0
    found = item(folder)
    assert [(one["name"], one["counted"]) for one in found["measurements"]] == [
        *(("speed.warmup", False), ("speed.1", True), ("speed.2", True)),
        *(("speed.3", True), ("speed.4", True), ("speed.5", True)),
    ]
    assert [one["seed"] for one in found["measurements"]] == [0, 1, 2, 3, 4, 5]
    assert found["metrics"]["output_throughput"] == 100  # without the warm-up
    assert found["distributions"]["ttft_ms"][0] == 98
    assert found["distributions"]["ttft_ms"][100] == 103
    assert len(found["distributions"]["ttft_ms"]) == 101
    assert found["noise"]["output_throughput"]["spread_percent"] == pytest.approx(1.6, abs=0.1)
    assert found["detail"] == (
        "5 measurements, 100.00 tok/s out (−3.2 % to +3.3 %); "
        "a difference of 5.3 % in tok/s would have been seen 9 times in 10; "
        "100 tok/s is above 95.0 tok/s by more than the noise of 3.3 %"
    )
    assert [event["name"] for event in folder.events if event["event"] == "measurement"] == [
        *("speed.warmup", "speed.1", "speed.2", "speed.3", "speed.4", "speed.5")
    ]
    out, err = capsys.readouterr()
    assert "speed.3: 100 tok/s\n" in err
    assert "95 passed" in out


@pytest.mark.parametrize(
    ("values", "code", "verdict", "why"),
    [
        ("[1, 89, 90, 91, 90, 90]", 1, "failed", "90.0 tok/s is below 95.0 tok/s by more than the noise of 1.6 %"),
        ("[1, 94, 97, 93, 96, 96]", 4, "inconclusive", "95.2 tok/s is within the noise of 3.6 % of its limit, 95.0"),
        ("[1, 120, 121, 120, 121, 120]", 0, "passed", "120 tok/s is above 95.0 tok/s by more than the noise of 0.9 %"),
    ],
)
def test_a_gate_has_three_verdicts(series: Run, values: str, code: int, verdict: str, why: str) -> None:
    assert series(values)[0] == code
    found = item(Folder(Path.cwd()))
    assert (found["verdict"], found["figures"][0]["verdict"]) == (verdict, verdict)
    assert why in found["detail"]


def test_a_gate_is_for_the_hardware_that_it_names(series: Run) -> None:
    code, folder = series("[1]", hardware="a100x2")
    assert code == 4
    assert item(folder)["verdict"] == "measured"
    assert (item(folder)["figures"][0]["verdict"], item(folder)["figures"][0]["why"]) == (None, "for a100x2")


def test_fewer_than_three_cannot_pass_a_gate(series: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = series("[100]", "benchmark.speed.repeat=2")
    assert code == 2
    told = (
        "benchmark.speed.repeat — fewer than 3 measurements cannot pass a gate; make it 3 or more, or set `gate: false`"
    )
    assert capsys.readouterr().err == f"recipe-run: {told}\n"


@pytest.mark.parametrize("words", [(), ("benchmark=none",), ("expected.own.hardware=a100x2",)])
def test_a_unit_that_is_not_the_metrics_own_is_refused(
    series: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, _ = series("[100]", "expected.own.metrics.output_throughput.unit=furlongs", *words)
    assert code == 2
    assert capsys.readouterr().err == (
        "recipe-run: expected.own.metrics.output_throughput.unit — output_throughput is measured in tok/s, "
        "not in furlongs; write `unit: tok/s`, and the value in that\n"
    )


def test_a_gate_without_statistics_is_refused_before_launch(
    series: Run, capsys: pytest.CaptureFixture[str], hidden: Callable[[str], None]
) -> None:
    hidden("scipy")
    code, folder = series("[100]")
    assert code == 2
    assert not (folder.path / "runs").exists()
    assert capsys.readouterr().err == (
        "recipe-run: benchmark.speed (recipes/mine.yaml:5) — its expected figures gate, which takes scipy; "
        "pip install 'recipe-runner[analysis]', or set `gate: false`\n"
    )
    code, folder = series("[1, 100, 101, 102]", "benchmark.speed.repeat=3", gate="false")
    assert code == 4
    assert item(folder)["noise"] == {}
    assert item(folder)["detail"] == "3 measurements, 101.00 tok/s out"


def test_one_that_measures_nothing_ends_the_others(series: Run) -> None:
    code, folder = series("[1, 100, null]")
    assert code == 1
    found = item(folder)
    assert (found["verdict"], found["detail"]) == ("failed", "speed.2: nothing was measured")
    assert [one["name"] for one in found["measurements"]] == ["speed.warmup", "speed.1", "speed.2"]
    assert found["metrics"]["output_throughput"] == 100


@pytest.mark.parametrize(
    ("values", "words", "gate", "code", "verdict", "detail"),
    [
        ("[skip]", (), "true", 4, "inconclusive", "speed.warmup: no command; so its gate was not judged"),
        ("[1, 100, 101, 102, skip]", (), "true", 4, "inconclusive", "speed.4: no command; so its gate was not judged"),
        ("[skip]", (), "false", 0, "skipped", "no command"),
        ("[skip]", ("expected.own.hardware=a100x2",), "true", 0, "skipped", "no command"),
    ],
)
def test_a_gate_on_what_is_skipped_is_not_kept(
    series: Run, values: str, words: tuple[str, ...], gate: str, code: int, verdict: str, detail: str
) -> None:
    found, folder = series(values, "validation.there={uses: models}", *words, gate=gate)
    assert (found, item(folder)["verdict"], item(folder)["detail"]) == (code, verdict, detail)


def test_doubts_are_told_and_judge_nothing(series: Run) -> None:
    code, folder = series("[1, 100, 101, 102]", "benchmark.speed.repeat=3", more="{asks: 2, shared: 0.0}")
    assert code == 4
    found = item(folder)
    assert found["verdict"] == "inconclusive"
    (doubt,) = found["measurements"][1]["doubts"]
    assert doubt.endswith("by design: the server had seen the prompts before")
    assert doubt in found["detail"]
    assert found["measurements"][1]["server"]["requests"] == 2


def test_the_first_measurement_says_how_much_of_the_prompts_is_alike_where_nobody_knows(series: Run) -> None:
    code, folder = series("[1, 100, 101, 102]", "benchmark.speed.repeat=3", more="{asks: 1}")
    assert code == 4
    assert "% the first time: the server had seen the prompts before" in item(folder)["detail"]


def test_the_verdict_is_the_worst_of_gates_and_measurements(series: Run) -> None:
    code, folder = series("[5, 101, 99, 100, 102, 98]", more="{unsure_at: 2}")
    assert (code, item(folder)["verdict"], item(folder)["figures"][0]["verdict"]) == (4, "inconclusive", "passed")
    assert [one["verdict"] for one in item(folder)["measurements"]] == [
        *("measured", "measured", "inconclusive", "measured", "measured", "measured")
    ]


def test_a_gate_takes_its_metric_from_every_measurement(series: Run) -> None:
    code, folder = series("[5, 101, 99, 100, 102, 98]", more="{lacks_at: 3}")
    assert code == 4
    (row,) = item(folder)["figures"]
    assert (row["verdict"], row["why"]) == ("inconclusive", "measured in only 4 of 5 measurements")


def test_what_broke_off_is_not_counted(series: Run) -> None:
    _, folder = series("[1, 100, 102, null]")
    assert [one["counted"] for one in item(folder)["measurements"]] == [False, True, True, False]
    assert item(folder)["metrics"]["output_throughput"] == 101
    assert item(folder)["distributions"]["ttft_ms"][100] == 103


def test_a_gate_on_hardware_that_is_none_is_refused(series: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert series("[1]", hardware="h100-x1")[0] == 2
    told = (
        "recipe-run: recipes/mine.yaml:11 — expected.own gates on h100-x1, and there is no such profile; did you mean "
    )
    assert capsys.readouterr().err.startswith(f"{told}h100x1? There are: ")


def test_a_gate_goes_with_its_benchmark(series: Run) -> None:
    assert series("[1]", "~benchmark.speed")[0] == 4
    assert series("[1]", "benchmark=none")[0] == 4


def test_a_bug_in_what_a_benchmark_says_of_itself_is_its_own(series: Run) -> None:
    code, folder = series("[1]", gate="false", more="{buggy: true}")
    assert code == 70
    assert item(folder)["verdict"] == "error"
    assert item(folder)["detail"].startswith("KeyError: 'no such key'")


def test_an_end_between_two_measurements_loses_none(series: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = runner._Group._go_on

    def dies(group: runner._Group) -> None:
        go_on(group)
        if len(group.items._seeds._used) == 3:
            raise ServerError(Fault("server", "it is gone", "look"))

    monkeypatch.setattr(runner._Group, "_go_on", dies)
    code, folder = series("[1, 100, 101, 102, 103, 104]")
    assert code == 3
    assert len([one for one in item(folder)["measurements"] if one["counted"]]) >= 1
    assert (item(folder)["verdict"], item(folder)["detail"][-10:]) == ("error", "it is gone")


def test_what_was_measured_stays_when_it_is_interrupted(tmp_path: Path, recipe: Callable[..., Path]) -> None:
    (tmp_path / "series.py").write_text(SERIES)
    recipe(RECIPE.format(values="[1, 100, 101, 102]", gate="true", hardware="cpu", more="{sleeps_at: 3}"))
    run = Started(tmp_path, "recipe=mine", "hardware=cpu", "engine=sim")
    run.wait_for("sleeps")
    run.popen.send_signal(signal.SIGINT)
    assert run.wait() == 130
    found = item(run)
    assert (found["verdict"], found["detail"]) == ("skipped", "interrupted after 2 of 5 measurements")
    assert [one["name"] for one in found["measurements"]] == ["speed.warmup", "speed.1", "speed.2"]


def test_content_of_dummy_weights_is_not_judged(tmp_path: Path, recipe: Callable[..., Path]) -> None:
    recipe(
        """
        model: {id: test/small}
        serve: {port: 0, load_format: dummy}
        validation:
          there: {uses: models}
          capital: {uses: completion, prompt: Paris?, expect: {contains: Paris}}
        """
    )
    code, folder = run_here(tmp_path, "recipe=mine", "hardware=cpu", "engine=sim")
    assert code == 0
    assert folder.verdicts == {"there": "passed", "capital": "skipped"}
    assert folder.details["capital"] == "dummy weights"
