"""Each fact of the vLLM guide, retyped in tests/data/guide.yaml, is found in the recipe internvl3 and its plan."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner.checks.expect import Expect
from recipe_runner.client import Answer as Said
from recipe_runner.paths import shipped
from tests.conftest import Answer

GUIDE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "data" / "guide.yaml").read_text())
CANONICAL = {"--random-input": "--random-input-len", "--random-output": "--random-output-len"}  # the guide abbreviates
METRICS = {  # the names that the benchmark's JSON has for the lines of its table
    "Successful requests": "completed",
    "Benchmark duration (s)": "duration",
    "Total input tokens": "total_input_tokens",
    "Total generated tokens": "total_output_tokens",
    "Request throughput (req/s)": "request_throughput",
    "Output token throughput (tok/s)": "output_throughput",
    "Total Token throughput (tok/s)": "total_token_throughput",
    **{
        f"{stat} {of} (ms)": f"{stat}_{of}_ms".lower()
        for stat in ("Mean", "Median", "P99")
        for of in ("TTFT", "TPOT", "ITL")
    },
}
UNITS = {"s": "s", "req/s": "req/s", "tok/s": "tok/s", "ms": "ms"}


def grouped(words: Iterable[str]) -> set[str]:
    """Command-line words as flags with their values, in no order."""
    return set(re.split(r" (?=--)", " ".join(words)))


@pytest.fixture
def plan(cli: Callable[..., Answer], no_vllm: None) -> dict[str, Any]:
    return json.loads(cli("plan", "recipe=internvl3", "hardware=a100x2", "--json").page)


def test_server_is_launched_with_the_flags_of_the_guide(plan: dict[str, Any]) -> None:
    (server,) = plan["processes"]
    assert server["argv"][:2] == ["vllm", "serve"]
    assert grouped(server["argv"][2:]) == set(GUIDE["serve"])
    assert server["env"] == GUIDE["env"]


def test_hardware_is_that_of_the_guide(plan: dict[str, Any]) -> None:
    assert {key: plan["hardware"][key] for key in GUIDE["hardware"]} == GUIDE["hardware"]


def test_check_asks_what_the_guide_asks(plan: dict[str, Any]) -> None:
    (check,) = plan["checks"]
    assert check["uses"] == "completion"
    assert {key: check[key] for key in GUIDE["request"]} == GUIDE["request"]


def test_check_accepts_the_answer_of_the_guide_and_no_other_capital(plan: dict[str, Any]) -> None:
    expect = Expect(**plan["checks"][0]["expect"])
    assert expect.misses(Said(GUIDE["answer"], 1.0, {})) == []
    assert expect.misses(Said(" The capital of France is Lyon.", 1.0, {})) == ["does not contain 'Paris'"]


def test_benchmark_is_that_of_the_guide_with_canonical_names_and_a_client_that_connects_to_this_host(
    plan: dict[str, Any],
) -> None:
    (benchmark,) = plan["benchmarks"]
    canonical = {" ".join(CANONICAL.get(word, word) for word in flag.split()) for flag in GUIDE["bench"]}
    assert benchmark["argv"][:3] == ["vllm", "bench", "serve"]
    assert grouped(benchmark["argv"][3:]) == canonical - {"--host 0.0.0.0"} | {"--host 127.0.0.1"}


def test_what_the_runner_appends_is_named_apart(plan: dict[str, Any]) -> None:
    appended = ["--save-result", "--save-detailed", "--result-dir", ".", "--result-filename", "guide.json"]
    assert plan["benchmarks"][0]["appended"] == appended
    assert not set(plan["benchmarks"][0]["argv"]) & {word for word in appended if word.startswith("--")}


def test_result_table_is_recorded_with_its_units_and_gates_nothing(cli: Callable[..., Answer]) -> None:
    shown = json.loads(cli("show", "internvl3", "hardware=a100x2", "--json").page)
    recorded = {
        name: (figure["value"], figure["unit"]) for name, figure in shown["expected"]["guide"]["metrics"].items()
    }
    table = {}
    for line, value in GUIDE["result"].items():
        unit = re.search(r"\((.+)\)", line)
        table[METRICS[line]] = (value, UNITS[unit[1]] if unit else line.split()[-1])
    assert recorded == table
    assert shown["expected"]["guide"]["hardware"] == "2 × A100-SXM4-40GB"
    assert "--num-prompts 50" in shown["expected"]["guide"]["note"]
    assert set(shown["benchmark"]["guide"]) & {"expect", "thresholds", "max", "min"} == set()


def test_reason_for_eager_mode_stands_beside_the_flag() -> None:
    lines = (shipped("recipes") / "internvl3.yaml").read_text().splitlines()
    flag = next(i for i, line in enumerate(lines) if line.strip().startswith("enforce_eager:"))
    assert any(GUIDE["enforce_eager_because"] in line for line in lines[flag - 3 : flag + 1])
