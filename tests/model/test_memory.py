"""Memory: against what vLLM logged, and what is said where a model does not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner.model.architecture import Architecture
from recipe_runner.model.memory import Memory, memory
from recipe_runner.model.parallel import judged
from recipe_runner.model.serving import Device, Serving, space_gib
from tests.model.test_architecture_facts import INTERNVL3, LOGS, QWEN3, QWEN25VL, of

FILES = sorted(LOGS.glob("*.yaml"))
H100, L4, RTX4090 = Device(79.11, "H100-SXM5-80GB"), Device(21.96, "L4"), Device(23.52, "RTX-4090")
BYTES = 16_381_470_720


def predicted(log: dict[str, Any], **serve: Any) -> Memory:
    kv = log["env"].get("VLLM_CPU_KVCACHE_SPACE")
    hardware, spread = log["hardware"], log["parallelism"]
    device = Device(hardware.get("memory_gib"), hardware["accelerator"], float(kv) if kv else None)
    serving = Serving.of(log["serve"] | serve)
    return judged(Architecture.of(log["config"]), serving, device, 1, **spread, parameter_bytes=log.get("bytes")).memory


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_prediction_is_what_vllm_logged(file: Path) -> None:
    log = yaml.safe_load(file.read_text())
    found, logged = predicted(log), log["logged"]
    assert found.verdict == ("does_not_fit" if "refused" in logged else "fits")
    if logged["weights_gib"]:  # 0.02 GiB matter with small models only: vLLM rounds, and so does torch's allocator
        assert found.weights_gib_per_gpu == pytest.approx(logged["weights_gib"], rel=0.02, abs=0.02)
    assert found.kv_gib_per_gpu == pytest.approx(logged["kv_gib"], rel=0.05)
    if logged["kv_tokens"]:
        on_cpu = log["hardware"]["accelerator"] == "cpu"
        assert found.kv_tokens == pytest.approx(logged["kv_tokens"], rel=0 if on_cpu else 0.05)
    else:
        assert found.kv_tokens == pytest.approx(logged["refused"]["longest"], rel=0.05)


# of a large GPU 5 % are more than all that is set aside; vLLM 0.25 sets nothing aside for Qwen2.5-VL's images
@pytest.mark.parametrize(
    "file", [file for file in FILES if "-h200-" in file.stem and "vl-7b" not in file.stem], ids=lambda file: file.stem
)
def test_what_is_set_aside_on_an_h200_is_known_to_half_a_gib(file: Path) -> None:
    log = yaml.safe_load(file.read_text())
    known = 0.35 if log["serve"].get("enforce_eager") else 0.5
    assert predicted(log).kv_gib_per_gpu == pytest.approx(log["logged"]["kv_gib"], abs=known)


def test_logs_say_what_their_descriptions_say() -> None:
    kept = sorted(LOGS.glob("*.log"))
    assert len(kept) >= 28
    for file in kept:
        text, log = file.read_text(), yaml.safe_load(file.with_suffix(".yaml").read_text())
        logged = log["logged"]
        assert f"version {log['versions']['vllm']}" in text
        if logged["weights_gib"]:
            assert f"Model loading took {logged['weights_gib']} GiB" in text
            assert f"Available KV cache memory: {logged['kv_gib']} GiB" in text
        if "refused" in logged:
            assert f"the estimated maximum model length is {logged['refused']['longest']}." in text
        else:
            assert f"KV cache size: {logged['kv_tokens']:,} tokens" in text


def test_the_longest_request_is_the_one_that_vllm_finds() -> None:
    log = yaml.safe_load((LOGS / "qwen3-dense-refused.yaml").read_text())
    longest = log["logged"]["refused"]["longest"]
    assert predicted(log, max_model_len=longest).verdict == "fits"
    assert predicted(log, max_model_len=longest + 1).verdict == "does_not_fit"


@pytest.mark.parametrize(
    ("config", "tp", "weights", "token"),
    [(QWEN3, 1, 15.27, 147_456), (INTERNVL3, 2, 7.59, 28_672), (QWEN25VL, 1, 15.63, 57_344)],
)
def test_known_figures(config: dict[str, Any], tp: int, weights: float, token: int) -> None:
    found = memory(of(config), Serving(), H100, tp=tp)
    assert found.weights_gib_per_gpu == pytest.approx(weights, rel=0.02)
    assert found.kv_bytes_per_token_per_gpu == token


def test_the_document_has_the_shape_that_is_promised() -> None:
    assert memory(of(QWEN3), Serving(max_model_len=8192), L4, parameter_bytes=BYTES).as_dict() == {
        "weights_gib_per_gpu": 15.27,
        "kv_bytes_per_token_per_gpu": 147456,
        "kv_gib_per_gpu": 3.47,
        "kv_tokens": 25232,
        "verdict": "fits",
        "assumptions": [
            "weights are counted from config.json; the checkpoint's size agrees",
            "vLLM may use 0.92 × 21.96 GiB of each GPU",
            "1.47 GiB set aside: activations 0.75 (2048 tokens, 256 requests a step), CUDA graphs 0.40, "
            "the rest for CUDA and the allocator",
        ],
    }
    assert set(Memory().as_dict()) == set(memory(of(QWEN3), Serving(), L4).as_dict())


@pytest.mark.parametrize(
    ("config", "device", "serve", "larger", "told", "cure"),
    [
        (
            QWEN3,
            L4,
            {},
            (2,),
            "one request of max_model_len=40960 needs 5.62 GiB of KV on each GPU, and there are 3.47 GiB, "
            "2.16 GiB too few",
            "serve.max_model_len=23552 or parallelism.tp=2 would make it fit",
        ),
        (
            QWEN3,
            L4,
            {"max_model_len": "26k"},
            (),
            "one request of max_model_len=26000 needs 3.57 GiB of KV on each GPU, and there are 3.47 GiB, "
            "0.11 GiB too few",
            "serve.max_model_len=23552 or serve.gpu_memory_utilization=0.93 would make it fit",
        ),
        (
            INTERNVL3,
            Device(8.0),
            {},
            (2, 4),
            "weights of 14.81 GiB and 1.47 GiB for activations and CUDA are 8.91 GiB more than the 7.36 GiB "
            "that vLLM may use of each GPU",
            "parallelism.tp=4 would make it fit",
        ),
        (
            QWEN3,
            Device(8.0),
            {},
            (),
            "weights of 15.27 GiB and 1.47 GiB for activations and CUDA are 9.38 GiB more than the 7.36 GiB "
            "that vLLM may use of each GPU",
            "take larger GPUs or more of them, or a smaller or quantised model",
        ),
        (
            QWEN3,
            Device(None, "cpu", 1),
            {},
            (),
            "one request of max_model_len=40960 needs 5.62 GiB of KV on the CPU, and there are 1.00 GiB, "
            "4.64 GiB too few",
            "serve.max_model_len=6144 or env.VLLM_CPU_KVCACHE_SPACE=6 would make it fit",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_words(
    config: dict[str, Any], device: Device, serve: dict[str, Any], larger: tuple[int, ...], told: str, cure: str
) -> None:
    found = memory(of(config), Serving.of(serve), device, larger=larger)
    assert (found.verdict, found.reason, found.cure) == ("does_not_fit", told, cure)
    assert found.short_by_gib
    assert f"{found.short_by_gib:.2f} GiB" in told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dtype": "float8"}, "recipe-runner does not know the size of dtype=float8"),
        ({"kv_cache_dtype": "nvfp4"}, "recipe-runner does not know the size of kv_cache_dtype=nvfp4"),
        ({"quantization": "torchao"}, "recipe-runner does not know how quantization=torchao stores these weights"),
    ],
)
def test_what_is_not_known_is_no_verdict(changed: dict[str, Any], told: str) -> None:
    assert memory(of(QWEN3), Serving.of(changed), H100) == Memory(reason=told)


def test_an_unknown_architecture_hardware_or_checkpoint_is_no_verdict() -> None:
    told = "recipe-runner does not know how vLLM spreads this architecture over GPUs"
    assert memory(None, Serving(), H100) == Memory(reason=told)
    for device, reason in [
        (Device(), "the hardware's memory_gib is not known"),
        (Device(None, "cpu"), "vLLM sizes KV by the host's memory: set env.VLLM_CPU_KVCACHE_SPACE (GiB)"),
    ]:
        found = memory(of(QWEN3), Serving(), device)
        assert (found.verdict, found.reason, found.kv_tokens) == ("unknown", reason, None)
        assert found.weights_gib_per_gpu == pytest.approx(15.27, rel=0.01)
    found = memory(of(QWEN3), Serving(), H100, parameter_bytes=BYTES // 3)
    assert found.reason == "the checkpoint has 5.09 GiB, its config.json explains 15.26"


def test_a_checkpoint_a_little_larger_than_its_configuration_is_believed() -> None:
    plain, more = (memory(of(QWEN3), Serving(), H100, parameter_bytes=size) for size in (BYTES, int(1.1 * BYTES)))
    assert more.weights_gib_per_gpu == pytest.approx((plain.weights_gib_per_gpu or 0) + 0.1 * BYTES / 2**30, rel=1e-6)
    assert more.assumptions[0] == "linear layers are scaled to the checkpoint's size"
    stored = memory(of(QWEN3), Serving(), H100, parameter_bytes=2 * BYTES)
    assert stored.weights_gib_per_gpu == plain.weights_gib_per_gpu
    assert stored.assumptions[0] == "the checkpoint is stored in another dtype than it is served in"


@pytest.mark.parametrize(
    ("serve", "weights", "token"),
    [
        ({}, 15.27, 147_456),
        ({"dtype": "float32"}, 30.53, 294_912),
        ({"kv_cache_dtype": "fp8"}, 15.27, 73_728),
        ({"quantization": "fp8"}, 8.79, 147_456),
        ({"quantization": "bitsandbytes"}, 5.97, 147_456),
    ],
)
def test_flags_decide_the_size_of_a_weight(serve: dict[str, Any], weights: float, token: int) -> None:
    found = memory(of(QWEN3), Serving.of(serve), H100)
    assert found.weights_gib_per_gpu == pytest.approx(weights, rel=0.001)
    assert found.kv_bytes_per_token_per_gpu == token


def test_a_quantised_checkpoint_is_smaller_by_what_its_linear_layers_save() -> None:
    awq = of(QWEN3 | {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}})
    found = memory(awq, Serving(quantization="awq_marlin"), H100)
    assert found.weights_gib_per_gpu == pytest.approx(5.69, abs=0.01)


def test_a_request_of_any_length_is_not_judged_and_kv_may_be_given_in_bytes() -> None:
    assert memory(of(QWEN3), Serving.of({"max_model_len": "auto"}), L4).verdict == "fits"
    found = memory(of(QWEN3), Serving.of({"kv_cache_memory_bytes": "6G"}), L4)
    assert (found.kv_gib_per_gpu, found.verdict) == (6.0, "fits")
    assert memory(of(QWEN3), Serving.of({"kv_cache_memory_bytes": "5G"}), L4).cure == (
        "serve.max_model_len=33792 or serve.kv_cache_memory_bytes=6G would make it fit"
    )


def test_flags_are_read_as_vllm_reads_them() -> None:
    read = Serving.of({"max_model_len": "1.5k", "max_num_seqs": "1K", "block_size": None, "enforce_eager": True})
    assert (read.max_model_len, read.max_num_seqs, read.block_size, read.enforce_eager) == (1500, 1024, None, True)
    assert Serving.of({"max_model_len": -1}).any_len
    assert Serving.of({"max_model_len": "long"}).max_model_len is None
    assert Serving.of({"gpu_memory_utilization": "nan"}) == Serving()
    assert [space_gib(text) for text in ("4", "0.5", "0", "²", "9" * 400)] == [4.0, 0.5, None, None, None]
    steps = [(Serving().batched_tokens(device), Serving().requests(device)) for device in (L4, H100, Device(139.8))]
    assert steps == [(2048, 256), (8192, 1024), (8192, 1024)]
    assert Serving().batched_tokens(Device(180.0)) == 16384
    assert Serving().batched_tokens(Device(79.15, "A100-SXM4-80GB")) == 2048


def test_an_image_encoder_and_graphs_take_their_share() -> None:
    eager = memory(of(QWEN25VL), Serving(enforce_eager=True, max_model_len=8192), RTX4090)
    graphs = memory(of(QWEN25VL), Serving(max_model_len=8192), RTX4090)
    assert (eager.kv_gib_per_gpu or 0) - (graphs.kv_gib_per_gpu or 0) == pytest.approx(0.4)
    text = replace(of(QWEN25VL), vision=None)
    alone = memory(text, Serving(enforce_eager=True, max_model_len=8192), RTX4090)
    assert (alone.kv_gib_per_gpu or 0) - (eager.kv_gib_per_gpu or 0) > 1.26 + 1  # its weights, and its activations
