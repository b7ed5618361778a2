"""The flags of `vllm serve` that decide memory, with vLLM's own defaults, and the device that they meet. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

GIB: Final = 1024**3
UTILIZATION: Final = 0.92  # config/cache.py, vLLM 0.32
UNITS: Final = {
    **{"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12},
    **{"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40},
}
GPU_BLOCK: Final = 16
CPU_BLOCK: Final = 128  # platforms/cpu.py
MOST: Final = 1 << 50  # parameters of a model, tokens or bytes that there will not be
COUNTS: Final = ("kv_cache_memory_bytes", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size")
MORE: Final = ("speculative_config", "spec_model", "enable_lora", "mm_encoder_tp_mode", "num_gpu_blocks_override")
LESS: Final = (
    *("cpu_offload_gb", "offload_backend", "offload_group_size", "offload_params", "num_gpu_blocks_override"),
    *("decode_context_parallel_size", "prefill_context_parallel_size", "language_model_only"),
)
ANY_LEN: Final = ("auto", -1, "-1")


@dataclass(frozen=True)
class Device:
    """One accelerator: its memory in GiB as torch sees it; for a CPU what VLLM_CPU_KVCACHE_SPACE gives to KV (GiB)."""

    memory_gib: float | None = None
    accelerator: str = ""
    cpu_kv_gib: float | None = None

    @property
    def cpu(self) -> bool:
        return self.accelerator == "cpu"

    @property
    def large(self) -> bool:
        """From 70 GiB, but no A100: vLLM takes larger steps there (engine/arg_utils.py)."""
        return (self.memory_gib or 0) >= 70 and "a100" not in self.accelerator.lower()


@dataclass(frozen=True)
class Serving:
    """Flags; None is vLLM's own choice. `any_len`: vLLM chooses the longest request that fits.

    `more` and `less` are flags by which it takes more or less memory than is counted here.
    """

    dtype: str = "auto"
    kv_cache_dtype: str = "auto"
    gpu_memory_utilization: float = UTILIZATION
    kv_cache_memory_bytes: int | None = None
    max_model_len: int | None = None
    any_len: bool = False
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool = False
    block_size: int | None = None
    quantization: str | None = None
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()

    @classmethod
    def of(cls, serve: Mapping[str, Any]) -> "Serving":
        """The flags of a recipe's `serve`; what cannot be read (`misread`) is taken as not given."""
        any_len = serve.get("max_model_len") in ANY_LEN
        quantization = serve.get("quantization")
        given = {key.partition(".")[0]: None for key, value in serve.items() if value}
        return cls(
            dtype=str(serve.get("dtype") or "auto"),
            kv_cache_dtype=str(serve.get("kv_cache_dtype") or "auto"),
            gpu_memory_utilization=_fraction(serve.get("gpu_memory_utilization")) or UTILIZATION,
            any_len=any_len,
            enforce_eager=bool(serve.get("enforce_eager", False)),
            quantization=str(quantization) if quantization else None,
            more=tuple(key for key in given if key in MORE),
            less=tuple(key for key in given if key in LESS),
            **{key: _number(serve.get(key)) for key in COUNTS},
        )

    def batched_tokens(self, device: Device) -> int:
        """Tokens in the largest step."""
        return self.max_num_batched_tokens or (
            16384 if (device.memory_gib or 0) >= 160 else 8192 if device.large else 2048
        )

    def requests(self, device: Device) -> int:
        """Requests in the largest step."""
        return min(self.max_num_seqs or (1024 if device.large else 256), self.batched_tokens(device))

    def block(self, device: Device) -> int:
        """Tokens in a block of KV."""
        return self.block_size or (CPU_BLOCK if device.cpu else GPU_BLOCK)


def misread(serve: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The flags that decide memory and whose value cannot be read: what it is not, and what to write."""
    for key in COUNTS:
        value = serve.get(key)
        if value is not None and _number(value) is None and not (key == "max_model_len" and value in ANY_LEN):
            yield key, "is not a whole number above 0, or too large to be meant", "write one, such as 32768 or 32k"
    share = serve.get("gpu_memory_utilization")
    if share is not None and _fraction(share) is None:
        yield "gpu_memory_utilization", "is not a share of the memory", "write a number above 0, and at most 1"


def space_gib(text: str) -> float | None:
    """What VLLM_CPU_KVCACHE_SPACE gives to KV; None where it is no number, or none that can be."""
    found = re.fullmatch(r"\d+(?:\.\d+)?", text)
    size = float(found[0]) if found else 0.0
    return size if 0 < size < MOST else None


def _number(value: Any) -> int | None:
    """A whole number as vLLM reads it: 32k is 32000, 32K is 32768; None where it is no number, or none that can be.

    Only decimal units take decimals (utils/argparse_utils.py, `human_readable_int`).
    """
    found = re.fullmatch(r"(\d+|\d+\.\d+(?=[kmgt]))([kKmMgGtT]?)", str(value))
    number = float(found[1]) * UNITS[found[2]] if found else 0.0
    return int(number) if 1 <= number < MOST else None


def _fraction(value: Any) -> float | None:
    """The part of a device that vLLM takes; None where it is no number, or none that can be."""
    try:
        share = float(str(value))
    except ValueError:
        return None
    return share if 0 < share <= 1 else None
