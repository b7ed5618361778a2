"""Parts of a model as its `config.json` describes them: quantisation, experts, image encoder. Pure.

Of the image encoder: what is spread over tensor-parallel GPUs, and what each GPU holds whole. Read from vLLM 0.32:
`models/interns1.py`, `interns1_vit.py` (InternVL in transformers' format: attention and projector are whole on every
GPU) and `qwen2_5_vl.py` (everything is spread but the patch embedding, norms and some biases).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from recipe_runner.model.serving import MOST

TILES: Final = 13  # InternVL: an image is cut into at most 12 tiles, and there is a small copy of the whole
QWEN_IMAGE_TOKENS: Final = 16384  # Qwen2.5-VL's processor: max_pixels 12845056, 28 × 28 pixels a token
PATCHES_A_TOKEN: Final = 4  # both merge 2 × 2 patches into one token of the text model


@dataclass(frozen=True)
class Quantization:
    """How the linear layers are stored: bits a weight with its scales, and how many weights share a scale."""

    name: str
    bits: float
    group: int | None = None


PLAIN: Final = Quantization("none", 0)


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: `count` in each sparse layer, `active` for a token, each an MLP of width `intermediate`."""

    count: int
    active: int
    intermediate: int
    sparse_layers: int
    shared_intermediate: int = 0


@dataclass(frozen=True)
class Vision:
    """An image encoder with its projector, sizes in parameters.

    `heads` is None where the attention is not spread. `wide` is how many activations of width `intermediate` an MLP
    holds at once: 2, or 3 with a gate. `image_tokens` is what the largest image takes in the text model.
    """

    sharded: int
    replicated: int
    hidden: int
    intermediate: int
    heads: int | None
    wide: int
    image_tokens: int


def vision(name: str, config: Mapping[str, Any], hidden: int) -> Vision:
    """The image encoder in front of a text model of width `hidden`."""
    if name == "InternVLForConditionalGeneration":
        return _internvl(config, config["vision_config"], hidden)
    return _qwen2_5_vl(config["vision_config"], hidden)


def _internvl(config: Mapping[str, Any], part: Mapping[str, Any], hidden: int) -> Vision:
    v, layers, f = (size(part[key]) for key in ("hidden_size", "num_hidden_layers", "intermediate_size"))
    side, patch = _square(part["image_size"]), _square(part["patch_size"])
    if part.get("use_qk_norm") or not part.get("use_mean_pooling", True):
        raise ValueError("an InternVL vision tower of another kind")
    embeddings = size(part.get("num_channels", 3)) * patch**2 * v + 2 * v + ((side // patch) ** 2 + 1) * v
    biases = v if part.get("attention_bias", False) else 0
    attention = 4 * v * v + 3 * biases + v
    projector = 8 * v + 4 * v * hidden + hidden + hidden * hidden + hidden
    return Vision(
        sharded=layers * (2 * v * f + f),
        replicated=embeddings + layers * (attention + v + 6 * v) + projector,
        hidden=v,
        intermediate=f,
        heads=None,
        wide=2,
        image_tokens=TILES * size(config["image_seq_length"]),
    )


def _qwen2_5_vl(part: Mapping[str, Any], hidden: int) -> Vision:
    v, layers, f, patch = (size(part[key]) for key in ("hidden_size", "depth", "intermediate_size", "patch_size"))
    embeddings = size(part.get("in_chans", 3)) * size(part["temporal_patch_size"]) * patch**2 * v
    merged = v * size(part["spatial_merge_size"]) ** 2
    return Vision(
        sharded=layers * (4 * v * v + 3 * v + 3 * v * f + 2 * f) + merged * merged + merged + merged * hidden,
        replicated=embeddings + layers * (v + v + 2 * v) + v + hidden,
        hidden=v,
        intermediate=f,
        heads=size(part["num_heads"]),
        wide=3,
        image_tokens=QWEN_IMAGE_TOKENS,
    )


def _square(sides: Any) -> int:
    return size(sides[0] if isinstance(sides, list | tuple) else sides)


def size(value: Any) -> int:
    """A size that `config.json` says, before anything is multiplied by it; what cannot be one is a ValueError."""
    if not 0 <= (found := int(value)) < MOST:
        raise ValueError(value)
    return found


def experts(family: str, text: Mapping[str, Any]) -> Experts | None:
    """The experts of a text model, or None for a dense one."""
    layers = size(text["num_hidden_layers"])
    if family == "MixtralForCausalLM":
        count, active, wide = (text[key] for key in ("num_local_experts", "num_experts_per_tok", "intermediate_size"))
        return Experts(size(count), size(active), size(wide), layers)
    if not family.endswith("MoeForCausalLM"):
        return None
    step, named = size(text.get("decoder_sparse_step", 1)), text.get("mlp_only_layers") or ()
    dense = {layer for layer in named if 0 <= layer < layers and (layer + 1) % step == 0}
    return Experts(
        count=size(text["num_experts"]),
        active=size(text["num_experts_per_tok"]),
        intermediate=size(text["moe_intermediate_size"]),
        sparse_layers=layers // step - len(dense),  # not counted one by one: a `config.json` may say any number
        shared_intermediate=size(text.get("shared_expert_intermediate_size") or 0),
    )


def quantization(found: Mapping[str, Any] | None) -> Quantization | None:
    """What `quantization_config` says; None where its layout is not known here."""
    if not found:
        return PLAIN
    method = found["quant_method"]
    if method in ("awq", "gptq"):
        bits, group = int(found["bits"]), int(found.get("group_size") or -1)
        return Quantization(method, bits + ((16 + bits) / group if group > 0 else 0), group if group > 0 else None)
    if method == "fp8":
        block = found.get("weight_block_size")
        return Quantization(method, 8, int(block[0]) if block else None)
    if method == "compressed-tensors":
        weights = [group["weights"] for group in found["config_groups"].values()]
        if len(weights) == 1 and weights[0]["num_bits"] in (4, 8):
            group = size(weights[0].get("group_size") or 0)
            return Quantization(method, weights[0]["num_bits"] + (16 / group if group else 0), group or None)
    return None
