"""A stand-in for `pynvml`: the driver of a machine with the GPUs that a test gives it."""

from types import SimpleNamespace

GIB = 1 << 30
A100 = "NVIDIA A100-SXM4-40GB"


class NVMLError(Exception):
    """No driver."""


class NVMLLibraryMismatchError(Exception):
    """A driver that is older than what it is asked."""


def gpu(
    name: str = A100,
    memory_gib: float = 39.39,
    used_gib: float = 0.5,
    reserved_gib: float = 0.61,
    pids: tuple[int, ...] = (),
    drawing: dict[int, float] | None = None,
    lost: str = "",
) -> dict:
    """One GPU, with the memory that is usable of it; each of `pids` holds a part of what is used.

    `drawing` are the GiB of processes that draw; `lost` is why the driver does not describe it.
    """
    return {
        "name": name,
        "memory_gib": memory_gib,
        "used_gib": used_gib,
        "reserved_gib": reserved_gib,
        "pids": pids,
        "drawing": drawing or {},
        "lost": lost,
    }


class Nvml:
    """The part of pynvml's interface that `facts` uses."""

    NVMLError = NVMLError
    NVMLLibraryMismatchError = NVMLLibraryMismatchError
    nvmlMemory_v2 = 2
    NVML_P2P_CAPS_INDEX_NVLINK = 2
    NVML_P2P_STATUS_OK = 0

    def __init__(self) -> None:
        self.gpus: list[dict] | None = None
        self.driver = "580.105.08"
        self.linked: bool | None = True
        self.open = 0

    def has(self, *gpus: dict) -> None:
        self.gpus = list(gpus)

    def nvmlInit(self) -> None:
        if self.gpus is None:
            raise NVMLError("NVML Shared Library Not Found")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return self.driver

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus or ())

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        gpus = self.gpus or []
        if index >= len(gpus) or gpus[index]["lost"]:
            raise NVMLError(gpus[index]["lost"] if index < len(gpus) else "Not Found")
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int) -> SimpleNamespace:
        assert version == self.nvmlMemory_v2  # the first version counts what the driver reserves as usable
        gpu = (self.gpus or [])[handle]
        total = gpu["memory_gib"] + gpu["reserved_gib"]
        return SimpleNamespace(total=total * GIB, reserved=gpu["reserved_gib"] * GIB, used=gpu["used_gib"] * GIB)

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:
        return (8, 0)

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}a7b"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return str((self.gpus or [])[handle]["name"])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return self.nvmlDeviceGetHandleByIndex(int(uuid[len("GPU-")]))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        gpu = (self.gpus or [])[handle]
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=int(gpu["used_gib"] * GIB / len(gpu["pids"]))) for pid in gpu["pids"]
        ]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        drawing = (self.gpus or [])[handle]["drawing"]
        return [SimpleNamespace(pid=pid, usedGpuMemory=int(size_gib * GIB)) for pid, size_gib in drawing.items()]

    def nvmlDeviceGetP2PStatus(self, one: int, other: int, index: int) -> int:
        assert one != other
        assert index == self.NVML_P2P_CAPS_INDEX_NVLINK
        if self.linked is None:
            raise NVMLError("Not Supported")
        return self.NVML_P2P_STATUS_OK if self.linked else 1
