"""What the choices and overrides of evidence come to now, and how that differs from what was run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition.compose import compose
from recipe_runner.composition.reading import request
from recipe_runner.composition.schema import Hardware, Model, Parallelism, Preflight
from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError
from recipe_runner.evidence.document import Benchmarked, Document
from recipe_runner.evidence.document import Model as Ran
from recipe_runner.evidence.planned import Process
from recipe_runner.evidence.portable import at_home, homeless, portable
from recipe_runner.facts import Machine, gather
from recipe_runner.figures.commands import COMMAND, asked_by, flags
from recipe_runner.figures.runs import NO_MATTER, PLACE
from recipe_runner.host.hardware import DEVICES, named
from recipe_runner.plan import OURS, Plan, plan
from recipe_runner.serialize import to_json

OWN: Final = "recipe"  # the choice that takes what the recipe says
LENIENT: Final = Preflight(host="warn", memory="warn", flags="warn", model="warn")  # it ran elsewhere
ANY_PORT: Final = ("--port", "0")
STAYED: Final = "serving"  # the phase of a run that made no benchmarks


def planned(evidence: Document, recipe_file: Path, config_dirs: Sequence[Path], *, trust: bool) -> Plan:
    """The plan of the same choices and overrides, now and here.

    Raises:
        RecipeError: there is none any more.

    """
    overrides = at_home(evidence.overrides)
    composed = compose({**evidence.choices, "recipe": str(recipe_file)}, Space(tuple(config_dirs)))
    if composed.faults:
        raise RecipeError(*composed.faults)
    asked = request(composed, overrides, trust=trust)
    return plan(replace(asked, preflight=LENIENT), gather(asked, Machine(), launching=False))


def as_typed(
    choices: Mapping[str, str],
    overrides: Mapping[str, Any],
    parallelism: Parallelism,
    recipe_file: Path,
    config_dirs: Sequence[Path] = (),
) -> list[str]:
    """What was typed so that a run was not the recipe's own: overrides that may make a difference, and choices."""
    typed = [key for key in overrides if key not in PLACE and not key.startswith(NO_MATTER)]
    other = [group for group in ("validation", "benchmark", "parallelism") if choices.get(group) != OWN]
    if not (typed or "parallelism" in other):
        return sorted(f"{group}={choices.get(group)}" for group in other)
    composed = compose({**choices, "recipe": str(recipe_file), "parallelism": OWN}, Space(tuple(config_dirs)))
    own = {} if composed.faults else composed.below.values
    typed = [key for key in typed if not own or _kept(_at(own, key)) != _kept(overrides[key])]
    spread = None if any(key.startswith("parallelism") for key in typed) else own.get("parallelism")
    if "parallelism" in other and spread and Parallelism.model_validate(spread) == parallelism:
        other.remove("parallelism")  # chosen, and came to the same
    return sorted([*typed, *(f"{group}={choices.get(group)}" for group in other)])


def _kept(value: Any) -> str:
    """A value as evidence has it, of which it is asked again; 1 is not true."""
    return to_json(homeless(value))


def _at(values: Mapping[str, Any], key: str) -> Any:
    """What stands at a dotted key; None where nothing does, as for what is taken away."""
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def elsewhere(hardware: Hardware, name: str, gpus: Sequence[str]) -> str | None:
    """How the GPUs of a run are not those of the profile by whose name it goes, in words, or None."""
    fitting = [gpu for gpu in gpus if gpu in hardware.nvml_names]
    if not hardware.nvml_names or len(fitting) >= (hardware.count or 1):
        return None
    return (
        f"hardware={name} is {hardware.count} × {hardware.accelerator}; it ran on {', '.join(gpus) or 'no NVIDIA GPU'}"
    )


def differences(evidence: Document, now: Plan) -> Iterator[str]:
    """Each way in which the plan is not what was run."""
    asked, folder = now.request, now.request.recipe_file.parent
    here = {"recipe": asked.recipe, "hardware": asked.hardware_name, "engine": asked.engine_name}
    there = {"recipe": evidence.recipe.name, "hardware": evidence.hardware, "engine": evidence.engine}
    there |= _facts(evidence.model, evidence.parallelism)
    yield from _values(there, here | portable(_facts(asked.model, asked.parallelism), folder))
    yield from _processes(evidence, now, folder)
    yield from _items("check", evidence.checks, now.checks)
    if STAYED not in [phase.name for phase in evidence.phases]:
        yield from _items("benchmark", evidence.benchmarks, now.benchmarks)
        same = (one for one in evidence.benchmarks if one.name in now.benchmarks)
        yield from (told for one in same for told in _workload(one, now, folder))
    expected = {name: one.model_dump() for name, one in evidence.expected.items()}
    if expected != portable({name: one.model_dump() for name, one in asked.expected.items()}, folder):
        yield "other figures are expected now"
    if wrong := elsewhere(now.hardware, evidence.hardware, evidence.environment.get("gpus") or ()):
        yield wrong


def _facts(model: Model | Ran, parallelism: Parallelism) -> dict[str, str]:
    facts = {f"model.{key}": getattr(model, key) for key in ("id", "path", "revision")}
    facts |= {f"parallelism.{key}": value for key, value in parallelism.model_dump().items()}
    return {key: str(value) for key, value in facts.items() if value is not None}


def _processes(evidence: Document, now: Plan, folder: Path) -> Iterator[str]:
    model = str(portable(now.target.model, folder))
    ran = {process.role: process for process in evidence.processes}
    plans = {c.role: Process(role=c.role, argv=list(c.argv), env=dict(c.env)) for c in now.commands}
    for role in sorted(ran.keys() ^ plans.keys()):
        yield f"the process {role} {'is planned no more' if role in ran else 'was not run'}"
    for role in (role for role in plans if role in ran):
        argv, env = portable(plans[role].argv, folder), portable(plans[role].env, folder)
        yield from _values(_flags(ran[role].argv, model), _flags(argv, model))
        chosen = now.provenance.get(DEVICES)
        was = ran[role].env
        if chosen and chosen[1].layer == OURS and DEVICES in was:  # which ones is a matter of the moment
            was, env = ({**one, DEVICES: f"{len(named(one[DEVICES]))} devices"} for one in (was, env))
        yield from _values(was, env)


def _flags(argv: Sequence[str], model: str) -> dict[str, str]:
    """The model and what stands behind it, by flag; what stands before it is how this vLLM is called."""
    found = flags(argv[argv.index(model) :] if model in argv else argv)
    return {flag: " ".join(values) for flag, values in {"model": found.pop(COMMAND), **found}.items()}


def _values(ran: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys((*ran, *now)):
        if key not in now:
            yield f"{key} was {ran[key] or 'set'}; now it is not there"
        elif key not in ran:
            yield f"{key} was not there; now it is {now[key] or 'set'}"
        elif ran[key] != now[key] and (key, now[key]) != ANY_PORT:
            yield f"{key} was {ran[key] or 'set'}; now it is {now[key] or 'set'}"


def _items(kind: str, ran: Sequence[Any], now: Mapping[str, Any]) -> Iterator[str]:
    then = {item.name: item.uses for item in ran}
    plans = {name: item.uses for name, item in now.items()}
    for name in dict.fromkeys((*then, *plans)):
        if then.get(name) != plans.get(name):
            yield f"the {kind} {name} {'is planned no more' if name not in plans else 'was not made'}"


def _workload(ran: Benchmarked, now: Plan, folder: Path) -> Iterator[str]:
    """What a benchmark asks of the server otherwise: its fields, or its command where they are the same."""
    planned = now.benchmarks[ran.name]
    fields: dict[str, Any] = portable(json.loads(to_json(planned.asked())), folder)
    if fields != ran.fields:
        before, after = ({key: _plain(value) for key, value in one.items()} for one in (ran.fields, fields))
        yield from (f"{ran.name}: {told}" for told in _values(before, after))
        return
    argv = portable(list(planned.argv(now.target)), folder)
    if ran.argv and argv:  # there may be no command: of what has none, or where there is no vLLM
        yield from (f"{ran.name}: {told}" for told in _values(asked_by(ran.argv), asked_by(argv)))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
