"""All the asking: what the host is, where vLLM is, which port and devices are free. `plan` asks nothing."""

import os
import platform
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from recipe_runner.api import Located
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.hardware import BUSY_GIB, Gpu, Host, free, mismatch
from recipe_runner.process import port_free
from recipe_runner.schema import Request

GIB: Final = 1 << 30
WEIGHTS: Final = ("*.safetensors", "*.bin", "*.gguf")


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of this machine; None is what is not known.

    `weights_gib` are those on this machine; `server_version` is what a server says that was attached to.
    """

    host: Host
    located: Located
    devices: tuple[str, ...] | None = None
    port: int | None = None
    weights_gib: float | None = None
    server_version: str | None = None
    warnings: tuple[str, ...] = ()


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
    """The facts of one request; with `launching`, what would keep it from starting is refused, all of it at once.

    `spare_port` gives the port for `serve.port=0`.

    Raises:
        RecipeError: vLLM is missing, the port is busy, the host is not what the profile says, there are no weights.

    """
    located = request.engine.locate()
    weights = _weights_gib(request, ask_hub_cache=launching)
    if not launching:
        notes = tuple(f"{fault.what}; {fault.do}" for fault in located.faults)
        return Facts(here, located, weights_gib=weights, warnings=notes)
    local = bool(located.server)
    real = local and not request.engine.simulated
    faults = [*located.faults, *(_model_faults(request) if real else ())]
    version, more = (None, list(_port_faults(request))) if local else _attached(request)
    faults += more
    different = mismatch(request.hardware, here) if real else None
    if different and request.preflight.host == "strict":
        do = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"
        faults.append(Fault("hardware", different, do))
    devices = _devices(request, here) if real and not different else None
    world = request.parallelism.world
    if real and not different and request.hardware.accelerator != "cpu" and devices is None and world <= len(here.gpus):
        what = f"{world} free GPUs are needed, and in use are {_in_use(here)}"
        faults.append(Fault("hardware", what, "wait for them, or choose others with CUDA_VISIBLE_DEVICES"))
    if faults:
        raise RecipeError(*faults)
    port = spare_port() if local and request.address.port == 0 else None
    return Facts(here, located, devices, port, weights, version, (different,) if different else ())


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


def _in_use(here: Host) -> str:
    used = [f"{gpu.id} ({gpu.used_gib:.1f} GiB)" for gpu in here.gpus if gpu.used_gib >= BUSY_GIB]
    return ", ".join(used) or "none"


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


def _model_faults(request: Request) -> Iterator[Fault]:
    path = request.model.path
    if path is None:
        return
    where = request.folded.where("model.path")
    if not Path(path).is_dir():
        yield Fault(where, f"there is no folder {path}", "give the folder that holds config.json and the weights")
    elif not (Path(path) / "config.json").is_file():
        yield Fault(where, f"{path} has no config.json", "give the folder of a transformers model")


def _port_faults(request: Request) -> Iterator[Fault]:
    host, port = request.address.host, request.address.port
    if port and not port_free(host, port):
        holder = _holder(port)
        by = f" by {holder}" if holder else ""
        yield Fault("serve.port", f"port {port} is in use{by}", "stop that, or take a free one with serve.port=0")


def _attached(request: Request) -> tuple[str | None, list[Fault]]:
    """The version of the server that is attached to, and what is wrong with it."""
    from recipe_runner.client import CONNECT_S, AnswerError, Client  # HTTP is 0.1 s that most plans do without

    url = str(getattr(request.engine, "url", ""))
    try:
        with Client(url, "", CONNECT_S) as client:
            served, version = client.models(), client.version()
    except AnswerError as exc:
        return None, [Fault("engine.url", f"no server answers at {url}: {exc}", "start it, or correct the address")]
    if request.served_name in served:
        return version, []
    names = ", ".join(served) or "nothing"
    do = f"attach to another server, or say serve.served_model_name={served[0]}" if served else "check the server"
    return version, [Fault("engine.url", f"the server at {url} serves {names}, not {request.served_name}", do)]


def _holder(port: int) -> str | None:
    """The process that listens on a port, if we may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return None
