"""What NVML says of the GPUs that are visible here: what each is, who uses it, how they are linked."""

import contextlib
import os
from dataclasses import replace
from itertools import starmap
from typing import Any

import psutil

from recipe_runner.host.hardware import Gpu
from recipe_runner.model.serving import GIB


def ask() -> tuple[tuple[Gpu, ...], str | None, str | None]:
    """The visible GPUs, the driver's version, and how the GPUs reach each other (`NVLink`, `PCIe`, None: not known).

    No NVIDIA driver means no GPUs.
    """
    import pynvml  # 30 ms that `list` and `--help` do without

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None, None
    try:
        visible = _visible([_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())])
        return tuple(visible), str(pynvml.nvmlSystemGetDriverVersion()), _link(pynvml, visible)
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    running = _running(nvml, handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        id=str(index),
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_gib=(memory.total - memory.reserved) / GIB,
        used_gib=memory.used / GIB,
        compute_capability=f"{major}.{minor}",
        users=tuple(starmap(_user, running)),
        pids=tuple(pid for pid, _ in running),
    )


def _running(nvml: Any, handle: Any) -> list[tuple[int, int | None]]:
    """The processes that compute on a GPU, with the bytes of each; nobody where the driver does not say (WSL2)."""
    with contextlib.suppress(nvml.NVMLError):
        return [(process.pid, process.usedGpuMemory) for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)]
    return []


def _user(pid: int, used: int | None) -> str:
    size = "" if used is None else f" ({used / GIB:.1f} GiB)"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}) of {process.username()}{size}"
    except psutil.Error:
        return f"pid {pid}{size}"


def _visible(gpus: list[Gpu]) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES names, in its order; as in CUDA, the first unknown one ends the list."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return gpus
    found = []
    for word in filter(None, (part.strip() for part in named.split(","))):
        gpu = next((g for g in gpus if g.id == word or g.uuid.startswith(word)), None)
        if gpu is None:
            break
        found.append(replace(gpu, id=word))
    return found


def _link(nvml: Any, gpus: list[Gpu]) -> str | None:
    """NVLink if every two are joined by it; what a virtual machine hides is not known."""
    with contextlib.suppress(nvml.NVMLError):
        handles = [nvml.nvmlDeviceGetHandleByUUID(gpu.uuid) for gpu in gpus]
        pairs = [(one, other) for at, one in enumerate(handles) for other in handles[at + 1 :]]
        states = [nvml.nvmlDeviceGetP2PStatus(*pair, nvml.NVML_P2P_CAPS_INDEX_NVLINK) for pair in pairs]
        if states:
            return "NVLink" if all(state == nvml.NVML_P2P_STATUS_OK for state in states) else "PCIe"
    return None
