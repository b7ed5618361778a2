"""What speaks against a plan, judged from facts alone: refused, or only said, as `preflight.*` has it."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from recipe_runner.composition.schema import Hardware, Request
from recipe_runner.errors import Fault, choose
from recipe_runner.facts import Facts
from recipe_runner.figures import gates
from recipe_runner.host.flags import misvalued, switches, unknown
from recipe_runner.host.hardware import DEVICES, mismatch
from recipe_runner.host.orphans import CURE
from recipe_runner.host.versions import outdated
from recipe_runner.model import length
from recipe_runner.model.serving import Serving, misread
from recipe_runner.model.spread import Spread
from recipe_runner.model.weights import Problem
from recipe_runner.serialize import safe_line

OLDEST: Final = ">=0.20"  # whose flags and log lines we know
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

    def note(self, *, launching: bool) -> str:
        if self.kind == "host" and not launching:
            return f"{self.fault.what}: a run here would be refused"
        return f"{self.fault.what}; {self.fault.do}"


def findings(request: Request, facts: Facts, hardware: Hardware, spread: Spread) -> Iterator[Finding]:
    """Everything that speaks against running this request here."""
    yield from (Finding("launch", fault) for fault in _extra(request, facts))
    yield from (Finding("fit", fault) for fault in _gates(request))
    if not facts.located.server:
        yield from (Finding("launch", fault) for fault in _attached(request, facts))
        yield from (Finding("model", fault) for fault in _version(request, facts))
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
    no_switch = "is a value, and a flag that is only switched on or off takes none"
    unread = [(key, no_switch, do) for key, do in switches(request.serve, facts.options)]
    unread += misvalued(request.serve, facts.options)
    for key, what, do in (*unread, *misread(request.serve)):
        do = f"{do}; preflight.flags=warn passes it on all the same"
        yield Finding("flags", Fault(request.folded.where(f"serve.{key}"), f"{request.serve[key]!r} {what}", do))
    yield from (Finding("model", fault) for fault in length.faults(request, facts))
    if facts.model_problem and not request.engine.simulated:
        yield _model(request, facts.model_problem)
    if facts.port_holder is not None:
        stop = CURE if facts.port_holder.pid in facts.left else "stop that"
        what = f"port {request.address.port} is in use{facts.port_holder}"
        yield Finding("launch", Fault("serve.port", what, f"{stop}, or take a free one with serve.port=0"))
    if request.engine.simulated:
        return
    yield from (Finding("model", fault) for fault in (*_version(request, facts), *_architecture(request, facts)))
    yield from (Finding("host", fault) for fault in (*_host(request, facts), *_ram(request, facts, spread)))


def _extra(request: Request, facts: Facts) -> Iterator[Fault]:
    """What was asked for and takes the extra `analysis`, where that is not installed."""
    install = "pip install 'recipe-runner[analysis]'"
    for name, report in request.reports.items():
        if missing := sorted(facts.extra & {*report.needs}):
            yield Fault("report.formats", f"{name} takes {', '.join(missing)}", f"{install}, or leave {name} out")
    lacks_scipy = "scipy" in facts.extra and facts.located.server
    for name in request.benchmarks:
        if lacks_scipy and gates.gated(request.expected, name, request.hardware_name):
            do = f"{install}, or set `gate: false`"
            yield Fault(request.folded.where(f"benchmark.{name}"), "its expected figures gate, which takes scipy", do)


def _gates(request: Request) -> Iterator[Fault]:
    """What is wrong with expected figures; with gates, of this hardware or of none, and for the recipe's benchmarks."""
    where, profiles = request.folded.where, request.composed.profiles
    yield from gates.contradictions(request.expected, where)
    if request.choices["benchmark"] == "recipe":
        away = {key.removeprefix("benchmark.") for key, value in request.typed.items() if value is None}
        here = {
            name: item
            for name, item in request.expected.items()
            if item.hardware == request.hardware_name and (item.workload or name) not in away
        }
        yield from gates.faults(here, request.benchmarks, where)
        for name, item in request.expected.items():
            if item.hardware not in profiles and any(figure.gate for figure in item.metrics.values()):
                what = f"it gates on {item.hardware}, and there is no such profile"
                yield Fault(where(f"expected.{name}.hardware"), what, choose(item.hardware, profiles))


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


def _version(request: Request, facts: Facts) -> Iterator[Fault]:
    """Whether this vLLM is one that can serve the model; a version that is none (of a simulated server) may be any."""
    found, here = (facts.attached.version, "answers there") if facts.attached else (facts.vllm, "is installed here")
    needed = request.model.vllm or OLDEST
    try:
        fits = found is None or SpecifierSet(needed).contains(Version(found), prereleases=True)
    except InvalidVersion:
        return
    if not fits:
        do = (
            "install one that fits, or name another with engine.command"
            if facts.attached is None
            else "attach elsewhere"
        )
        what, do = f"vLLM {needed} is needed, and {found} {here}", f"{do}; preflight.model=warn tries all the same"
        yield Fault(request.folded.where("model.vllm"), what, do)


def _architecture(request: Request, facts: Facts) -> Iterator[Fault]:
    """Whether this vLLM has code for the model; one that brings its own is not judged."""
    names, known = facts.architecture_names(), facts.architectures
    if known is None or not names or known.whose(names) or request.serve.get("trust_remote_code"):
        return
    name = names[0]
    if former := known.former.get(name):
        what, do = f"vLLM served {name} until version {former}", f"install vLLM {former}, or take another model"
    else:
        near = difflib.get_close_matches(name, known.own, n=1)
        what = f"vLLM {facts.vllm} does not list the architecture {name}" + (f" (but {near[0]})" if near else "")
        do = "take a newer vLLM, or another model"
    yield Fault(request.folded.where("model.id"), what, f"{do}; preflight.model=warn tries all the same")


def _host(request: Request, facts: Facts) -> Iterator[Fault]:
    host, profile, world = facts.host, request.hardware, request.parallelism.world
    if profile.accelerator == "cpu":
        return
    if different := mismatch(profile, host):
        do = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"
        yield Fault("hardware", different, do)
        return
    if old := outdated(host.driver, facts.cuda):
        yield old
    if facts.devices is not None and len(facts.devices) < world <= len(host.gpus):
        if DEVICES in request.env:
            what = f"{DEVICES} names {_devices(len(facts.devices))}, and {world} are needed"
            yield Fault(request.folded.where(f"env.{DEVICES}"), what, "name more, or take less with parallelism")
            return
        busy = [gpu for gpu in host.gpus if gpu.busy]
        told = ", ".join(f"GPU {gpu.id} by {gpu.whose()}" for gpu in busy) or "none"
        stop = CURE if any(facts.left & {*gpu.pids} for gpu in busy) else "wait for them"
        what = f"{_free(world)} needed, and in use are {told}"
        yield Fault("hardware", what, f"{stop}, or choose others with {DEVICES}")
        return
    share = Serving.of(request.serve).gpu_memory_utilization
    for gpu in host.gpus:
        if gpu.is_one_of((facts.devices or ())[:world]) and share * gpu.memory_gib > gpu.free_gib:
            whose = f"; in use by {gpu.whose()}" if gpu.busy else ""
            taken = f"{share * gpu.memory_gib:.1f} GiB of GPU {gpu.id}"
            what = f"vLLM would take {taken}, {gpu.free_gib:.1f} are free{whose}"
            stop = CURE if facts.left & {*gpu.pids} else "wait for it"
            do = f"{stop}, choose another with {DEVICES}, or lower serve.gpu_memory_utilization"
            yield Fault("hardware", what, do)


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _free(world: int) -> str:
    return f"{world} free GPUs are" if world > 1 else "a free GPU is"


def _ram(request: Request, facts: Facts, spread: Spread) -> Iterator[Fault]:
    """On a CPU all ranks share the RAM; a plan may be for a larger machine."""
    held = spread.chosen.memory
    if not facts.launching or request.hardware.accelerator != "cpu" or held.weights_gib_per_gpu is None:
        return
    taken = (held.weights_gib_per_gpu + (held.kv_gib_per_gpu or 0)) * request.parallelism.world
    if taken > facts.host.memory_gib:
        what = f"weights and KV cache take {taken:.1f} GiB of RAM, and this host has {facts.host.memory_gib:.1f}"
        do = "take a smaller model, or lower env.VLLM_CPU_KVCACHE_SPACE; preflight.host=warn tries all the same"
        yield Fault("hardware", what, do)


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
        what = f"the server at {url} serves {safe_line(', '.join(served)) or 'nothing'}, not {request.served_name}"
        other = f"attach to another server, or say serve.served_model_name={safe_line(served[0])}" if served else ""
        yield Fault("engine.url", what, other or "check the server")
