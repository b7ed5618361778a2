"""How much memory of GPUs is in use, and by which processes, as NVML says it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from recipe_runner.host import nvml

MIB: Final = 1 << 20
TOLERANCE_MIB: Final = 200  # a driver may keep this much of a GPU once it was used


class Usage(NamedTuple):
    """The memory of one GPU that is in use, and by whom, in MiB."""

    used: int
    by_pid: dict[int, int]

    def more_than(self, before: "Usage", ours: set[int]) -> int:
        """What came since, less what other processes took, or gave back."""
        others = (self.by_pid.keys() | before.by_pid.keys()) - ours
        theirs = sum(self.by_pid.get(pid, 0) - before.by_pid.get(pid, 0) for pid in others)
        return max(0, self.used - before.used - theirs)


class GpuMemory:
    """The memory of a server's GPUs, from before its launch until after its teardown."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self._uuids = uuids
        self._before = usage(uuids)
        self._named = False

    def look(self, pids: set[int]) -> None:
        """Find out whether the driver names these processes at all: from inside a container it may not."""
        if not self._named:
            self._named = any(pids & gpu.by_pid.keys() for gpu in usage(self._uuids).values())

    def left_mib(self, pids: set[int]) -> int | None:
        """How much more is in use than before, less what is not of these processes; None if that cannot be known.

        Of several GPUs, that of the one with the most.
        """
        after = usage(self._uuids)
        if not after or after.keys() != self._before.keys():
            return None
        more = max(gpu.more_than(self._before[uuid], pids) for uuid, gpu in after.items())
        return more if more <= TOLERANCE_MIB or self._named else None


def by_pid() -> dict[int, int]:
    """The MiB of GPU memory that each process has, as far as the driver says."""
    found: dict[int, int] = {}
    for gpu in usage(None).values():
        for pid, used in gpu.by_pid.items():
            found[pid] = found.get(pid, 0) + used
    return found


def usage(uuids: Sequence[str] | None) -> dict[str, Usage]:
    """By UUID, of the named GPUs or of all; empty where the driver does not say."""
    if uuids is not None and not uuids:
        return {}
    import pynvml  # 30 ms that servers without GPUs do without

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        if uuids is not None:  # others may be lost
            return {uuid: _usage(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid)) for uuid in uuids}
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return {str(pynvml.nvmlDeviceGetUUID(handle)): _usage(pynvml, handle) for handle in handles}
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError, TypeError):  # WSL2 names processes without their memory
        return {}
    finally:
        pynvml.nvmlShutdown()


def _usage(pynvml: Any, handle: Any) -> Usage:
    _, used = nvml.memory(pynvml, handle)
    sizes: dict[int, Any] = nvml.running(pynvml, handle)
    return Usage(used // MIB, {pid: size // MIB for pid, size in sizes.items()})
