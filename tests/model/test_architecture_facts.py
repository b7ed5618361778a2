"""Architectures read from config.json: sizes that are known to the parameter, and what is not known stays unknown."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner.model.architecture import Architecture, layers_of_stages
from recipe_runner.model.parts import PLAIN, Experts, Quantization

LOGS = Path(__file__).parents[1] / "data" / "vllm_logs"

QWEN3: dict[str, Any] = {
    **{"architectures": ["Qwen3ForCausalLM"], "torch_dtype": "bfloat16", "tie_word_embeddings": False},
    **{"hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8},
    **{"head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936, "max_position_embeddings": 40960},
}
SMOLLM2: dict[str, Any] = {
    **{"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "tie_word_embeddings": True},
    **{"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3},
    **{"intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192},
}
QWEN25VL: dict[str, Any] = {
    **{"architectures": ["Qwen2_5_VLForConditionalGeneration"], "torch_dtype": "bfloat16"},
    **{"tie_word_embeddings": False, "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28},
    **{"num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064, "max_position_embeddings": 128000},
    **{"rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "sliding_window": 32768},
    "use_sliding_window": False,
    "vision_config": {
        **{"hidden_size": 1280, "depth": 32, "num_heads": 16, "intermediate_size": 3420, "in_chans": 3},
        **{"patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2},
    },
}
INTERNVL3: dict[str, Any] = yaml.safe_load((LOGS / "internvl3-8b-h100-tp2.yaml").read_text())["config"]
INTERNVL35: dict[str, Any] = INTERNVL3 | {"text_config": QWEN3 | {"model_type": "qwen3"}}
# 128 experts, 8 of them active; https://huggingface.co/Qwen/Qwen3-30B-A3B has 30,532,122,624 parameters
QWEN3_MOE: dict[str, Any] = {
    **QWEN3,
    **{"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 48},
    **{"num_key_value_heads": 4, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128},
    **{"num_experts_per_tok": 8, "decoder_sparse_step": 1, "mlp_only_layers": []},
}
# https://huggingface.co/mistralai/Mixtral-8x7B-v0.1 has 46,702,792,704 parameters
MIXTRAL: dict[str, Any] = {
    **{"architectures": ["MixtralForCausalLM"], "torch_dtype": "bfloat16", "tie_word_embeddings": False},
    **{"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8},
    **{"intermediate_size": 14336, "vocab_size": 32000, "max_position_embeddings": 32768, "sliding_window": None},
    **{"num_local_experts": 8, "num_experts_per_tok": 2},
}


def _compressed(weights: dict[str, Any]) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


def of(config: dict[str, Any], parameters: int | None = None) -> Architecture:
    found = Architecture.of(config, parameters)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (QWEN3, 8_190_735_360),
        (SMOLLM2, 134_515_008),
        (QWEN25VL, 8_292_166_656),
        (INTERNVL3, 7_944_373_760),
        (INTERNVL35, 8_528_318_464),
        (QWEN3_MOE, 30_532_122_624),
        (MIXTRAL, 46_702_792_704),
    ],
    ids=["qwen3", "smollm2", "qwen2.5-vl", "internvl3", "internvl3.5", "qwen3-moe", "mixtral"],
)
def test_every_parameter_is_counted(config: dict[str, Any], parameters: int) -> None:
    assert of(config).parameters == parameters


@pytest.mark.parametrize(
    ("config", "held"),
    [
        (QWEN3, {1: 16381470720, 2: 8191043584, 4: 4095830016}),
        (QWEN25VL, {1: 16584333312, 2: 8294044928, 4: 4148900736}),
        (INTERNVL3, {1: 15888833536, 2: 8074748928, 4: 4167706624}),
        (INTERNVL35, {1: 17056636928, 2: 8664784896, 4: 4468858880, 8: 2370895872}),
    ],
    ids=["qwen3", "qwen2.5-vl", "internvl3", "internvl3.5"],
)
def test_bytes_on_each_gpu_are_those_of_vllms_own_classes(config: dict[str, Any], held: dict[int, int]) -> None:
    """The truth: vLLM 0.32's models built on torch's meta device, weights in 16 bits."""
    for tp, size in held.items():
        (stage,) = of(config).stages(tp)
        assert 2 * (stage.linear + stage.other) == size


def test_stages_hold_all_layers_and_the_tables_once() -> None:
    whole, parts = of(QWEN3).stages()[0], of(QWEN3).stages(pp=5)
    assert [stage.layers for stage in parts] == [7, 7, 7, 8, 7]
    assert sum(stage.linear + stage.other for stage in parts) == whole.linear + whole.other


def test_a_tied_table_is_held_at_both_ends_of_a_pipeline() -> None:
    whole, parts = of(SMOLLM2).stages()[0], of(SMOLLM2).stages(pp=2)
    assert sum(stage.other for stage in parts) == whole.other + 49152 * 576


@pytest.mark.parametrize(
    ("layers", "pp", "parts"), [(6, 2, (3, 3)), (7, 2, (4, 3)), (28, 5, (5, 6, 6, 6, 5)), (5, 3, (2, 2, 1))]
)
def test_layers_are_cut_as_vllm_cuts_them(layers: int, pp: int, parts: tuple[int, ...]) -> None:
    assert layers_of_stages(layers, pp) == parts


def test_experts_are_spread_over_all_copies() -> None:
    alone, copies = of(QWEN3_MOE).stages(2)[0], of(QWEN3_MOE).stages(2, dp=4)[0]
    assert alone.linear - copies.linear == 48 * 3 * 2048 * 128 * (768 // 2 - 768 // 8)
    assert alone.other == copies.other


@pytest.mark.parametrize(
    ("parameters", "tied"), [(None, False), (7_944_373_760, False), (7_944_373_760 - 151674 * 3584, True)]
)
def test_the_checkpoint_says_whether_embeddings_are_tied(parameters: int | None, tied: bool) -> None:
    found = of(INTERNVL3, parameters)
    assert (found.tied, found.tied_stated) == (tied, False)
    assert of(QWEN3, 1).tied_stated


def test_the_longest_request_is_what_vllm_derives() -> None:
    assert [of(config).model_len for config in (QWEN3, QWEN25VL, INTERNVL3)] == [40960, 128000, 65536]
    yarn = QWEN3 | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    assert of(yarn).model_len == 40960


@pytest.mark.parametrize(
    ("told", "quantization"),
    [
        (None, PLAIN),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, Quantization("awq", 4.15625, 128)),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, Quantization("gptq", 8)),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, Quantization("fp8", 8, 128)),
        ({"quant_method": "fp8"}, Quantization("fp8", 8)),
        (
            _compressed({"num_bits": 4, "group_size": 128}),
            Quantization("compressed-tensors", 4.125, 128),
        ),
    ],
)
def test_quantisation_is_read(told: dict[str, Any] | None, quantization: Quantization) -> None:
    assert of(QWEN3 | {"quantization_config": told}).quantization == quantization


def test_experts_are_read() -> None:
    assert of(QWEN3_MOE).experts == Experts(128, 8, 768, 48)
    some = of(QWEN3_MOE | {"decoder_sparse_step": 2, "mlp_only_layers": [1]})
    assert (some.experts and some.experts.sparse_layers, some.dense_layers) == (23, 25)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"architectures": ["NobodyKnowsForCausalLM"]},
        {"architectures": ["Qwen3ForCausalLM"]},
        QWEN3 | {"architectures": []},
        QWEN3 | {"architectures": ["DeepseekV3ForCausalLM"]},
        QWEN3 | {"num_attention_heads": "many"},
        QWEN3 | {"sliding_window": 4096, "use_sliding_window": True},
        QWEN3 | {"layer_types": ["full_attention", "linear_attention"]},
        QWEN3 | {"quantization_config": {"quant_method": "unheard-of"}},
        QWEN3 | {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {}}},
        INTERNVL3 | {"text_config": {"model_type": "gpt_oss"}},
        INTERNVL3 | {"vision_config": INTERNVL3["vision_config"] | {"use_qk_norm": True}},
        INTERNVL3 | {"vision_config": {}},
        QWEN3_MOE | {"num_hidden_layers": 10**15},
        QWEN3_MOE | {"decoder_sparse_step": 0},
        QWEN3_MOE | {"num_experts_per_tok": None},
        QWEN3_MOE | {"num_experts": [1], "moe_intermediate_size": 2**40},
        INTERNVL3 | {"vision_config": INTERNVL3["vision_config"] | {"patch_size": []}},
        INTERNVL3 | {"vision_config": INTERNVL3["vision_config"] | {"hidden_size": "x", "intermediate_size": 10**12}},
        QWEN3_MOE | {"mlp_only_layers": ["first"]},
        QWEN3 | {"quantization_config": {"quant_method": "awq", "bits": -4}},
        QWEN3 | {"quantization_config": {"quant_method": "gptq", "bits": 10**400}},
        QWEN3 | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 0]}},
        QWEN3 | {"quantization_config": _compressed({"num_bits": 4, "group_size": -1})},
    ],
)
def test_what_is_not_known_is_no_architecture(config: dict[str, Any]) -> None:
    assert Architecture.of(config) is None
