"""What speaks against a plan, judged from facts alone: refused, or only said, as `preflight.*` has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from recipe_runner.errors import Fault
from recipe_runner.facts import Facts
from recipe_runner.hardware import BUSY_GIB, Host, mismatch
from recipe_runner.schema import Hardware, Request

Kind = Literal["launch", "host", "fit"]


@dataclass(frozen=True)
class Finding:
    """Something that speaks against a plan.

    `fit` is a matter of the plan itself; `host` of this machine, `launch` of this moment: those two matter to a run,
    and a plan for another machine only mentions them.
    """

    kind: Kind
    fault: Fault

    def note(self) -> str:
        return f"{self.fault.what}; {self.fault.do}"


def findings(request: Request, facts: Facts, hardware: Hardware) -> Iterator[Finding]:
    """Everything that speaks against running this request here."""
    if not facts.located.server:
        yield from (Finding("launch", fault) for fault in _attached(request, facts))
        return
    yield from (Finding("launch", fault) for fault in facts.located.faults)
    yield from (Finding("fit", fault) for fault in _fit(request, hardware))
    if not facts.launching:
        return
    if facts.model_fault:
        do = "give the folder of a transformers model, with its config.json"
        yield Finding("launch", Fault(request.folded.where("model.path"), facts.model_fault, do))
    if facts.port_holder is not None:
        what = f"port {request.address.port} is in use" + (f" by {facts.port_holder}" if facts.port_holder else "")
        yield Finding("launch", Fault("serve.port", what, "stop that, or take a free one with serve.port=0"))
    if not request.engine.simulated:
        yield from (Finding("host", fault) for fault in _host(request, facts))


def _fit(request: Request, hardware: Hardware) -> Iterator[Fault]:
    asked, count = request.parallelism, hardware.count
    if count is None and request.hardware_name != "host":
        yield Fault(request.folded.where("hardware.count"), "this is missing", "say how many devices the profile has")
    elif count is None:
        do = "name the hardware to plan for, such as hardware=a100x2, or use hardware=cpu"
        yield Fault("hardware", "there is no NVIDIA GPU here", do)
    elif asked.world > count:
        parts = " × ".join(f"{key}={value}" for key, value in asked.model_dump().items() if value > 1)
        what = f"{parts} takes {asked.world} devices, {request.hardware_name} has {count}"
        yield Fault("parallelism", what, f"make tp × dp × pp at most {count}, or name larger hardware")


def _host(request: Request, facts: Facts) -> Iterator[Fault]:
    different = mismatch(request.hardware, facts.host)
    world = request.parallelism.world
    if different:
        do = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"
        yield Fault("hardware", different, do)
    elif request.hardware.accelerator != "cpu" and facts.devices is None and world <= len(facts.host.gpus):
        what = f"{world} free GPUs are needed, and in use are {_in_use(facts.host)}"
        yield Fault("hardware", what, "wait for them, or choose others with CUDA_VISIBLE_DEVICES")


def _in_use(here: Host) -> str:
    used = [f"{gpu.id} ({gpu.used_gib:.1f} GiB)" for gpu in here.gpus if gpu.used_gib >= BUSY_GIB]
    return ", ".join(used) or "none"


def _attached(request: Request, facts: Facts) -> Iterator[Fault]:
    if facts.attached is None:
        return
    url, served = str(getattr(request.engine, "url", "")), facts.attached.names
    if facts.attached.error:
        what = f"no server answers at {url}: {facts.attached.error}"
        yield Fault("engine.url", what, "start it, or correct the address")
    elif request.served_name not in served:
        what = f"the server at {url} serves {', '.join(served) or 'nothing'}, not {request.served_name}"
        do = f"attach to another server, or say serve.served_model_name={served[0]}" if served else "check the server"
        yield Fault("engine.url", what, do)
