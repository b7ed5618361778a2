"""The plan: what would be started, checked and measured, and where each flag came from. Pure: asks nothing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recipe_runner.api import Benchmark, Check, Target
from recipe_runner.composition.layers import Origin
from recipe_runner.composition.schema import Hardware, Request
from recipe_runner.errors import RecipeError
from recipe_runner.facts import Facts
from recipe_runner.figures import gates
from recipe_runner.host.hardware import DEVICES, described, named
from recipe_runner.model.serving import GIB
from recipe_runner.model.spread import Spread
from recipe_runner.model.spread import spread as spread_over
from recipe_runner.paths import short
from recipe_runner.preflight import findings
from recipe_runner.process import words
from recipe_runner.remarks import misnamed, remarks
from recipe_runner.serialize import shell_word

PARALLEL_FLAGS: Final = {"tp": "tensor_parallel_size", "dp": "data_parallel_size", "pp": "pipeline_parallel_size"}
GATED: Final = 5  # measurements, where the recipe does not say how many
OURS: Final = "recipe-runner"
SIMULATED: Final = "simulated"  # what our simulated server gives as its version
UNKNOWN_READY_S: Final = 1800.0
ATTACHED_READY_S: Final = 60.0


@dataclass(frozen=True)
class Command:
    """One process: its role, its words, and what is added to its environment."""

    role: str
    argv: tuple[str, ...]
    env: Mapping[str, str]

    def shell(self) -> str:
        """The command as a person would paste it: a flag with its values on each line."""
        lines: list[list[str]] = [[f"{key}={shell_word(value)}"] for key, value in self.env.items()]
        lines.append([])
        for word in self.argv:
            if word.startswith("--") and lines[-1]:
                lines.append([])
            lines[-1].append(shell_word(word))
        return " \\\n  ".join(" ".join(line) for line in lines)


@dataclass(frozen=True)
class Place:
    """Which point of a sweep a plan is: its number, from 0, of how many; and what is its own, by dotted key."""

    number: int
    of: int
    swept: Mapping[str, Any]

    def __str__(self) -> str:
        own = ", ".join(f"{key}={value}" for key, value in self.swept.items())
        return f"point {self.number + 1} of {self.of}{': ' if own else ''}{own}"


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    request: Request
    hardware: Hardware
    commands: tuple[Command, ...]
    target: Target
    url: str
    ready_s: float
    provenance: Mapping[str, tuple[Any, Origin]]
    warnings: tuple[str, ...]
    spread: Spread | None
    facts: Facts = field(repr=False)
    place: Place | None = None

    @property
    def simulated(self) -> bool:
        return self.request.engine.simulated or (
            self.facts.attached is not None and self.facts.attached.version == SIMULATED
        )

    @property
    def attached(self) -> bool:
        return not self.commands

    @property
    def dummy_weights(self) -> bool:
        """Whether the weights are random: fit for measuring, and for no answer."""
        return self.request.serve.get("load_format") == "dummy"

    @property
    def checks(self) -> Mapping[str, Check]:
        return self.request.checks

    @property
    def benchmarks(self) -> Mapping[str, Benchmark]:
        return self.request.benchmarks

    @property
    def gates_on(self) -> str:
        """The hardware whose gates hold: none where a server was attached to, whose devices nobody knows."""
        return "" if self.attached else self.request.hardware_name

    def times(self, benchmark: str) -> int:
        """How often a benchmark is measured: as it says, or as often as its gates take."""
        gated = gates.gated(self.request.expected, benchmark, self.gates_on)
        return self.benchmarks[benchmark].repeat or (GATED if gated else 1)

    def leases(self) -> tuple[str, ...]:
        """What no other run may take while the server lives: its port, and its GPUs by their UUID."""
        taken = {word for command in self.commands for word in named(command.env.get(DEVICES, ""))}
        gpus = [gpu.uuid for gpu in self.facts.host.gpus if gpu.is_one_of(taken) and not self.simulated]
        return (f"port-{self.target.port}", *(f"gpu-{uuid}" for uuid in gpus))

    def server_key(self) -> tuple[Any, ...]:
        """Equal for two plans that can share one server."""
        return (self.url, *((command.argv, tuple(command.env.items())) for command in self.commands))

    def as_dict(self) -> dict[str, Any]:
        """The document of `plan --json` and of `plan.json`."""
        request = self.request
        parallelism = request.parallelism
        return {
            "format": 1,
            **({"simulated": True} if self.simulated else {}),
            "recipe": {
                "name": request.recipe,
                "file": short(request.recipe_file),
                "sha256": hashlib.sha256(request.recipe_file.read_bytes()).hexdigest(),
                "summary": request.summary,
                "model": request.model.model_dump(exclude_none=True, exclude={"facts"}),
            },
            "choices": dict(request.choices),
            "overrides": dict(request.typed),
            "engine": request.engine_name,
            "hardware": None if self.attached else {"name": request.hardware_name, **self.hardware.model_dump()},
            "parallelism": {"tp": parallelism.tp, "dp": parallelism.dp, "pp": parallelism.pp},
            "memory": None if self.spread is None else self.spread.chosen.memory.as_dict(),
            "alternatives": [] if self.spread is None else [choice.as_dict() for choice in self.spread.weighed],
            "url": self.url,
            "processes": [{"role": c.role, "argv": list(c.argv), "env": dict(c.env)} for c in self.commands],
            "checks": [{"name": name, **check.model_dump(exclude_none=True)} for name, check in self.checks.items()],
            "benchmarks": [
                {
                    **{"name": name, "uses": benchmark.uses, "times": self.times(name), "fields": benchmark.asked()},
                    **{"argv": list(benchmark.argv(self.target)), "appended": list(benchmark.appended(name))},
                }
                for name, benchmark in self.benchmarks.items()
            ],
            "timeouts": {**request.timeouts.model_dump(), "ready_s": self.ready_s},
            "provenance": {
                name: {"value": value, "layer": origin.layer, "source": str(origin)}
                for name, (value, origin) in self.provenance.items()
            },
            "warnings": list(self.warnings),
        }


def plan(request: Request, facts: Facts) -> Plan:
    """The plan for a request on this machine.

    Raises:
        RecipeError: something speaks against it; all of it at once.

    """
    attached = not facts.located.server
    hardware = request.hardware
    if request.hardware_name == "host" and not attached:
        hardware = described(facts.host).model_copy(update=hardware.model_dump(exclude_defaults=True))
    spread = spread_over(request, facts.model, hardware)
    request = request if attached else spread.apply(request)
    notes = _judged(request, facts, hardware, spread)
    flags = _flags(request, facts)
    env = {} if attached else _env(request, facts, hardware)
    model = request.model.path or request.model.id
    argv = (*facts.located.server, model, *words({name: value for name, (value, _) in flags.items()}))
    port = facts.port or request.address.port
    host = _client_host(request.address.host)
    url = str(getattr(request.engine, "url", "")) or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    inherited = {name: (value, Origin("environment", name)) for name, value in facts.environ.items() if name not in env}
    provenance = {f"--{name.replace('_', '-')}": pair for name, pair in flags.items()}
    return Plan(
        request=request,
        hardware=hardware,
        commands=() if attached else (Command("server", argv, {name: value for name, (value, _) in env.items()}),),
        target=Target(host, port, url if attached else None, model, request.served_name, facts.located.client),
        url=url,
        ready_s=_ready_s(request, facts),
        provenance={} if attached else provenance | env | inherited,
        warnings=(*notes, *misnamed(request), *(() if attached else remarks(request, facts, hardware))),
        spread=None if attached else spread,
        facts=facts,
    )


def _judged(request: Request, facts: Facts, hardware: Hardware, spread: Spread) -> tuple[str, ...]:
    """What is only said of everything that speaks against the plan; the rest is refused."""
    found = list(findings(request, facts, hardware, spread))
    noted = [finding for finding in found if finding.level(request, launching=facts.launching) == "warn"]
    if faults := [finding.fault for finding in found if finding not in noted]:
        raise RecipeError(*faults)
    return tuple(finding.note(launching=facts.launching) for finding in noted)


def _flags(request: Request, facts: Facts) -> dict[str, tuple[Any, Origin]]:
    """Every flag of the server with its value and origin; only what a layer states."""
    origins = request.folded.origins
    flags = {name: (value, origins[f"serve.{name}"]) for name, value in request.serve.items()}
    if facts.port is not None:
        flags["port"] = (facts.port, Origin(OURS, "a free port"))
    if request.model.revision is not None:
        flags["revision"] = (request.model.revision, origins["model.revision"])
    for key, flag in PARALLEL_FLAGS.items():
        value = getattr(request.parallelism, key)
        if f"parallelism.{key}" in origins:
            flags[flag] = (value, origins[f"parallelism.{key}"])
        elif request.spread_by == "auto" and value > 1:
            flags[flag] = (value, Origin(OURS, "parallelism=auto"))
    return flags


def _env(request: Request, facts: Facts, hardware: Hardware) -> dict[str, tuple[str, Origin]]:
    origins = request.folded.origins
    env = {name: (value, origins[f"env.{name}"]) for name, value in request.env.items()}
    if hardware.accelerator != "cpu" and DEVICES not in env:
        world = request.parallelism.world
        devices = (facts.devices or tuple(map(str, range(world))))[:world]
        env[DEVICES] = (",".join(devices), Origin(OURS, "tp × dp × pp devices"))
    return env


def _ready_s(request: Request, facts: Facts) -> float:
    """How long a server may take to get ready: a floor for imports, compilation and warm-up, and 20 s a GiB to load."""
    if request.timeouts.ready_s != "auto":
        return request.timeouts.ready_s
    if not facts.located.server:
        return ATTACHED_READY_S
    if facts.model is None or facts.model.bytes is None:
        return UNKNOWN_READY_S
    return (180 if request.hardware.accelerator == "cpu" else 420) + 20 * facts.model.bytes / GIB


def _client_host(host: str | None) -> str:
    """Where a client on this host finds a server that listens on `host`."""
    return {None: "127.0.0.1", "": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host or "")
