"""Does a model fit: weights a GPU, allowances, and what is left for KV. Pure; see docs/explanation/memory.md.

vLLM itself decides this way: it takes `gpu_memory_utilization` of the memory, loads the weights, measures a step with
the most tokens and requests, and gives the rest to KV (v1/worker/gpu_worker.py, `determine_available_memory`).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from recipe_runner.model.architecture import DTYPE_BYTES, Architecture, Stage
from recipe_runner.model.parts import PATCHES_A_TOKEN, Quantization
from recipe_runner.model.serving import GIB, Device, Serving

Verdict = Literal["fits", "does_not_fit", "unknown"]

# GiB a GPU, from logs of vLLM 0.21 to 0.31; docs/explanation/memory.md lists them
OUTSIDE_TORCH_GIB: Final = 0.26  # what loaded kernels take: Qwen3-0.6B on an H200, vLLM 0.25.1
GRAPHS_GIB: Final = 0.4  # reserved for CUDA graphs and their compilation: 0 to 0.7 logged
STEP_GIB: Final = 0.75  # smaller steps were not logged without CUDA graphs
ALLOCATOR: Final = 0.004  # of the weights: what torch's allocator rounds up, at most 0.37 % logged
LOGIT_BYTES: Final = 6  # a logit in 16 bits and its float32 copy (v1/worker/gpu/sample)
EXPERT_LOGIT_BYTES: Final = 14  # experts run on vLLM's older runner: its probability and noise besides (v1/sample)

MISMATCH: Final = 0.15  # config.json does not describe the checkpoint beyond this
ROUNDING: Final = 0.02
MOST_UTILIZATION: Final = 0.97
ONLINE: Final = {"fp8": Quantization("fp8", 8), "bitsandbytes": Quantization("bitsandbytes", 4.5)}


@dataclass(frozen=True)
class Memory:
    """What one GPU will hold (GiB), and whether vLLM will start with it. `reason` and `cure` are for people."""

    weights_gib_per_gpu: float | None = None
    kv_bytes_per_token_per_gpu: int | None = None
    kv_gib_per_gpu: float | None = None
    kv_tokens: int | None = None
    verdict: Verdict = "unknown"
    assumptions: tuple[str, ...] = ()
    short_by_gib: float | None = None
    reason: str | None = None
    cure: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The part `memory` of a plan's document."""
        return {
            "weights_gib_per_gpu": _rounded(self.weights_gib_per_gpu),
            "kv_bytes_per_token_per_gpu": self.kv_bytes_per_token_per_gpu,
            "kv_gib_per_gpu": _rounded(self.kv_gib_per_gpu),
            "kv_tokens": self.kv_tokens,
            "verdict": self.verdict,
            "assumptions": list(self.assumptions),
        }


@dataclass(frozen=True)
class _Sizes:
    """Bytes: a linear weight, any other weight, a KV element; and how the checkpoint differs from its config.json."""

    linear: float
    weight: int
    kv: int
    notes: tuple[str, ...]


def memory(
    architecture: Architecture | None,
    serving: Serving,
    device: Device,
    *,
    tp: int = 1,
    pp: int = 1,
    dp: int = 1,
    parameter_bytes: int | None = None,
    larger: Iterable[int] = (),
) -> Memory:
    """What each GPU will hold, and the verdict.

    `parameter_bytes` is the size of the checkpoint's tensors. `larger` are tensor-parallel sizes that are legal and
    within the hardware, in the order in which to propose them.
    """
    if architecture is None:
        return Memory(reason="recipe-runner does not know how vLLM spreads this architecture over GPUs")

    def held(other: Serving = serving, wider: int = tp, known: Architecture = architecture) -> Memory:
        sizes = _sizes(known, other, parameter_bytes)
        if isinstance(sizes, str):
            return Memory(reason=sizes)
        stages = (_held(known, stage, sizes, other, device) for stage in known.stages(wider, pp, dp))
        return min(stages, key=lambda found: -1 if found.kv_tokens is None else found.kv_tokens)

    def fits(other: Serving = serving, wider: int = tp) -> bool:
        return held(other, wider).verdict == "fits"

    found = held()
    return (
        found if found.verdict != "does_not_fit" else replace(found, cure=_cure(found, serving, device, fits, larger))
    )


def _sizes(architecture: Architecture, serving: Serving, parameter_bytes: int | None) -> _Sizes | str:
    """Bytes of a weight and of a KV element, or why they are not known."""
    weight = DTYPE_BYTES.get(serving.dtype if serving.dtype != "auto" else architecture.dtype)
    if serving.dtype == "auto" and weight != 2:
        weight = 2  # vLLM serves float32 checkpoints in 16 bits unless told otherwise (config/model.py)
    kv = weight if serving.kv_cache_dtype == "auto" else DTYPE_BYTES.get(serving.kv_cache_dtype)
    if serving.kv_cache_dtype in ("fp8", "fp8_e4m3", "fp8_e5m2"):
        kv = 1
    if weight is None or kv is None:
        told = f"dtype={serving.dtype}" if weight is None else f"kv_cache_dtype={serving.kv_cache_dtype}"
        return f"recipe-runner does not know the size of {told}"
    quantised, asked = architecture.quantization, serving.quantization
    if asked and not asked.startswith(quantised.name):
        if quantised.bits or asked not in ONLINE:
            return f"recipe-runner does not know how quantization={asked} stores these weights"
        quantised = ONLINE[asked]
    linear = quantised.bits / 8 or weight
    scale, note = _checkpoint(architecture, parameter_bytes)
    return note if scale is None else _Sizes(linear * scale, weight, kv, (note,))


def _checkpoint(architecture: Architecture, parameter_bytes: int | None) -> tuple[float | None, str]:
    """How much more than counted each linear weight takes in the checkpoint, and the sentence that says so."""
    if parameter_bytes is None:
        return 1.0, "weights are counted from config.json; the checkpoint's size is not known"
    stored, bits = DTYPE_BYTES.get(architecture.dtype, 2), architecture.quantization.bits
    linear, _ = architecture.stage_parameters(0, architecture.layers)
    rest = (architecture.parameters - linear) * stored
    counted = rest + linear * (bits / 8 or stored)
    ratio = parameter_bytes / counted
    if abs(ratio - 1) <= ROUNDING:
        return 1.0, "weights are counted from config.json; the checkpoint's size agrees"
    if not bits and any(abs(ratio / by - 1) <= ROUNDING for by in (0.5, 2)):
        return 1.0, "the checkpoint is stored in another dtype than it is served in"
    if abs(ratio - 1) > MISMATCH:
        return None, f"the checkpoint has {parameter_bytes / GIB:.2f} GiB, its config.json explains {counted / GIB:.2f}"
    return max(0.5, (parameter_bytes - rest) / (counted - rest)), "linear layers are scaled to the checkpoint's size"


def _held(architecture: Architecture, stage: Stage, sizes: _Sizes, serving: Serving, device: Device) -> Memory:
    """What a GPU of this pipeline stage holds."""
    weights = (stage.linear * sizes.linear + (stage.other + stage.rotary) * sizes.weight) / GIB
    token = 2 * stage.layers * stage.kv_heads * architecture.head_dim * sizes.kv
    length = serving.max_model_len or architecture.model_len
    notes = [*sizes.notes, *_noted(architecture, serving)]
    known = Memory(weights, token, assumptions=tuple(notes))
    if serving.kv_cache_memory_bytes or device.cpu:
        kv = serving.kv_cache_memory_bytes / GIB if serving.kv_cache_memory_bytes else device.cpu_kv_gib
        if not kv:
            return replace(known, reason="vLLM sizes KV by the host's memory: set env.VLLM_CPU_KVCACHE_SPACE (GiB)")
        notes.append(f"{kv:g} GiB are set for KV; whether the weights fit beside it is not judged")
        return _judged(replace(known, kv_gib_per_gpu=kv, assumptions=tuple(notes)), length, serving, device)
    if device.memory_gib is None:
        return replace(known, reason="the hardware's memory_gib is not known")
    budget = serving.gpu_memory_utilization * device.memory_gib
    step = _step_gib(architecture, stage, sizes.weight, serving, device)
    graphs = 0.0 if serving.enforce_eager else GRAPHS_GIB
    allowance = weights * ALLOCATOR + OUTSIDE_TORCH_GIB + step + graphs
    notes.append(f"vLLM may use {serving.gpu_memory_utilization:g} × {device.memory_gib:g} GiB of each GPU")
    notes.append(
        f"{allowance:.2f} GiB set aside: activations {step:.2f} ({serving.batched_tokens(device)} tokens, "
        f"{serving.requests(device)} requests a step), CUDA graphs {graphs:.2f}, the rest for CUDA and the allocator"
    )
    known = replace(known, kv_gib_per_gpu=budget - weights - allowance, assumptions=tuple(notes))
    if weights + allowance >= budget:
        short = weights + allowance - budget
        reason = (
            f"weights of {weights:.2f} GiB and {allowance:.2f} GiB for activations and CUDA are {short:.2f} GiB more "
            f"than the {budget:.2f} GiB that vLLM may use of each GPU"
        )
        known = replace(known, kv_gib_per_gpu=0.0, kv_tokens=0, short_by_gib=short)
        return replace(known, verdict="does_not_fit", reason=reason)
    return _judged(known, length, serving, device)


def _judged(known: Memory, length: int, serving: Serving, device: Device) -> Memory:
    """Whether one request of the full length fits the KV cache; vLLM refuses to start otherwise (kv_cache_utils.py).

    KV comes in whole blocks, of which vLLM keeps one to itself.
    """
    kv, block = known.kv_gib_per_gpu or 0.0, serving.block(device)
    page = block * (known.kv_bytes_per_token_per_gpu or 1)
    blocks, needed = int(kv * GIB // page), math.ceil(length / block)
    known = replace(known, kv_tokens=int(blocks / needed * length))
    if serving.any_len or needed < blocks:
        return replace(known, verdict="fits")
    short = ((needed + 1) * page) / GIB - kv
    place = "the CPU" if device.cpu else "each GPU"
    reason = (
        f"one request of max_model_len={length} needs {needed * page / GIB:.2f} GiB of KV on {place}, "
        f"and there are {kv:.2f} GiB, {short:.2f} GiB too few"
    )
    return replace(known, verdict="does_not_fit", short_by_gib=short, reason=reason)


def _step_gib(architecture: Architecture, stage: Stage, size: int, serving: Serving, device: Device) -> float:
    """The most that a step takes (GiB): a forward pass, the logits, or the image encoder; they come one after another.

    Forward: an MLP and three copies of the hidden state, for each token of a step. Logits: the whole vocabulary on each
    GPU, beside the last hidden state and the experts' workspace, which vLLM keeps. Encoder: as forward, for the patches
    of the images that a step may bring.
    """
    tokens, hidden = serving.batched_tokens(device), architecture.hidden
    forward = tokens * (stage.mlp + 3 * hidden) * size
    logit, kept = (EXPERT_LOGIT_BYTES, stage.mlp) if architecture.experts else (LOGIT_BYTES, 0)
    logits = serving.requests(device) * architecture.vocabulary * logit + tokens * (kept + hidden) * size
    seen = architecture.vision
    width = seen.wide * stage.vision_intermediate + 5 * seen.hidden if seen else 0
    encoder = max(tokens, seen.image_tokens) * (PATCHES_A_TOKEN * width + hidden) * size if seen else 0
    return max(STEP_GIB, max(forward, logits, encoder) / GIB)


def _noted(architecture: Architecture, serving: Serving) -> list[str]:
    tied = f"tie_word_embeddings is not stated; taken as {'tied' if architecture.tied else 'not tied'}"
    length = f"max_model_len is not stated; vLLM derives {architecture.model_len} from config.json"
    chosen = serving.max_model_len or serving.any_len
    return ([] if architecture.tied_stated else [tied]) + ([] if chosen else [length])


def _cure(held: Memory, serving: Serving, device: Device, fits: Callable[..., bool], larger: Iterable[int]) -> str:
    """What would make it fit, each thing by itself."""
    cures = []
    if held.kv_tokens:
        shorter = _shorter(held.kv_tokens, serving.block(device))
        if shorter and fits(replace(serving, max_model_len=shorter)):
            cures.append(f"serve.max_model_len={shorter}")
    if wider := next((tp for tp in larger if fits(wider=tp)), None):
        cures.append(f"parallelism.tp={wider}")
    if device.cpu or serving.kv_cache_memory_bytes:
        more = math.ceil((held.kv_gib_per_gpu or 0) + (held.short_by_gib or 0))
        cures.append(f"env.VLLM_CPU_KVCACHE_SPACE={more}" if device.cpu else f"serve.kv_cache_memory_bytes={more}G")
    elif device.memory_gib and held.short_by_gib:
        used = math.ceil(100 * (serving.gpu_memory_utilization + held.short_by_gib / device.memory_gib)) / 100
        if used <= MOST_UTILIZATION and fits(replace(serving, gpu_memory_utilization=used)):
            cures.append(f"serve.gpu_memory_utilization={used:g}")
    if not cures:
        return "take larger GPUs or more of them, or a smaller or quantised model"
    return f"{' or '.join(cures)} would make it fit"


def _shorter(tokens: int, block: int) -> int:
    """A round length that fits with a margin of 5 %."""
    unit = 1024 if tokens >= 4096 else block
    return int(tokens * 0.95) // unit * unit


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
