"""What NVML says of the GPUs that are visible here: what each is, who uses it, how they are linked."""

import contextlib
import os
from collections.abc import Container
from dataclasses import replace
from itertools import starmap
from typing import Any, Final

import psutil

from recipe_runner.errors import Fault
from recipe_runner.host.hardware import DEVICES, Gpu, named
from recipe_runner.model.serving import GIB

DO: Final = "`nvidia-smi` says more, a restart may help"


def ask() -> tuple[tuple[Gpu, ...], str | None, str | None, tuple[Fault, ...]]:
    """The visible GPUs, the driver's version, how the GPUs reach each other, and why some could not be described.

    They reach each other by `NVLink` or `PCIe`; None is not known. No NVIDIA driver means no GPUs.
    """
    import pynvml  # 30 ms that `list` and `--help` do without

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None, None, ()
    try:
        gpus, lost = [], {}
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                gpus.append(_gpu(pynvml, index))
            except pynvml.NVMLError as exc:
                lost[str(index)] = Fault(f"GPU {index}", f"the driver does not describe it: {exc}", DO)
        visible = _visible(gpus, lost)
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        return tuple(visible), driver, _link(pynvml, visible), tuple(lost.values())
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    usable, used = memory(nvml, handle)
    processes = _running(nvml, handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        id=str(index),
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_gib=usable / GIB,
        used_gib=used / GIB,
        compute_capability=f"{major}.{minor}",
        users=tuple(starmap(_user, processes.items())),
        pids=tuple(processes),
    )


def memory(nvml: Any, handle: Any) -> tuple[int, int]:
    """The bytes of a GPU that are usable, and those in use."""
    try:
        said = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError:  # drivers before 510 know only the first version, which counts what they reserve as used
        said = nvml.nvmlDeviceGetMemoryInfo(handle)
        return said.total, said.used
    return said.total - said.reserved, said.used


def running(nvml: Any, handle: Any) -> dict[int, int | None]:
    """The processes on a GPU, with the bytes of each: those that compute, and those that draw, as Xorg does."""
    listed = list(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    with contextlib.suppress(nvml.NVMLError):
        listed += nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    found: dict[int, int | None] = {}
    for process in listed:  # one that does both is in both lists, each time with all that it has
        sizes = [size for size in (found.get(process.pid), process.usedGpuMemory) if size is not None]
        found[process.pid] = max(sizes, default=None)
    return found


def _running(nvml: Any, handle: Any) -> dict[int, int | None]:
    """The same; nobody where the driver does not say: WSL2, or one before 510."""
    with contextlib.suppress(nvml.NVMLError, nvml.NVMLLibraryMismatchError):
        return running(nvml, handle)
    return {}


def _user(pid: int, used: int | None) -> str:
    size = "" if used is None else f" ({used / GIB:.1f} GiB)"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}) of {process.username()}{size}"
    except psutil.Error:
        return f"pid {pid}{size}"


def _visible(gpus: list[Gpu], lost: Container[str]) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES names, in its order; as in CUDA, the first unknown one ends the list."""
    chosen = os.environ.get(DEVICES)
    if chosen is None:
        return gpus
    found = []
    for word in named(chosen):
        if word in lost:
            continue
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
