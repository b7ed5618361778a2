from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.api import Bench, Client, Target
from recipe_runner.benchmarks.judging import METRICS
from recipe_runner.benchmarks.vllm_bench import VllmBench
from recipe_runner.serving.serverlog import last_line
from tests.conftest import Answer
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
    appended = ("--save-result", "--save-detailed", "--result-dir", ".", "--result-filename", "guide.json")
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
        given = {f"{stat}_{of}_ms" for of in ("ttft", "tpot", "itl") for stat in ("mean", "median", "p99")}
        missing = {"mean_tpot_ms", "p99_itl_ms"} if how else set()
        assert {name for name in metrics if name.endswith("_ms")} == given - missing
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

    client = Client("http://127.0.0.1:1", "m", 1)
    outcome = bench().run("load", Bench(HERE, client, tmp_path, run, last_line, lambda seed: seed))
    assert (outcome.verdict, outcome.detail) == ("failed", "`vllm bench serve` exited with 9; see load.log: ''")


@pytest.mark.parametrize(
    ("fields", "fresh", "added"),
    [
        ({}, 0, []),
        ({}, 3, ["--seed", "3"]),
        ({"seed": 5}, 5, []),
        ({"seed": 5}, 6, ["--seed", "6"]),
        ({"extra_args": {"disable_tqdm": True}}, 6, ["--seed", "6"]),
    ],
)
def test_a_seed_is_passed_where_it_is_another(
    tmp_path: Path, fields: dict[str, Any], fresh: int, added: list[str]
) -> None:
    asked: list[Sequence[str]] = []
    given: list[int] = []

    def run(argv: Sequence[str], log: Path) -> int:
        asked.append(argv)
        return 1

    def seed(first: int) -> int:
        given.append(first)
        return fresh

    client = Client("http://127.0.0.1:1", "m", 1)
    planned = bench(**fields)
    planned.run("load.2", Bench(HERE, client, tmp_path, run, lambda log: "", seed))
    (argv,) = asked
    kept = [*planned.argv(HERE)]
    if added and "--seed" in kept:
        del kept[kept.index("--seed") : kept.index("--seed") + 2]
    assert sorted(argv[: len(kept) + len(added)]) == sorted([*kept, *added])
    assert argv[len(kept) + len(added) :][0] == "--save-result"
    assert argv[-1] == "load.2.json"
    assert given == [fields.get("seed", 0)]
    if not added:
        assert tuple(argv[: len(kept)]) == planned.argv(HERE)


@pytest.mark.parametrize(
    ("fields", "unmeasured", "shared"),
    [
        ({"num_prompts": 10}, 0, 0),
        ({"num_prompts": 10, "num_warmups": 5}, 5, 5 / 15),
        ({"num_prompts": 10, "extra_args": {"input_len": 0}}, 0, None),
        ({"num_prompts": 10, "extra_args": {"ready_check_timeout_sec": 60}}, 1, 1 / 11),
        ({"num_prompts": 10, "extra_args": {"ready_check_timeout_sec": 0}}, 0, 0),
        ({"num_prompts": 10, "random_prefix_len": 100, "random_input_len": 300}, 0, 9 * 100 / (10 * 400)),
        ({"num_prompts": 10, "random_prefix_len": 1024, "num_warmups": 2}, 2, (2 * 2048 + 9 * 1024) / (12 * 2048)),
        ({"num_prompts": 10, "random_prefix_len": 100, "extra_args": {"input_len": 100}}, 0, 9 * 100 / (10 * 200)),
        ({"dataset_name": "sharegpt", "num_warmups": 1}, 1, None),
        ({"backend": "openai-chat"}, 0, None),
        ({"backend": "openai", "num_prompts": 10}, 0, 0),
    ],
)
def test_what_its_prompts_have_in_common_by_design(
    fields: dict[str, Any], unmeasured: int, shared: float | None
) -> None:
    asked = bench(**fields)
    assert asked.unmeasured() == unmeasured
    assert asked.shared_prefix() == (None if shared is None else pytest.approx(shared))


@pytest.mark.parametrize("uses", ["vllm_bench", "vllm_bench_slo"])
def test_a_field_among_the_other_flags_is_refused(
    uses: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    slo = "slo: {p99_ttft_ms: 200}, " if uses == "vllm_bench_slo" else ""
    recipe(f"benchmark: {{b: {{uses: {uses}, {slo}num_prompts: 50, extra_args: {{num-prompts: 5, seed: 1, a: 2}}}}}}\n")
    assert cli("plan", "recipe=mine", "hardware=a100x1").refusal == [
        "benchmark.b.extra_args (recipes/mine.yaml:1) — {'num-prompts': 5, 'seed': 1, 'a': 2} does not fit here; "
        "write num_prompts, seed beside extra_args, as a field"
    ]


def test_how_often_it_is_measured_is_no_flag() -> None:
    assert bench(repeat=3).argv(HERE) == bench().argv(HERE)
