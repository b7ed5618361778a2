"""The flags of `vllm serve` that decide memory, with vLLM's own defaults, and the device that they meet. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

GIB: Final = 1024**3
UTILIZATION: Final = 0.92  # config/cache.py, vLLM 0.32
UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
GPU_BLOCK: Final = 16
CPU_BLOCK: Final = 128  # platforms/cpu.py


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
    """Flags; None is vLLM's own choice. `any_len`: vLLM chooses the longest request that fits."""

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

    @classmethod
    def of(cls, serve: Mapping[str, Any]) -> "Serving":
        """The flags of a recipe's `serve`."""
        length = serve.get("max_model_len")
        any_len = length in ("auto", -1, "-1")
        return cls(
            dtype=str(serve.get("dtype") or "auto"),
            kv_cache_dtype=str(serve.get("kv_cache_dtype") or "auto"),
            gpu_memory_utilization=_fraction(serve.get("gpu_memory_utilization")),
            kv_cache_memory_bytes=_number(serve.get("kv_cache_memory_bytes")),
            max_model_len=None if any_len else _number(length),
            any_len=any_len,
            max_num_seqs=_number(serve.get("max_num_seqs")),
            max_num_batched_tokens=_number(serve.get("max_num_batched_tokens")),
            enforce_eager=bool(serve.get("enforce_eager", False)),
            block_size=_number(serve.get("block_size")),
            quantization=serve.get("quantization"),
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


def _number(value: Any) -> int | None:
    """A whole number as vLLM reads it: 32k is 32000, 32K is 32768. None where it is not one: vLLM will say so."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", str(value))
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def _fraction(value: Any) -> float:
    """The part of a device that vLLM takes; its default where this is no number: vLLM will say so."""
    try:
        return float(value or UTILIZATION)
    except (TypeError, ValueError):
        return UTILIZATION
