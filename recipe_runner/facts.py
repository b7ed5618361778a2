"""All the asking: what the host is, where vLLM is, which port and devices are free. `plan` asks nothing."""

import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from recipe_runner.api import Located
from recipe_runner.hardware import Gpu, Host, free
from recipe_runner.process import port_free
from recipe_runner.schema import Request

GIB: Final = 1 << 30
WEIGHTS: Final = ("*.safetensors", "*.bin", "*.gguf")


@dataclass(frozen=True)
class Attached:
    """A server that runs already: the names it serves, its version; or why it does not answer."""

    names: tuple[str, ...] = ()
    version: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of this machine; None is what is not known, or was not asked.

    `launching`: the plan is about to run, so everything was asked. `devices` are those to use, None if too few are
    free. `port` is the one found for `serve.port=0`; `port_holder` who has the one that was named. `weights_gib` are
    those on this machine.
    """

    host: Host
    located: Located
    launching: bool = False
    devices: tuple[str, ...] | None = None
    port: int | None = None
    port_holder: str | None = None
    weights_gib: float | None = None
    model_fault: str | None = None
    attached: Attached | None = None


def host() -> Host:
    """Ask NVML and psutil. No NVIDIA driver means no GPUs."""
    gpus, driver = _gpus()
    memory = psutil.virtual_memory().total / GIB
    return Host(tuple(gpus), driver, _cpu_name(), os.cpu_count() or 1, round(memory, 1), platform.platform())


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gather(request: Request, here: Host, *, launching: bool, spare_port: Callable[[], int] = free_port) -> Facts:
    """The facts of one request; `launching` asks what only a run needs, `spare_port` gives that for `serve.port=0`."""
    located = request.engine.locate()
    facts = Facts(here, located, launching, weights_gib=_weights_gib(request, ask_hub_cache=launching))
    if not launching:
        return facts
    if not located.server:
        return replace(facts, attached=_attached(request))
    real = not request.engine.simulated
    return replace(
        facts,
        devices=_devices(request, here) if real else None,
        port=spare_port() if request.address.port == 0 else None,
        port_holder=_port_holder(request),
        model_fault=_model_fault(request) if real else None,
    )


def _gpus() -> tuple[list[Gpu], str | None]:
    import pynvml  # 30 ms that `list` and `--help` do without

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return [], None
    try:
        everything = [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
        return _visible(everything), str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        id=str(index),
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_gib=(memory.total - memory.reserved) / GIB,
        used_gib=memory.used / GIB,
        compute_capability=f"{major}.{minor}",
    )


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


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _devices(request: Request, here: Host) -> tuple[str, ...] | None:
    if "CUDA_VISIBLE_DEVICES" in request.env:
        return tuple(request.env["CUDA_VISIBLE_DEVICES"].split(","))
    count = request.parallelism.world
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return tuple(gpu.id for gpu in here.gpus[:count])
    return free(here, count)


def _weights_gib(request: Request, *, ask_hub_cache: bool) -> float | None:
    folder = Path(request.model.path) if request.model.path else None
    if folder is None and ask_hub_cache:
        folder = _cached_snapshot(request.model.id, request.model.revision)
    if folder is None or not folder.is_dir():
        return None
    size = sum(file.stat().st_size for pattern in WEIGHTS for file in folder.glob(pattern))
    return round(size / GIB, 3) if size else None


def _cached_snapshot(model: str, revision: str | None) -> Path | None:
    """The model's folder in the Hugging Face cache; asks no network."""
    from huggingface_hub import snapshot_download  # 0.2 s, so only here
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _model_fault(request: Request) -> str | None:
    """What is wrong with the model's folder, if one was named."""
    path = request.model.path
    if path is not None and not Path(path).is_dir():
        return f"there is no folder {path}"
    if path is not None and not (Path(path) / "config.json").is_file():
        return f"{path} has no config.json"
    return None


def _port_holder(request: Request) -> str | None:
    """Who listens where the server should; empty if that cannot be known."""
    host, port = request.address.host, request.address.port
    return None if port == 0 or port_free(host, port) else _holder(port) or ""


def _attached(request: Request) -> Attached:
    from recipe_runner.client import CONNECT_S, AnswerError, Client  # HTTP is 0.1 s that most plans do without

    try:
        with Client(str(getattr(request.engine, "url", "")), "", CONNECT_S) as client:
            return Attached(tuple(client.models()), client.version())
    except AnswerError as exc:
        return Attached(error=str(exc))


def _holder(port: int) -> str | None:
    """The process that listens on a port, if we may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return None
