"""Parallelism: what vLLM would refuse, the choices, and that the best is found whenever there is one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe_runner.model import memory as constants
from recipe_runner.model.architecture import Architecture
from recipe_runner.model.parallel import Choice, alternatives, auto, choices, judged, larger, legal
from recipe_runner.model.parts import PLAIN, Experts, Quantization
from recipe_runner.model.serving import Device, Serving
from tests.model.test_architecture_facts import INTERNVL3, INTERNVL35, QWEN3, QWEN3_MOE, QWEN25VL, SMOLLM2, of

A100 = Device(39.39, "A100-SXM4-40GB")
FP8 = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        (INTERNVL3, [1, 2, 4]),
        (QWEN25VL, [1, 2, 4]),
        (QWEN3, [1, 2, 4, 8, 16, 32]),
        (INTERNVL35, [1, 2, 4, 8, 16, 32]),
        (SMOLLM2, [1, 3]),
    ],
    ids=["internvl3", "qwen2.5-vl", "qwen3", "internvl3.5", "smollm2"],
)
def test_legal_sizes_are_those_that_vllms_own_classes_take(config: dict[str, Any], allowed: list[int]) -> None:
    assert [tp for tp in range(1, 33) if legal(of(config), tp) is None] == allowed


@pytest.mark.parametrize(
    ("config", "tp", "pp", "dp", "told"),
    [
        (INTERNVL3, 8, 1, 1, "28 attention heads are not divisible by tp=8"),
        (SMOLLM2 | {"num_key_value_heads": 2}, 3, 1, 1,
         "2 KV heads can neither be divided among tp=3 nor replicated evenly"),
        (QWEN3 | {"num_attention_heads": 30, "num_key_value_heads": 30}, 3, 1, 1,
         "the vocabulary, padded to 151936, is not divisible by tp=3"),
        (QWEN25VL | {"num_attention_heads": 32, "vocab_size": 152064}, 32, 1, 1,
         "16 attention heads of the image encoder are not divisible by tp=32"),
        (INTERNVL3 | {"text_config": INTERNVL3["text_config"] | {"vocab_size": 448, "num_key_value_heads": 7}},
         7, 1, 1,
         "the image encoder's MLP of 4096 is not divisible by tp=7"),
        (QWEN3 | {"intermediate_size": 12289}, 2, 1, 1, "the MLP of 12289 is not divisible by tp=2"),
        (QWEN3_MOE | {"num_experts": 2}, 4, 1, 1, "tp=4 is more than the 2 experts"),
        (QWEN3_MOE, 2, 1, 5, "the MLP of 768 is not divisible by tp × dp = 10"),
        (QWEN3_MOE | FP8, 4, 1, 1, "the MLP of 768 leaves 192 for each GPU at tp=4, not whole groups of 128 weights"),
        (QWEN3, 1, 37, 1, "36 layers are fewer than pp=37"),
        (QWEN3, 2, 36, 5, None),
    ],
)  # fmt: skip
def test_what_vllm_would_refuse_is_told_in_words(
    config: dict[str, Any], tp: int, pp: int, dp: int, told: str | None
) -> None:
    assert legal(of(config), tp, pp, dp) == told


@pytest.mark.parametrize(
    ("config", "device", "count", "best"),
    [
        (QWEN3, A100, 1, (1, 1, 1)),
        (QWEN3, A100, 8, (1, 8, 1)),  # a copy on each
        (QWEN3, Device(21.96), 2, (2, 1, 1)),  # the full length needs two
        (QWEN3, Device(12.0), 8, (4, 2, 1)),  # not tp=8: two copies fit
        (QWEN3, Device(12.0), 6, (1, 2, 3)),  # none idle: pipelines, for tp=3 is illegal
        (INTERNVL3, Device(12.0), 4, (2, 2, 1)),
        (QWEN3, Device(4.0), 2, None),
        (QWEN3_MOE, Device(21.96), 8, (1, 8, 1)),  # copies share the experts
        (QWEN3_MOE, Device(21.96), 1, None),
    ],
)
def test_the_best_choice(config: dict[str, Any], device: Device, count: int, best: tuple[int, int, int] | None) -> None:
    found = auto(choices(of(config), Serving(), device, count))
    assert (found and (found.tp, found.dp, found.pp)) == best


def test_devices_stay_idle_only_if_nothing_better_fits() -> None:
    few = of(QWEN3 | {"num_hidden_layers": 2})
    found = auto(choices(few, Serving(), Device(4.5), 3))
    assert found is not None
    assert (found.tp, found.dp, found.pp, found.world) == (2, 1, 1, 2)


def test_alternatives_are_rows_with_kv_or_the_reason() -> None:
    found = choices(of(INTERNVL3), Serving(max_model_len=8192), A100, 4)
    rows = [choice.as_dict() for choice in alternatives(found)]
    assert [(row["tp"], row["dp"], row["pp"], row["verdict"]) for row in rows] == [
        *((1, 4, 1, "fits"), (1, 2, 2, "fits"), (1, 1, 3, "fits"), (1, 1, 4, "fits")),
        *((2, 2, 1, "fits"), (2, 1, 2, "fits"), (3, 1, 1, "illegal"), (4, 1, 1, "fits")),
    ]
    assert rows[-2]["why_not"] == "28 attention heads are not divisible by tp=3"
    assert rows[-2]["kv_tokens"] is None
    assert rows[0]["kv_tokens"] < rows[4]["kv_tokens"] < rows[7]["kv_tokens"]


def test_what_is_not_known_chooses_nothing() -> None:
    found = choices(None, Serving(), A100, 2)
    assert {choice.verdict for choice in found} == {"unknown"}
    assert auto(found) is None
    assert auto(choices(of(QWEN3), Serving(), Device(), 2)) is None


def test_a_cure_is_a_legal_size_within_the_devices() -> None:
    assert larger(of(INTERNVL3), 1, 1, 1, 8) == (2, 4)
    assert larger(of(INTERNVL3), 1, 1, 2, 4) == (2,)
    found = judged(of(INTERNVL3), Serving(max_model_len=8192), Device(12.0), 8)
    assert (found.verdict, found.memory.cure) == ("does_not_fit", "parallelism.tp=2 would make it fit")
    alone = judged(of(INTERNVL3), Serving(max_model_len=8192), Device(12.0), 1)
    assert alone.memory.cure == "take larger GPUs or more of them, or a smaller or quantised model"
    assert judged(of(INTERNVL3), Serving(), Device(12.0), 8, tp=8).verdict == "illegal"


@st.composite
def models(draw: st.DrawFn) -> Architecture:
    """Dense models and mixtures of experts, sensible and odd."""
    kv_heads = draw(st.sampled_from([1, 2, 3, 4, 7, 8, 8]))
    heads = kv_heads * draw(st.sampled_from([1, 2, 3, 4, 7, 8]))
    layers, width = draw(st.integers(1, 96)), draw(st.integers(1, 128)) * draw(st.sampled_from([1, 96, 128, 256]))
    experts = Experts(draw(st.sampled_from([2, 6, 8, 64, 128])), 2, width, layers, draw(st.sampled_from([0, 96, 512])))
    return Architecture(
        name="Qwen3ForCausalLM",
        layers=layers,
        hidden=draw(st.integers(1, 128)) * 64,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=draw(st.sampled_from([64, 96, 128])),
        intermediate=width,
        vocabulary=draw(st.sampled_from([32000, 49152, 128256, 151674, 151936, 448])),
        positions=4096,
        model_len=draw(st.sampled_from([2048, 8192, 131072])),
        most_len=131072,
        tied=draw(st.booleans()),
        tied_stated=True,
        dtype="bfloat16",
        quantization=draw(st.sampled_from([PLAIN, Quantization("fp8", 8, 128), Quantization("awq", 4.5, 32)])),
        experts=draw(st.sampled_from([None, experts])),
    )


def brute(a: Architecture, gib: float, count: int) -> set[tuple[int, int, int]]:
    """Every (tp, dp, pp) that vLLM would take and that fits, in the plainest words."""
    sizes = range(1, count + 1)
    every = [(tp, dp, pp) for tp in sizes for dp in sizes for pp in sizes if tp * dp * pp <= count]
    return {choice for choice in every if divides(a, *choice) and holds(a, gib, *choice)}


def divides(a: Architecture, tp: int, dp: int, pp: int) -> bool:
    group, parts = a.quantization.group or 1, tp * dp if a.experts else tp
    return (
        a.heads % tp == 0
        and (a.kv_heads % tp == 0 or tp % a.kv_heads == 0)
        and ((a.vocabulary + 63) // 64 * 64) % tp == 0
        and a.intermediate % parts == 0
        and (parts == 1 or a.intermediate // parts % group == 0)
        and (not a.experts or tp <= a.experts.count)
        and (not a.experts or a.experts.shared_intermediate % tp == 0)
        and (not a.experts or tp == 1 or a.experts.shared_intermediate // tp % group == 0)
        and a.layers >= pp
    )


def holds(a: Architecture, gib: float, tp: int, dp: int, pp: int) -> bool:
    """Whether each stage has room for weights, allowances and one request, counted layer by layer."""
    bits = a.quantization.bits or 16
    kv, dim, hidden = max(1, a.kv_heads // tp), a.head_dim, a.hidden
    linear = (a.heads // tp + 2 * kv) * dim * hidden + a.heads // tp * dim * hidden
    other = 2 * hidden
    if a.experts:
        linear += 3 * hidden * (a.experts.count * a.experts.intermediate // (tp * dp))
        linear += 3 * hidden * (a.experts.shared_intermediate // tp)
        other += hidden * (a.experts.count + (a.experts.shared_intermediate > 0))
        wide = a.experts.intermediate // (tp * dp)
        step = a.experts.active * (max(wide, hidden) + max(2 * wide, hidden))
        logits = 256 * a.vocabulary * 14 + 2048 * (hidden + step) * 2
    else:
        linear += 3 * hidden * (a.intermediate // tp)
        step = 3 * a.intermediate // tp
        logits = 256 * a.vocabulary * 6 + 2048 * hidden * 2
    table = (a.vocabulary + 63) // 64 * 64 // tp * hidden
    held = [a.layers // pp] * pp
    for extra in range(a.layers % pp):
        held[pp - 2 - extra] += 1
    for stage, layers in enumerate(held):
        tables = (stage == 0) + (stage == pp - 1) - (pp == 1 and a.tied)
        whole = tables * table + (hidden if stage == pp - 1 else 0) + a.positions * dim
        weights = (layers * linear * bits / 8 + 2 * (layers * other + whole)) / 2**30
        used = max(0.75, 2048 * (step + 3 * hidden) * 2 / 2**30, logits / 2**30)
        left = 0.92 * gib - 1.004 * weights - 0.26 - used - 0.4
        if left <= 0 or left * 2**30 // (16 * 4 * layers * kv * dim) < -(-a.model_len // 16) + 1:
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(models(), st.floats(2, 40), st.sampled_from([1, 2, 3, 4, 6, 7, 8]))
def test_a_choice_is_found_whenever_there_is_one_and_it_is_legal_and_fits(
    a: Architecture, gib: float, count: int
) -> None:
    found, there = choices(a, Serving(), Device(gib), count), brute(a, gib, count)
    assert {(one.tp, one.dp, one.pp) for one in found if one.verdict == "fits"} == there
    best = auto(found)
    assert (best is None) == (not there)
    if best:
        assert (best.tp, best.dp, best.pp) in there
        assert best.world == max(tp * dp * pp for tp, dp, pp in there)
        smaller = [one for one in there if one[0] * one[2] < best.tp * best.pp]
        assert all(tp * dp * pp < best.world for tp, dp, pp in smaller)
        assert auto(reversed(found)) == best


def test_constants_are_those_that_the_plain_words_have() -> None:
    assert (constants.OUTSIDE_TORCH_GIB, constants.GRAPHS_GIB, constants.STEP_GIB) == (0.26, 0.4, 0.75)
    assert Choice(2, 3, 1, constants.Memory()).world == 6


@pytest.mark.parametrize(
    ("serve", "length", "verdict", "told"),
    [
        (
            {"speculative_config": {"model": "a/b"}},
            8192,
            "unknown",
            "would fit without speculative_config, and what that",
        ),
        ({"speculative_config.model": "a/b"}, 8192, "unknown", "would fit without speculative_config, and what that"),
        ({"enable_lora": True}, 8192, "unknown", "would fit without enable_lora, and what that"),
        ({"enable_lora": False, "cpu_offload_gb": 0}, 8192, "fits", ""),
        ({"cpu_offload_gb": 30}, 8192, "fits", "cpu_offload_gb"),
        ({"cpu_offload_gb": 30}, 40960, "unknown", "would not fit without cpu_offload_gb, and what that"),
        ({"enable_lora": True}, 40960, "does_not_fit", "enable_lora"),
        (
            {"enable_lora": True, "cpu_offload_gb": 1},
            40960,
            "unknown",
            "would not fit without cpu_offload_gb, and what",
        ),
        ({"enable_lora": True, "cpu_offload_gb": 1}, 8192, "unknown", "would fit without enable_lora, and what that"),
    ],
)
def test_what_is_not_counted_is_told_and_decides_nothing(
    serve: dict[str, Any], length: int, verdict: str, told: str
) -> None:
    serving, device = Serving.of({**serve, "max_model_len": length}), Device(23.52, "RTX-4090")
    found = judged(of(QWEN3), serving, device, 1).memory
    assert found.verdict == verdict
    if verdict == "unknown":
        assert (found.reason or "").startswith(f"it {told}")
        assert (found.reason or "").endswith("changes is not counted")
    else:
        left = [text for text in found.assumptions if text.startswith("what changes with")]
        assert left == ([f"what changes with {told} is not counted"] if told else [])
