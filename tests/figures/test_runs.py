"""Runs as `compare` reads them; and `report`, the document of a run, for whoever tests with one."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.errors import RecipeError
from recipe_runner.figures.commands import flags, settings
from recipe_runner.figures.runs import Run, Source, alike, load
from recipe_runner.serialize import write_json

DO = "name a run folder, its report.json, a sweep's folder or a recorded evidence file"
STEADY = (100.0, 101.0, 99.0, 100.5, 99.5)
CLIENT = ("vllm", "bench", "serve", "--host", "127.0.0.1", "--port", "8000", "--model", "a/model", "--num-prompts", "5")


def measurement(metrics: Mapping[str, float], *, counted: bool = True, doubts: Sequence[str] = ()) -> dict[str, Any]:
    return {"name": "small.1", "counted": counted, "seconds": 1.0, "metrics": dict(metrics), "doubts": list(doubts)}


def benchmark(
    rates: Sequence[float] = STEADY,
    *,
    name: str = "small",
    argv: Sequence[str] | None = CLIENT,
    verdict: str = "measured",
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """One that generated so many tokens a second each time, and took accordingly long for each."""
    every = [{"output_throughput": rate, "median_tpot_ms": 1000 / rate, "completed": 5} for rate in rates]
    made = [measurement({"output_throughput": 1.0}, counted=False, doubts=["it only warms up"])]
    made += [measurement(metrics, doubts=doubts) for metrics in every]
    means = {metric: sum(metrics[metric] for metrics in every) / len(every) for metric in every[0]} if every else {}
    item = {"name": name, "uses": "vllm_bench", "verdict": verdict, "detail": "", "seconds": 5.0, "metrics": means}
    return {**item, "measurements": made if every else [], **({} if argv is None else {"argv": list(argv)})}


def report(*benchmarks: dict[str, Any], checks: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """What a run writes, as far as it is compared."""
    argv = ["vllm", "serve", "a/model", "--port", "8000", "--enforce-eager"]
    return {
        "format": 1,
        "verdict": "passed",
        "choices": {"recipe": "mine", "hardware": "cpu"},
        "overrides": {"serve.max_num_seqs": 8},
        "processes": [{"role": "server", "argv": argv, "env": {"VLLM_CPU_KVCACHE_SPACE": "1"}}],
        "provenance": {"--port": {"value": 8000, "layer": "recipe"}},
        "environment": {"vllm": "0.32.0", "gpus": ["H100", "H100"], "driver": None, "memory_gib": 23.5},
        "checks": [{"name": name, "verdict": verdict} for name, verdict in (checks or {}).items()],
        "benchmarks": list(benchmarks),
        **more,
    }


def save(folder: Path | str, document: Mapping[str, Any], name: str = "report.json") -> Path:
    """The folder, with the document in it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / name, document)
    return folder


def save_sweep(folder: str, points: Mapping[int, dict[str, Any] | None], **more: int) -> Path:
    """A sweep over parallelism.tp, with the report of each point; None where it has none."""
    listed = []
    for number, (tp, document) in enumerate(points.items()):
        listed.append({"number": number, "folder": f"{number:03}", "overrides": {"parallelism.tp": tp, **more}})
        if document is not None:
            save(f"{folder}/{number:03}", document)
    return save(folder, {"format": 1, "words": [], "axes": {}, "points": listed}, "sweep.json")


@pytest.fixture
def refusal() -> Callable[[Path | str], str]:
    def refused(path: Path | str) -> str:
        with pytest.raises(RecipeError) as caught:
            load(Path(path))
        return str(caught.value)

    return refused


def test_a_run_folder_and_its_report_are_the_same_run() -> None:
    folder = save("runs/mine/cpu/20260101T000000Z-aaaa", report(benchmark(), checks={"capital": "passed"}))
    assert load(folder).runs == load(folder / "report.json").runs
    assert load(folder.absolute()).path == str(folder)
    (run,) = load(folder).runs.values()
    assert run.items == {"check capital": "passed", "benchmark small": "measured", "run": "passed"}
    assert run.benchmarks[0].values("output_throughput") == list(STEADY)
    assert run.benchmarks[0].doubts == []


def test_the_configuration_is_what_figures_may_depend_on() -> None:
    inherited = {"HF_HOME": {"value": "~/hf", "layer": "environment"}, "--port": {"value": 8000, "layer": "recipe"}}
    overrides = {"serve.port": 0, "report.folder": "x", "timeouts.run_s": 9, "serve.enforce_eager": None}
    worker = {"role": "worker", "argv": ["w", "--fast", "--size=2", "3"], "env": {}}
    document = report(benchmark(), overrides=overrides, provenance=inherited)
    document["processes"].append(worker)
    (run,) = load(save("a", document)).runs.values()
    assert run.configuration == {
        "simulated": "false",
        "recipe": "mine",
        "hardware": "cpu",
        "serve.enforce_eager": "null",
        "command": "vllm serve a/model",
        "--enforce-eager": "true",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "worker command": "w",
        "worker --fast": "true",
        "worker --size": "2 3",
        "HF_HOME": "~/hf",
        "vllm": "0.32.0",
        "gpus": "H100, H100",
        "driver": "null",
        "memory_gib": "23.5",
        "small uses": "vllm_bench",
        "small --num-prompts": "5",
    }


def test_the_home_of_whoever_ran_it_is_no_difference() -> None:
    argv = [str(Path.home() / "vllm" / "bin" / "vllm"), "serve"]
    (run,) = load(save("a", report(processes=[{"role": "server", "argv": argv, "env": {}}]))).runs.values()
    assert run.configuration["command"] == "~/vllm/bin/vllm serve"


def test_a_workload_is_what_is_asked_and_not_where_or_with_which_prompts() -> None:
    elsewhere = (
        "/opt/vllm",
        "bench",
        "serve",
        "--base-url",
        "http://x",
        "--model",
        "b",
        "--seed",
        "7",
        "--result",
        "x",
    )
    document = report(benchmark(argv=(*elsewhere, "--num-prompts", "5")), benchmark(name="other"))
    one, other = next(iter(load(save("a", document)).runs.values())).benchmarks
    assert one.workload == {"small uses": "vllm_bench", "small --num-prompts": "5"}
    assert other.workload == {"other uses": "vllm_bench", "other --num-prompts": "5"}


def test_flags_come_with_the_words_that_follow_them() -> None:
    argv = ["vllm", "serve", "m", "--a", "1", "--b=2", "--c", "x", "y", "--no-d", "--a", "3"]
    assert flags(argv) == {
        "command": ["vllm", "serve", "m"],
        "--a": ["1", "3"],
        "--b": ["2"],
        "--c": ["x", "y"],
        "--no-d": [],
    }
    assert settings(argv) == {"command": "vllm serve m", "--a": "1 3", "--b": "2", "--c": "x y", "--no-d": "true"}


def test_the_model_is_no_value_of_the_flag_before_it() -> None:
    argv = ["sim", "--pace", "4.0", "m", "--port", "1", "--served-model-name", "m"]
    assert settings(argv, "m") == {"command": "sim m", "--pace": "4.0", "--port": "1", "--served-model-name": "m"}
    assert settings(argv)["--pace"] == "4.0 m"


@pytest.mark.parametrize("model", [{}, {"id": "a/model"}, {"id": "other", "path": "a/model"}])
def test_a_run_with_the_model_behind_the_engines_own_flags(model: dict[str, str]) -> None:
    process = {"role": "server", "argv": ["sim", "--pace", "4.0", "a/model", "--port", "0"]}
    run = Run.model_validate(report(benchmark(), model=model, processes=[process]))
    assert (run.configuration["--pace"], run.configuration["command"]) == ("4.0", "sim a/model")


def test_what_an_earlier_release_wrote_is_one_figure_and_unknown_settings() -> None:
    old = {"name": "guide", "uses": "vllm_bench", "verdict": "measured", "metrics": {"output_throughput": 5}}
    (run,) = load(save("a", {"format": 1, "environment": {}, "benchmarks": [old]})).runs.values()
    assert (run.processes, run.benchmarks[0].workload) == (None, None)
    assert run.benchmarks[0].values("output_throughput") == [5.0]
    assert run.benchmarks[0].values("median_ttft_ms") == []


def test_points_of_a_sweep_go_by_what_was_swept() -> None:
    folder = save_sweep("runs/sweeps/s", {1: report(), 2: None}, **{"engine.x": 1})
    found = load(folder)
    assert found == load(folder / "sweep.json")
    assert found.is_sweep
    assert list(found.runs) == ["engine.x=1, parallelism.tp=1"]
    assert found.unfinished == ("engine.x=1, parallelism.tp=2",)
    assert not load(folder / "000").is_sweep


def test_a_folder_above_runs_is_the_newest_of_them() -> None:
    for name, verdict in (("20260102T000000Z-bbbb", "failed"), ("20260101T000000Z-aaaa", "passed")):
        save(f"runs/mine/cpu/{name}", report(verdict=verdict))
    save("runs/mine/cpu/20260103T000000Z-cccc", {}, "plan.json")  # is running, or was killed
    found = load(Path("runs/mine/cpu"))
    assert (found.path, found.note) == ("runs/mine/cpu/20260102T000000Z-bbbb", "the newest of 2 in runs/mine/cpu")
    assert found.runs[""].verdict == "failed"
    sweep = save_sweep("runs/sweeps/20260101T000000Z-0000", {1: report()})
    assert (load(sweep.parent).path, load(sweep.parent).note) == (str(sweep), "the only one in runs/sweeps")


def test_recorded_evidence_is_read_like_a_report() -> None:
    folder = save("results/mine", {**report(benchmark()), "kind": "evidence", "digest": "x"}, "cpu-1.json")
    assert load(folder / "cpu-1.json") == Source("results/mine/cpu-1.json", load(folder / "cpu-1.json").runs)


def test_what_is_not_there_is_said(refusal: Callable[[Path | str], str], tmp_path: Path) -> None:
    assert refusal("runs/nowhere") == f"runs/nowhere — there is no such file or folder; {DO}"
    (tmp_path / "empty").mkdir()
    assert refusal("empty") == f"empty — there is no run in it, nor right below it; {DO}"
    assert refusal(save("killed", {}, "plan.json")) == (
        "killed — there is no report.json in it: the run was ended before it could write one, or was not to write one; "
        "name another run; report.formats=[json] has it written"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it holds no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("\udcff", "it holds no JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ("[]", "it is no report: all of it: Input should be a valid dictionary or instance of Run"),
        ("{}", "it is no report: environment: Field required; benchmarks: Field required"),
        ('{"format": "x", "environment": {}, "benchmarks": [{}]}', None),
        (
            json.dumps({"environment": {}, "benchmarks": [{"name": "a", "uses": "b"}]}),
            "it is no report: benchmarks.0.verdict: Field required",
        ),
        (
            '{"environment": {}, "benchmarks": [{"name": "a", "uses": "b", "verdict": "c", "metrics": {"x": NaN}}]}',
            "it is no report: benchmarks.0.metrics.x: Input should be a finite number",
        ),
    ],
)
def test_what_is_no_report_is_refused(
    refusal: Callable[[Path | str], str], tmp_path: Path, text: str, what: str | None
) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    if what is None:
        assert refusal("x.json").count("; ") == 4, "each fault, and what to do"
    else:
        assert refusal("x.json") == f"x.json — {what}; {DO}"


def test_a_format_of_tomorrow_is_refused(refusal: Callable[[Path | str], str]) -> None:
    told = "its format is 2, and this recipe-run reads 1; take the recipe-run that wrote it, or a later one"
    assert refusal(save("a", {"format": 2})) == f"a/report.json — {told}"


def test_a_report_that_may_not_be_read(refusal: Callable[[Path | str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(file: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(file))

    folder = save("a", report())
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert refusal(folder) == f"a/report.json — it cannot be read: Permission denied; {DO}"


def test_json_that_is_too_deep_is_no_report(refusal: Callable[[Path | str], str], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000)
    assert refusal("x.json").startswith("x.json — it holds no JSON: maximum recursion depth exceeded")


def serving(place: str, **more: Any) -> Run:
    """A run of a model in a folder, with files of prompts there, too."""
    client = ["vllm", "bench", "serve", "--model", f"{place}assets/tiny", "--dataset-path", f"{place}prompts.jsonl"]
    server = ["vllm", "serve", f"{place}assets/tiny", "--enforce-eager"]
    made = report(benchmark(argv=client), processes=[{"role": "server", "argv": server, "env": {}}], **more)
    return Run.model_validate(made)


KEPT: dict[str, Any] = {"kind": "evidence", "model": {"id": None, "path": "assets/tiny"}}


@pytest.mark.parametrize("place", ["/work/recipes/", "~/recipes/"])
def test_a_run_is_configured_as_its_own_evidence(place: str) -> None:
    run, kept = serving(place), serving("", **KEPT)
    for a, b in (alike(run, kept), alike(kept, run)):
        assert a.configuration == b.configuration
        assert a.benchmarks[0].workload == b.benchmarks[0].workload
    a, b = alike(run, serving("../", **KEPT))
    assert a.configuration["command"] != b.configuration["command"]


def test_a_folder_is_no_model_of_the_hub_of_that_name() -> None:
    a, b = alike(serving("/models/"), serving("", kind="evidence", model={"id": "assets/tiny", "path": None}))
    assert (a.configuration["command"], b.configuration["command"]) == (
        "vllm serve /models/assets/tiny",
        "vllm serve assets/tiny",
    )
    a, b = alike(serving("/one/"), serving("/two/"))
    assert a.configuration["command"] != b.configuration["command"]
