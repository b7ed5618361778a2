"""Requests that are longer than the model, or its server, takes: refused, word for word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner import prepare
from recipe_runner.errors import RecipeError
from tests.model.test_architecture_facts import QWEN3

SMALL = QWEN3 | {"num_hidden_layers": 2, "max_position_embeddings": 4096}
CURES = (
    "write 4096 or less, scale its positions with serve.hf_overrides, or set env.VLLM_ALLOW_LONG_MAX_MODEL_LEN=1; "
    "preflight.model=warn tries all the same"
)
TOLD = f"serve.max_model_len — 8192 is more than the 4096 tokens that a/model was made for; {CURES}"
YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 4096}


@pytest.fixture
def told(recipe: Callable[..., Path]) -> Callable[..., list[str]]:
    """What is refused, or else noted, of a small model."""

    def told(*words: str, config: dict[str, Any] | None = None, benchmark: str = "null") -> list[str]:
        facts = {"source": "a test", "config": SMALL | (config or {})}
        recipe(f"{yaml.dump({'model': {'id': 'a/model', 'facts': facts}})}benchmark: {benchmark}\n")
        asked = ["recipe=mine", "engine=sim", "hardware=h100x1", *words]
        try:
            (plan,) = prepare.plans(asked, [], sweep=False, launching=False)
        except RecipeError as exc:
            return [str(fault) for fault in exc.faults]
        return [note for note in plan.warnings if "max_model_len" in note or "made for" in note]

    return told


@pytest.mark.parametrize(
    ("words", "config", "lines"),
    [
        ("serve.max_model_len=4096", {}, []),
        ("serve.max_model_len=auto", {}, []),
        ("serve.max_model_len=8192", {}, [TOLD]),
        ("serve.max_model_len=8192 preflight.model=warn", {}, [TOLD.partition(" — ")[2]]),
        ("serve.max_model_len=8192 env.VLLM_ALLOW_LONG_MAX_MODEL_LEN='1'", {}, []),
        ("serve.max_model_len=8192 env.VLLM_ALLOW_LONG_MAX_MODEL_LEN='0'", {}, [TOLD]),
        ("serve.max_model_len=8192 serve.hf_overrides={max_position_embeddings:8192}", {}, []),
        ("serve.max_model_len=8192 serve.hf_overrides={architectures:[X]}", {}, [TOLD]),
        ("serve.max_model_len=8192", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, []),
        ("serve.max_model_len=8192", {"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, [TOLD]),
        ("serve.max_model_len=8192", {"sliding_window": 1024}, []),
        ("serve.max_model_len=8192", {"model_max_length": 8192}, []),
        (
            "serve.max_model_len=8192",
            {"rope_scaling": YARN},
            ["serve.max_model_len=8192 is more than 4096, which vLLM since 0.32 refuses with YaRN"],
        ),
    ],
)
def test_a_length_that_the_model_was_not_made_for(
    words: str, config: dict[str, Any], lines: list[str], told: Callable[..., list[str]]
) -> None:
    assert told(*words.split(), config=config) == lines


def test_a_server_of_ours_may_inherit_the_permission(
    told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "true")
    assert told("serve.max_model_len=8192") == []


@pytest.mark.parametrize(
    ("benchmark", "words", "asked", "limit"),
    [
        ("{uses: vllm_bench, random_input_len: 5000, random_output_len: 64}", "", 5064, 4096),
        ("{uses: vllm_bench, random_input_len: 4000}", "", 4128, 4096),
        ("{uses: vllm_bench, random_prefix_len: 900, random_output_len: 100}", "serve.max_model_len=2k", 2024, 2000),
        ("{uses: vllm_bench, backend: openai-chat, extra_args: {output-len: 4000}}", "", 5024, 4096),
        ("{uses: vllm_bench, random_input_len: 9000, random_range_ratio: 0.5}", "", 4564, 4096),
        ("{uses: vllm_bench, random_input_len: 5000, random_range_ratio: 0.5}", "", None, 4096),
        ("{uses: vllm_bench, random_input_len: 5000, dataset_name: sharegpt}", "", None, 4096),
        ("{uses: vllm_bench, random_input_len: 5000, backend: openai-embeddings}", "", None, 4096),
        ("{uses: vllm_bench, random_input_len: 3968}", "", None, 4096),
        ("{uses: vllm_bench_slo, slo: {p95_ttft_ms: 9}, random_input_len: 5000}", "", 5128, 4096),
        ("{uses: load, input_len: 4000, output_len: 100}", "", 4100, 4096),
        ("{uses: load, input_len: 4000, output_len: 100}", "engine=attach engine.url=http://127.0.0.1:1", None, 4096),
    ],
)
def test_a_benchmark_whose_requests_no_answer_can_follow(
    benchmark: str, words: str, asked: int | None, limit: int, told: Callable[..., list[str]]
) -> None:
    cures = (
        "make them shorter, or raise serve.max_model_len: vLLM would refuse them, or cut their answers; "
        "preflight.model=warn tries all the same"
    )
    found = told(*words.split(), benchmark=f"{{own: {benchmark}}}")
    what = f"its requests take {asked} tokens, prompt and answer, and max_model_len is {limit}; {cures}"
    assert [text.partition(" — ")[2] for text in found] == ([what] if asked else [])
    assert all(text.startswith("benchmark.own (recipes/mine.yaml:") for text in found)
