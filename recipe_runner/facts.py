"""All the asking: what the host is, where vLLM is, which port and devices are free. `plan` asks nothing."""

import functools
import importlib.util
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from recipe_runner.api import Located
from recipe_runner.composition.schema import ModelFacts, Request
from recipe_runner.errors import Fault
from recipe_runner.host import nvml
from recipe_runner.host.flags import Flags, options
from recipe_runner.host.hardware import DEVICES, Host, idle, named
from recipe_runner.host.orphans import survey
from recipe_runner.host.versions import Architectures, architectures, cuda, versions
from recipe_runner.model.serving import GIB
from recipe_runner.model.weights import Problem, cached, missing_bytes, of_folder, room
from recipe_runner.process import port_free
from recipe_runner.secrets import KEY, exposed, inherited, may_send_key

MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")  # cgroup v2, as seen from inside a container or a Slurm job
EXTRA: Final = ("jinja2", "matplotlib", "scipy")
HUB_S: Final = 2.4  # so that a person waits at most 3 s in all


class Holder(NamedTuple):
    """The process that listens on a port; None is what cannot be known."""

    pid: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        return "" if self.pid is None else f" by {self.name} (pid {self.pid})"


@dataclass(frozen=True)
class Attached:
    """A server that runs already: the names it serves, its version; or why it does not answer."""

    names: tuple[str, ...] = ()
    version: str | None = None
    error: str | None = None
    refused: Fault | None = None


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of this machine; None is what is not known, or was not asked.

    `launching`: the plan is about to run, so everything was asked. `environ` are the inherited variables that matter,
    masked; `vllm`, `cuda`, `options` and `architectures` are the installed vLLM's version, CUDA, flags and models.
    `devices` are those that a run may use; `port` is the one found for `serve.port=0`, `port_holder` who has the one
    that was named; `left` are the processes of servers that outlived their run. `to_fetch` are bytes of weights that
    are not here yet; `exposed` is what to say of a server that is open to all. `extra` are the modules of the extra
    `analysis` that are not installed.
    """

    host: Host
    located: Located
    launching: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    vllm: str | None = None
    cuda: int | None = None
    options: Flags | None = None
    architectures: Architectures | None = None
    devices: tuple[str, ...] | None = None
    port: int | None = None
    port_holder: Holder | None = None
    left: frozenset[int] = frozenset()
    model: ModelFacts | None = None
    model_problem: Problem | None = None
    to_fetch: int | None = None
    exposed: str | None = None
    attached: Attached | None = None
    extra: frozenset[str] = frozenset()

    def architecture_names(self) -> tuple[str, ...]:
        """What the model's config.json says it is."""
        named = self.model.config.get("architectures") if self.model else None
        return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else ()


def host() -> Host:
    """Ask NVML and psutil. No NVIDIA driver means no GPUs."""
    gpus, driver, link, lost = nvml.ask()
    cores = os.cpu_count() or 1
    return Host(gpus, driver, _cpu_name(), cores, round(_memory_bytes() / GIB, 1), platform.platform(), link, lost)


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """This machine, asked each thing once for all points of a command."""

    def __init__(self) -> None:
        self.host = host()
        self.extra = frozenset(name for name in EXTRA if importlib.util.find_spec(name) is None)
        self.vllm = functools.cache(_vllm)
        self.folder = functools.cache(of_folder)
        self.spare_port = functools.cache(free_port)  # another for each point, and none could share its server
        self.port_holder = functools.cache(_port_holder)
        self.left = functools.cache(_left)
        self.attached = functools.cache(_attached)


def gather(request: Request, machine: Machine, *, launching: bool, trust: bool = False) -> Facts:
    """The facts of one request.

    `launching` asks what only a run needs; `trust` lets a key go to a server over a network that could read it.
    """
    located = request.engine.locate()
    facts = Facts(machine.host, located, launching, extra=machine.extra)
    if not located.server:
        url, limit_s = str(getattr(request.engine, "url", "")), request.timeouts.connect_s
        return replace(facts, attached=machine.attached(url, limit_s, trust) if launching else None)
    model, problem, to_fetch = _model(request, machine, launching=launching)
    real, address = not request.engine.simulated, request.address
    facts = replace(
        facts,
        environ=inherited(os.environ),
        model=model,
        model_problem=problem,
        exposed=exposed(address.host, os.environ),
        to_fetch=to_fetch,
        **(machine.vllm(located.client) if real and located.client else {}),
    )
    if not launching:
        return facts
    return replace(
        facts,
        devices=_devices(request, machine.host) if real else None,
        port=machine.spare_port() if address.port == 0 else None,
        port_holder=machine.port_holder(address.host, address.port),
        left=machine.left(),
    )


def _vllm(client: tuple[str, ...]) -> dict[str, Any]:
    """What is known of the vLLM that would be started."""
    installed = versions(client)
    vllm = installed.get("vllm")
    known, lists = options(client, vllm), architectures(client)
    return {"vllm": vllm, "cuda": cuda(installed), "options": known, "architectures": lists}


def _left() -> frozenset[int]:
    """The processes of servers that outlived their run."""
    return frozenset(process.pid for orphan in survey() for process in orphan.processes)


def _memory_bytes() -> int:
    """The RAM that we may use: a container's or a job's limit counts, not what the machine has."""
    total = psutil.virtual_memory().total
    try:
        limit = MEMORY_LIMIT.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _devices(request: Request, here: Host) -> tuple[str, ...]:
    """Those that a run may use: named for it, or visible to us, or idle."""
    if DEVICES in request.env:
        return named(request.env[DEVICES])
    if DEVICES in os.environ:
        return tuple(gpu.id for gpu in here.gpus)
    return idle(here)


def _model(
    request: Request, machine: Machine, *, launching: bool
) -> tuple[ModelFacts | None, Problem | None, int | None]:
    """What is known of the model; why it cannot be had; how many bytes must be fetched before it can be served.

    The hub is asked only where nothing is recorded, or where a run needs weights that are not here.
    """
    model = request.model
    if model.path is not None:
        if not Path(model.path).is_dir():
            do = "give the folder of a transformers model, with its config.json"
            return None, Problem("missing", f"there is no folder {model.path}", do), None
        found = machine.folder(Path(model.path))
        return (None, found, None) if isinstance(found, Problem) else (found, None, None)
    if request.engine.simulated or (model.facts and not launching):
        return model.facts, None, None
    # a folder of its own is for vLLM to fill: what is in it, or would be, only vLLM knows
    here = bool(request.serve.get("download_dir")) or cached(model.id, model.revision) is not None
    if model.facts and here:
        return model.facts, None, None
    from recipe_runner.model.hub import ask

    found = ask(model.id, model.revision, HUB_S)
    if isinstance(found, Problem):
        return model.facts, found, None
    facts = model.facts or found
    needed = None if here or not launching else missing_bytes(model.id, model.revision, found) or 0
    return facts, room(needed) if needed else None, needed


def _port_holder(host: str, port: int) -> Holder | None:
    """Who listens where the server should."""
    return None if port == 0 or port_free(host, port) else holder(port)


def _attached(url: str, limit_s: float, trust: bool) -> Attached:
    from recipe_runner.client import AnswerError, Client  # HTTP is 0.1 s that most plans do without

    if os.environ.get(KEY) and (refused := may_send_key(url, trust)):
        return Attached(refused=refused)
    try:
        with Client(url, "", limit_s, connect_s=limit_s) as client:
            return Attached(tuple(client.models()), client.version())
    except AnswerError as exc:
        return Attached(error=str(exc))


def holder(port: int) -> Holder:
    """The process that listens on a port, if we may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return Holder(connection.pid, psutil.Process(connection.pid).name())
    except psutil.Error:
        pass
    return Holder()
