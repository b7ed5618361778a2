import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.api import Bench, Client, Target
from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.load import Load
from tests.running import SMALL, run_here

CLIENT = f"{sys.executable} -m recipe_runner.benchmarks.load_client"
FLAGS = (
    "--endpoint completions --input-len 128 --output-len 64 --max-concurrency 4 --num-prompts 20 --num-warmups 0 "
    "--ignore-eos --seed 0 --timeout-s 600"
)
SIM = (*SMALL, "engine=sim", "validation=none", "benchmark=load")


def load(**fields: Any) -> Load:
    return Load.model_validate({"uses": "load", **fields})


@pytest.mark.parametrize(
    ("target", "url", "model"),
    [
        (Target("127.0.0.1", 8000, None, "org/model", "org/model", None), "http://127.0.0.1:8000", "org/model"),
        (Target("::1", 8000, None, "/models/m", "m", None), "http://[::1]:8000", "m"),
        (Target("host", 1, "https://host/x", "m", "m", ("vllm",)), "https://host/x", "m"),
    ],
)
def test_the_command_that_a_person_could_type(target: Target, url: str, model: str) -> None:
    words = " ".join(load().argv(target)).replace("--timeout-s 600.0", "--timeout-s 600")
    assert words == f"{CLIENT} --url {url} --model {model} {FLAGS}"
    assert "--no-ignore-eos" in load(ignore_eos=False).argv(target)
    assert load().appended("x") == ("--result", "x.json")


def test_measuring(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, *SIM, "benchmark.load.num_prompts=5", "benchmark.load.output_len=3")
    assert code == 4
    (item,) = folder.report["benchmarks"]
    assert (item["uses"], item["verdict"]) == ("load", "measured")
    assert list(item["metrics"]) == list(METRICS)
    assert item["metrics"].items() >= {"completed": 5, "failed": 0, "total_output_tokens": 15}.items()
    assert item["detail"].startswith("5 requests, ")
    short = "; too short to see whether the client was the limit"
    assert item["detail"].endswith(f" ms; measured by recipe-runner's own client{short}")
    assert item["measurements"][0]["client_cpu"] is None
    assert {name: len(values) for name, values in item["distributions"].items()} == {
        "ttft_ms": 101,
        "tpot_ms": 101,
        "itl_ms": 101,
    }
    assert item["measurements"][0]["doubts"] == []
    assert (folder.run / "load.log").read_text().splitlines() == [f"{n} requests completed" for n in range(1, 6)]
    folder.assert_nothing_left()


@pytest.mark.parametrize(
    ("words", "code", "verdict", "detail"),
    [
        (
            ["engine.fault=error", "engine.fault_every=3", "benchmark.load.num_prompts=8"],
            1,
            "failed",
            "3 of 8 requests failed, 3 with 'ValueError: status 500: "
            """{"error": {"message": "simulated: the engine failed", "code": 500}}'; """
            "measured by recipe-runner's own client",
        ),
        (
            ["engine.replies={Hello: Hi, e: ''}", "benchmark.load.num_prompts=8"],
            1,
            "failed",
            "no tokens were generated; measured by recipe-runner's own client",
        ),
        (["engine.fault=dies", "engine.fault_at=9"], 3, "error", "the server ended with status 1"),
        (
            ["engine.fault=hangs", "engine.fault_at=9", "benchmark.load.timeout_s=0.2"],
            1,
            "failed",
            "4 of 20 requests failed, 4 with 'ReadTimeout: the server was silent for 0.2 s'; "
            "measured by recipe-runner's own client",
        ),
    ],
)
def test_a_server_that_does_not_do_well(tmp_path: Path, words: list[str], code: int, verdict: str, detail: str) -> None:
    ended, folder = run_here(tmp_path, *SIM, *words)
    assert (ended, folder.verdicts, folder.details) == (code, {"load": verdict}, {"load": detail})
    folder.assert_nothing_left()


def test_each_time_on_a_server_its_prompts_are_others(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], log: Path) -> int:
        asked.append(argv)
        return 1

    seeds = iter([3, 8])
    client = Client("http://127.0.0.1:1", "m", 1)
    bench = Bench(Target("h", 1, None, "m", "m", None), client, tmp_path, run, lambda log: "", lambda _: next(seeds))
    for name in ("load.1", "load.2"):
        load(seed=3).run(name, bench)
    assert [argv[list(argv).index("--seed") + 1] for argv in asked] == ["3", "8"]
    assert [argv[-1] for argv in asked] == [str(tmp_path / "load.1.json"), str(tmp_path / "load.2.json")]


def test_what_the_server_is_asked_besides() -> None:
    assert (load().unmeasured(), load(num_warmups=3).unmeasured()) == (0, 3)
    assert (load().shared_prefix(), load(endpoint="chat").shared_prefix()) == (0, None)


def test_how_often_it_is_measured_is_nothing_that_its_command_knows() -> None:
    target = Target("h", 1, None, "m", "m", None)
    assert load(repeat=3).argv(target) == load().argv(target)


def test_a_plan_shows_the_command(cli: Callable[..., Any]) -> None:
    shown = cli("plan", "recipe=internvl3", "hardware=a100x2", "engine=sim", "benchmark=load").page
    assert f"{CLIENT} \\\n  --url http://127.0.0.1:8000 \\\n  --model OpenGVLab/InternVL3-8B-hf" in shown
