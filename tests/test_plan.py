"""The plan: commands, environment, address, timeouts, what fits; a pure function of a request and of facts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import prepare
from recipe_runner.api import Located
from recipe_runner.composition.schema import ModelFacts
from recipe_runner.errors import RecipeError
from recipe_runner.facts import Facts
from recipe_runner.host.hardware import Gpu, Host
from recipe_runner.model.serving import GIB
from recipe_runner.plan import Command, Plan, plan
from tests.nvml import A100

CPU_ONLY = Host((), None, "a CPU", 4, 16.0, "Linux")
VLLM = Located(("vllm", "serve"), ("vllm",))
FACTS = Facts(CPU_ONLY, VLLM, options=frozenset())


def drawn(*words: str, facts: Facts = FACTS) -> Plan:
    hardware = [] if any(word.startswith(("hardware=", "engine=attach")) for word in words) else ["hardware=a100x2"]
    return plan(prepare.requested(["recipe=mine", *hardware, *words], [])[1], facts)


def server(*words: str, facts: Facts = FACTS) -> Command:
    (command,) = drawn(*words, facts=facts).commands
    return command


@pytest.fixture(autouse=True)
def mine(recipe: Callable[..., Path]) -> None:
    recipe("")


@pytest.mark.parametrize(
    ("word", "flags"),
    [
        ("serve.enforce_eager=true", ["--enforce-eager"]),
        ("serve.enable_prefix_caching=false", ["--no-enable-prefix-caching"]),
        ("serve.enforce_eager=null", []),
        ("serve.max_model_len=8192", ["--max-model-len", "8192"]),
        ("serve.gpu_memory_utilization=0.5", ["--gpu-memory-utilization", "0.5"]),
        ("serve.served_model_name=[a,b]", ["--served-model-name", "a", "b"]),
        ("serve.limit_mm_per_prompt={image: 2}", ["--limit-mm-per-prompt", '{"image":2}']),
        ("serve.mixed=[{a: true},true,1]", ["--mixed", '{"a":true}', "true", "1"]),
        ("serve.chat_template='a b'", ["--chat-template", "a b"]),
        ("model.revision=v1", ["--revision", "v1"]),
        ("parallelism.tp=2", ["--tensor-parallel-size", "2"]),
        ("parallelism={dp: 2, pp: 1}", ["--data-parallel-size", "2", "--pipeline-parallel-size", "1"]),
    ],
)
def test_flags_say_what_a_layer_states_and_no_more(word: str, flags: list[str]) -> None:
    assert server(word).argv == ("vllm", "serve", "a/model", *flags)


def test_a_folder_of_weights_is_what_is_served(tmp_path: Path) -> None:
    made = drawn("model.path=weights")
    assert made.commands[0].argv == ("vllm", "serve", str(tmp_path / "weights"))
    assert made.target.model == made.target.served_name == str(tmp_path / "weights")


@pytest.mark.parametrize(
    ("words", "devices"),
    [
        ([], "0"),
        (["parallelism.tp=2"], "0,1"),
        (["hardware=a100x8", "parallelism={tp: 2, dp: 2, pp: 2}"], "0,1,2,3,4,5,6,7"),
        (["env.CUDA_VISIBLE_DEVICES='1'"], "1"),
        (["hardware=cpu"], None),
    ],
)
def test_devices_are_derived_unless_the_recipe_names_them(words: list[str], devices: str | None) -> None:
    assert server(*words).env.get("CUDA_VISIBLE_DEVICES") == devices


def test_devices_that_were_found_free_are_taken() -> None:
    found = replace(FACTS, devices=("3", "GPU-7"))
    assert server("parallelism.tp=2", facts=found).env == {"CUDA_VISIBLE_DEVICES": "3,GPU-7"}


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ([], "http://127.0.0.1:8000"),
        (["serve.host=0.0.0.0", "serve.port=9"], "http://127.0.0.1:9"),
        (["serve.host='::'"], "http://[::1]:8000"),
        (["serve.host=''"], "http://127.0.0.1:8000"),
        (["serve.host=10.0.0.1"], "http://10.0.0.1:8000"),
        (["serve.host='fe80::1'"], "http://[fe80::1]:8000"),
    ],
)
def test_a_client_on_this_host_finds_the_server(words: list[str], url: str) -> None:
    assert drawn(*words).url == url


def test_a_free_port_is_in_the_command_the_address_and_the_provenance() -> None:
    made = drawn("serve.port=0", facts=replace(FACTS, port=4711))
    assert made.commands[0].argv[-2:] == ("--port", "4711")
    assert (made.url, made.target.port) == ("http://127.0.0.1:4711", 4711)
    assert (made.provenance["--port"][1].layer, str(made.provenance["--port"][1])) == ("recipe-runner", "a free port")


@pytest.mark.parametrize(
    ("words", "facts", "ready_s"),
    [
        ([], FACTS, 1800),
        ([], replace(FACTS, model=ModelFacts(source="", bytes=int(15.5 * GIB))), 730),
        (["hardware=cpu"], replace(FACTS, model=ModelFacts(source="", bytes=GIB // 4)), 185),
        (["timeouts.ready_s=33"], replace(FACTS, model=ModelFacts(source="", bytes=int(15.5 * GIB))), 33),
        (["engine=attach", "engine.url=http://h:1"], Facts(CPU_ONLY, Located((), None)), 60),
    ],
)
def test_how_long_a_server_may_take(words: list[str], facts: Facts, ready_s: float) -> None:
    assert drawn(*words, facts=facts).ready_s == ready_s


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["parallelism.tp=3"],
            "parallelism — tp=3 takes 3 devices, a100x2 has 2; make tp × dp × pp at most 2, or name larger hardware",
        ),
        (
            ["parallelism={tp: 2, dp: 2, pp: 3}", "hardware=a100x8"],
            "parallelism — tp=2 × dp=2 × pp=3 takes 12 devices, a100x8 has 8; "
            "make tp × dp × pp at most 8, or name larger hardware",
        ),
        (
            ["hardware=host"],
            "hardware — there is no NVIDIA GPU here; "
            "name the hardware to plan for, such as hardware=a100x2, or use hardware=cpu",
        ),
        (
            ["hardware.count=null"],
            "hardware.count (conf/hardware/a100x2.yaml) — this is missing; say how many devices the profile has",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_words(words: list[str], told: str) -> None:
    with pytest.raises(RecipeError) as error:
        drawn(*words)
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        ([], ["only 1 of 2 devices would be used; parallelism.dp=2 takes 2"]),
        (["parallelism.tp=2"], []),
        (
            ["hardware=a100x8", "parallelism={tp: 2, dp: 2}"],
            ["only 4 of 8 devices would be used; parallelism.dp=4 takes 8"],
        ),
        (["hardware=a100x8", "parallelism.tp=3"], ["only 3 of 8 devices would be used; parallelism.dp=2 takes 6"]),
        (["hardware=a100x8", "parallelism.tp=5"], ["only 5 of 8 devices would be used"]),
        (["hardware=cpu"], []),
    ],
)
def test_idle_devices_are_noted(words: list[str], notes: list[str]) -> None:
    host = replace(CPU_ONLY, gpus=tuple(Gpu(str(i), f"GPU-{i}", A100, 39.39, 0.0, "8.0") for i in range(8)))
    assert list(drawn(*words, facts=replace(FACTS, host=host)).warnings) == notes


def test_the_host_is_described_by_its_gpus() -> None:
    gpu = Gpu("0", "GPU-0", "NVIDIA Unheard-of", 47.519, 0.0, "9.9")
    made = drawn("hardware=host", facts=Facts(replace(CPU_ONLY, gpus=(gpu,)), VLLM))
    assert made.as_dict()["hardware"] == {
        "name": "host",
        "accelerator": "NVIDIA Unheard-of",
        "count": 1,
        "nodes": 1,
        "memory_gib": 47.52,
        "compute_capability": "9.9",
        "interconnect": None,
        "nvml_names": ["NVIDIA Unheard-of"],
        "sources": {},
    }


def test_an_attached_plan_launches_nothing() -> None:
    made = drawn(
        "engine=attach", "engine.url=http://h:1/v1/", "benchmark=smoke", facts=Facts(CPU_ONLY, Located((), None))
    )
    assert (made.attached, made.commands, made.url, dict(made.provenance)) == (True, (), "http://h:1", {})
    assert made.warnings == ()
    document = made.as_dict()
    assert (document["hardware"], document["processes"], document["url"]) == (None, [], "http://h:1")
    argv = document["benchmarks"][0]["argv"]
    assert argv[argv.index("--base-url") + 1] == "http://h:1"


def test_plans_share_a_server_if_its_command_is_the_same() -> None:
    one, same = drawn("serve.x=1"), drawn("serve.x=1", "validation=smoke")
    others = [drawn("serve.x=2"), drawn("serve.x=1", "env.A='1'"), drawn("serve.x=1", "serve.port=1")]
    assert one.server_key() == same.server_key()
    assert all(one.server_key() != other.server_key() for other in others)


def test_the_document_has_the_shape_that_is_promised(recipe: Callable[..., Path]) -> None:
    recipe(
        "summary: S\nmodel: {id: a/model}\nserve: {x: 1}\nenv: {A: b}\nvalidation: {v: {uses: models}}\n"
        "benchmark: {b: {uses: vllm_bench, num_prompts: 3}}\n"
    )
    document: dict[str, Any] = drawn("parallelism.tp=2").as_dict()
    assert list(document) == [
        *(
            "format",
            "recipe",
            "choices",
            "overrides",
            "engine",
            "hardware",
            "parallelism",
            "memory",
            "alternatives",
            "url",
        ),
        *("processes", "checks", "benchmarks"),
        *("timeouts", "provenance", "warnings"),
    ]
    assert document["format"] == 1
    assert document["recipe"] | {"sha256": ""} == {
        "name": "mine",
        "file": "recipes/mine.yaml",
        "sha256": "",
        "summary": "S",
        "model": {"id": "a/model"},
    }
    assert len(document["recipe"]["sha256"]) == 64
    assert document["parallelism"] == {"tp": 2, "dp": 1, "pp": 1}
    assert document["processes"] == [
        {
            "role": "server",
            "argv": ["vllm", "serve", "a/model", "--x", "1", "--tensor-parallel-size", "2"],
            "env": {"A": "b", "CUDA_VISIBLE_DEVICES": "0,1"},
        }
    ]
    assert document["checks"] == [{"name": "v", "uses": "models"}]
    (benchmark,) = document["benchmarks"]
    assert list(benchmark) == ["name", "uses", "times", "fields", "argv", "appended"]
    assert benchmark["fields"].keys() & {"uses", "repeat"} == set()
    assert benchmark["fields"]["dataset_name"] == "random"
    assert benchmark["argv"][:3] == ["vllm", "bench", "serve"]
    assert document["provenance"] == {
        "--x": {"value": 1, "layer": "recipe", "source": "recipes/mine.yaml:3"},
        "--tensor-parallel-size": {"value": 2, "layer": "command line", "source": "command line"},
        "A": {"value": "b", "layer": "recipe", "source": "recipes/mine.yaml:4"},
        "CUDA_VISIBLE_DEVICES": {"value": "0,1", "layer": "recipe-runner", "source": "tp × dp × pp devices"},
    }
    assert document["timeouts"] == {
        **{"connect_s": 3, "first_token_s": 60, "request_s": 120, "fetch_s": 7200, "ready_s": 1800.0},
        **{"check_s": 600, "benchmark_s": 7200, "stop_s": 10, "run_s": 14400},
    }
    assert "simulated" not in document


def test_a_simulated_plan_says_so() -> None:
    made = drawn("engine=sim")
    assert (made.simulated, made.as_dict()["simulated"]) == (True, True)


def test_a_removal_that_removes_nothing_is_said() -> None:
    said = drawn("parallelism.tp=2", "serve.enforce_eager=true", "~serve.enforce_eagr", "~validation.x").warnings
    there = "did you mean enforce_eager? There are: enforce_eager"
    assert f"serve.enforce_eagr is not there to be taken away; {there}" in said
    assert "validation.x is not there to be taken away; choose one of: none" in said
