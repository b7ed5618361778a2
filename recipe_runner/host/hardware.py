"""Profiles against hosts: which profile is this host, and which devices does a run take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recipe_runner.composition.schema import Hardware
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError

DEVICES: Final = "CUDA_VISIBLE_DEVICES"  # the variable that says which GPUs are seen
MEMORY_TOLERANCE: Final = 0.02
BUSY_GIB: Final = 1.0  # a GPU with more than this in use is somebody's


@dataclass(frozen=True)
class Gpu:
    """A visible GPU as NVML describes it: `id` as CUDA_VISIBLE_DEVICES has it, memory in GiB less what is reserved.

    `pids` are the processes on it, and `users` the same in words, as far as they can be seen.
    """

    id: str
    uuid: str
    name: str
    memory_gib: float
    used_gib: float
    compute_capability: str
    users: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()

    @property
    def free_gib(self) -> float:
        return self.memory_gib - self.used_gib

    @property
    def busy(self) -> bool:
        return self.used_gib >= BUSY_GIB

    def is_one_of(self, devices: Iterable[str]) -> bool:
        """Whether it is named there, as CUDA_VISIBLE_DEVICES names devices: by number, or by the start of its UUID."""
        return any(word == self.id or (word.startswith("GPU-") and self.uuid.startswith(word)) for word in devices)

    def whose(self) -> str:
        """Who uses it, in words."""
        return ", ".join(self.users) or ("processes that cannot be seen from here" if self.busy else "nobody")


@dataclass(frozen=True)
class Host:
    """This machine.

    `link` is how its GPUs reach each other: NVLink or PCIe; None is not known, or only one GPU. `lost` says of GPUs
    that are not in `gpus` why the driver does not describe them.
    """

    gpus: tuple[Gpu, ...]
    driver: str | None
    cpu: str
    cores: int
    memory_gib: float
    platform: str
    link: str | None = None
    lost: tuple[Fault, ...] = ()


def profile_facts(name: str, space: Space) -> dict[str, Any]:
    """A profile's facts with those that it inherits; for looking at many at once, where composing each is too slow."""
    facts, _ = read(space.file("hardware", name))
    parents = [entry for entry in facts.pop("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    return {
        key: value
        for layer in (*(profile_facts(parent, space) for parent in parents), facts)
        for key, value in layer.items()
    }


def match(host: Host, profiles: Mapping[str, Mapping[str, Any]]) -> str:
    """The profile that this host is: by name, count and memory (within 2 %); else `host`; without a GPU `cpu`.

    Raises:
        RecipeError: the visible GPUs are not all alike.

    """
    if not host.gpus:
        return "cpu"
    kinds = sorted({gpu.name for gpu in host.gpus})
    if len(kinds) > 1:
        what = f"the visible GPUs differ: {', '.join(kinds)}"
        raise RecipeError(Fault("hardware", what, f"choose some that are alike with {DEVICES}"))
    smallest = min(gpu.memory_gib for gpu in host.gpus)
    for name, facts in sorted(profiles.items()):
        if kinds[0] in facts.get("nvml_names", []) and facts.get("count") == len(host.gpus):
            memory = facts.get("memory_gib")
            if memory and abs(smallest - memory) <= MEMORY_TOLERANCE * memory:
                return name
    return "host"


def described(host: Host) -> Hardware:
    """What the profile `host` leaves open, from NVML."""
    if not host.gpus:
        return Hardware(accelerator="none", count=None)
    first = host.gpus[0]
    return Hardware(
        accelerator=first.name,
        count=len(host.gpus),
        memory_gib=round(min(gpu.memory_gib for gpu in host.gpus), 2),
        compute_capability=first.compute_capability,
        nvml_names=[first.name],
    )


def named(devices: str) -> tuple[str, ...]:
    """The words in a value of CUDA_VISIBLE_DEVICES."""
    return tuple(filter(None, (word.strip() for word in devices.split(","))))


def mismatch(wanted: Hardware, host: Host) -> str | None:
    """How the host differs from the profile, in words, or None."""
    if wanted.accelerator == "cpu":
        return None
    names = ", ".join(sorted({gpu.name for gpu in host.gpus}))
    here = f"{len(host.gpus)} × {names}" if host.gpus else "no NVIDIA GPU"
    if len(host.gpus) < (wanted.count or 1) or (wanted.nvml_names and names not in wanted.nvml_names):
        return f"the profile says {wanted.count or 1} × {wanted.accelerator or 'GPU'}, this host has {here}"
    least = (wanted.memory_gib or 0.0) * (1 - MEMORY_TOLERANCE)
    if small := next((gpu for gpu in host.gpus if gpu.memory_gib < least), None):
        return f"the profile says {wanted.memory_gib:g} GiB a GPU, GPU {small.id} has {small.memory_gib:.2f}"
    return None


def idle(host: Host) -> tuple[str, ...]:
    """The devices that nobody uses."""
    return tuple(gpu.id for gpu in host.gpus if not gpu.busy)
