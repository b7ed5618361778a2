"""What speaks against a plan, judged from facts alone: refused, or only said, as `preflight.*` has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from recipe_runner.composition.schema import Hardware, Request
from recipe_runner.errors import Fault
from recipe_runner.facts import Facts
from recipe_runner.host.flags import unknown
from recipe_runner.host.hardware import BUSY_GIB, Host, mismatch
from recipe_runner.model.spread import Spread
from recipe_runner.model.weights import Problem

Kind = Literal["launch", "host", "fit", "memory", "flags", "model"]


@dataclass(frozen=True)
class Finding:
    """Something that speaks against a plan.

    `host` is a matter of this machine, `launch` of this moment: they matter to a run, and a plan for another machine
    only mentions them. The others are matters of the plan itself.
    """

    kind: Kind
    fault: Fault

    def level(self, request: Request, *, launching: bool) -> str:
        """`strict` if this is refused, `warn` if it is only said."""
        if self.kind in ("host", "launch") and not launching:
            return "warn"
        return str(getattr(request.preflight, self.kind, "strict"))

    def note(self) -> str:
        return f"{self.fault.what}; {self.fault.do}"


def findings(request: Request, facts: Facts, hardware: Hardware, spread: Spread) -> Iterator[Finding]:
    """Everything that speaks against running this request here."""
    if not facts.located.server:
        yield from (Finding("launch", fault) for fault in _attached(request, facts))
        return
    yield from (Finding("launch", fault) for fault in facts.located.faults)
    misfits = list(_fit(request, hardware))
    yield from (Finding("fit", fault) for fault in misfits)
    if spread.illegal and not misfits:
        yield Finding("fit", spread.illegal)
    if spread.too_large and not misfits:
        yield Finding("memory", spread.too_large)
    for found in unknown(request.serve, facts.options) if facts.options else ():
        what = f"the vLLM that is installed here has no flag {found.key}"
        yield Finding("flags", Fault(request.folded.where(f"serve.{found.key}"), what, found.do))
    if facts.model_problem and not request.engine.simulated:
        yield _model(request, facts.model_problem)
    if not facts.launching:
        return
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


def _model(request: Request, problem: Problem) -> Finding:
    """Where no answer could be had, a plan only says so."""
    where = request.folded.where("model.path" if request.model.path else "model.id")
    return Finding("launch" if problem.kind in ("network", "offline", "disk") else "model", problem.fault(where))


def _host(request: Request, facts: Facts) -> Iterator[Fault]:
    different = mismatch(request.hardware, facts.host)
    world = request.parallelism.world
    if different:
        do = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"
        yield Fault("hardware", different, do)
    elif request.hardware.accelerator != "cpu" and len(facts.devices or ()) < world <= len(facts.host.gpus):
        what = f"{world} free GPUs are needed, and in use are {_in_use(facts.host)}"
        yield Fault("hardware", what, "wait for them, or choose others with CUDA_VISIBLE_DEVICES")


def _in_use(here: Host) -> str:
    used = [f"{gpu.id} ({gpu.used_gib:.1f} GiB)" for gpu in here.gpus if gpu.used_gib >= BUSY_GIB]
    return ", ".join(used) or "none"


def _attached(request: Request, facts: Facts) -> Iterator[Fault]:
    if facts.attached is None:
        return
    if facts.attached.refused:
        yield facts.attached.refused
        return
    url, served = str(getattr(request.engine, "url", "")), facts.attached.names
    if facts.attached.error:
        what = f"no server answers at {url}: {facts.attached.error}"
        yield Fault("engine.url", what, "start it, or correct the address")
    elif request.served_name not in served:
        what = f"the server at {url} serves {', '.join(served) or 'nothing'}, not {request.served_name}"
        do = f"attach to another server, or say serve.served_model_name={served[0]}" if served else "check the server"
        yield Fault("engine.url", what, do)
