from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.api import Bench, Client, Target
from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.vllm_bench import VllmBench
from recipe_runner.serving.serverlog import last_line
from tests.running import SMALL, fake, run_here

HERE = Target("127.0.0.1", 8000, None, "org/model", "org/model", ("vllm",))


def bench(**fields: Any) -> VllmBench:
    return VllmBench.model_validate({"uses": "vllm_bench", **fields})


@pytest.mark.parametrize(
    ("target", "fields", "argv"),
    [
        (
            HERE,
            {},
            "vllm bench serve --host 127.0.0.1 --port 8000 --model org/model --dataset-name random",
        ),
        (
            HERE,
            {
                "dataset_name": "sonnet",
                "num_prompts": 5,
                "ignore_eos": True,
                "request_rate": 2.5,
                "goodput": ["a:1", "b:2"],
            },
            "vllm bench serve --host 127.0.0.1 --port 8000 --model org/model --dataset-name sonnet --num-prompts 5 "
            "--request-rate 2.5 --ignore-eos --goodput a:1 b:2",
        ),
        (
            HERE,
            {"ignore_eos": False, "extra_args": {"ready_check_timeout_sec": 0, "disable_tqdm": True, "trust": False}},
            "vllm bench serve --host 127.0.0.1 --port 8000 --model org/model --dataset-name random "
            "--ready-check-timeout-sec 0 --disable-tqdm",
        ),
        (
            Target("host", 1, "http://host:1", "/models/m", "m", ("/a/vllm", "-x")),
            {},
            "/a/vllm -x bench serve --base-url http://host:1 --model /models/m --served-model-name m "
            "--dataset-name random",
        ),
        (
            Target("127.0.0.1", 8000, None, "org/model", "org/model", None),
            {"seed": 0},
            "vllm bench serve --host 127.0.0.1 --port 8000 --model org/model --dataset-name random --seed 0",
        ),
    ],
)
def test_the_command_that_a_person_could_type(target: Target, fields: dict[str, Any], argv: str) -> None:
    assert " ".join(bench(**fields).argv(target)) == argv


def test_what_is_added_to_keep_the_result() -> None:
    appended = ("--save-result", "--result-dir", ".", "--result-filename", "guide.json")
    assert bench().appended("guide") == appended


@pytest.mark.parametrize(
    ("how", "code", "verdict", "detail"),
    [
        ((), 0, "measured", "5 requests, 10.00 tok/s out, median TTFT 12.2 ms"),
        (("bench-nan",), 0, "measured", "5 requests, 10.00 tok/s out, median TTFT 12.2 ms"),
        (("bench-failed",), 1, "failed", "2 of 5 requests failed"),
        (("bench-fewer",), 1, "failed", "only 3 of 5 requests were completed"),
        (("bench-zero",), 1, "failed", "no tokens were generated"),
        (
            ("bench-nothing",),
            1,
            "failed",
            "`vllm bench serve` left no result: [Errno 2] No such file or directory: '{folder}/load.json'",
        ),
        (
            ("bench-broken",),
            1,
            "failed",
            "`vllm bench serve` left no result: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
        ),
        (("bench-list",), 1, "failed", "`vllm bench serve` left no result: load.json holds no JSON object"),
        (
            ("bench-exit",),
            1,
            "failed",
            "`vllm bench serve` exited with 5; see load.log: 'ValueError: no tokenizer'",
        ),
    ],
)
def test_measuring(tmp_path: Path, how: tuple[str, ...], code: int, verdict: str, detail: str) -> None:
    ended, folder = run_here(tmp_path, *SMALL, *fake(*how))
    assert ended == code
    folder.assert_nothing_left()
    assert folder.verdicts == {"capital": "passed", "another": "passed", "load": verdict}
    assert folder.details["load"] == detail.format(folder=folder.report["folder"])
    metrics = folder.report["benchmarks"][0]["metrics"]
    assert set(metrics) <= set(METRICS)
    if verdict == "measured":
        assert set(METRICS) - set(metrics) == ({"mean_tpot_ms", "p99_itl_ms"} if how else set())
        assert metrics["p99_ttft_ms"] == 12.25


def test_what_it_printed_is_kept_for_its_owner(tmp_path: Path) -> None:
    _, folder = run_here(tmp_path, *SMALL, *fake())
    log = folder.run / "load.log"
    assert log.read_text() == "INFO measuring\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_it_said_last_is_told_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "tokenizer")
    _, folder = run_here(tmp_path, *SMALL, *fake("bench-exit"))
    assert folder.details["load"] == "`vllm bench serve` exited with 5; see load.log: 'ValueError: no ***'"


def test_a_command_that_says_nothing(tmp_path: Path) -> None:
    def run(argv: Sequence[str], log: Path) -> int:
        log.touch()
        return 9

    outcome = bench().run("load", Bench(HERE, Client("http://127.0.0.1:1", "m", 1), tmp_path, run, last_line))
    assert (outcome.verdict, outcome.detail) == ("failed", "`vllm bench serve` exited with 9; see load.log: ''")
