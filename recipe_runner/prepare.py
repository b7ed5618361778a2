"""From words to plans: host facts, compose, fold, check, ask, plan; for every verb that takes a recipe."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition.compose import Composed, Point, compose, points
from recipe_runner.composition.lock import opened
from recipe_runner.composition.reading import request
from recipe_runner.composition.schema import Request
from recipe_runner.composition.space import Space
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.facts import Machine, gather, host
from recipe_runner.host.flags import Flags, learn
from recipe_runner.host.hardware import Host, match, profile_facts
from recipe_runner.plan import Place, Plan, plan

HOSTLESS: Final = "attach"  # the engine that needs no hardware
Composing = Callable[[Point], Composed]
FITTING: Final = ("parallelism", "memory")  # where faults point that say what does not fit the hardware


def plans(
    words: list[str],
    config_dirs: Iterable[Path],
    *,
    sweep: bool,
    launching: bool,
    trust: bool = False,
    tell: Callable[[str], object] = str,
) -> list[Plan]:
    """The plan of each point; `trust` as `--trust`; `tell` says what takes longer.

    Raises:
        RecipeError: bad input, with the faults of every point, each once.

    """
    space = Space(tuple(config_dirs))
    machine = Machine()
    here = machine.host
    found, unread = points(words, space, sweep=sweep)
    flags = functools.cache(functools.partial(_flags, tell))
    composing = _composing(space, here)
    faults = dict.fromkeys(unread)
    made: list[Plan] = []
    for number, point in enumerate(found):
        if "recipe" not in point.choices and any(fault.where.startswith("recipe") for fault in unread):
            continue  # one was named, in words that could not be read
        try:
            composed, asked = _asked(point, composing, trust=trust)
            if unread:
                continue  # it is not known on what hardware the rest should fit
            facts = gather(asked, machine, launching=launching and not faults, trust=trust)
            drawn = plan(asked, facts)
            if (
                launching
                and not faults
                and facts.options is None
                and (known := flags(facts.located.client, facts.vllm))
            ):
                drawn = plan(asked, replace(facts, options=known))
            auto = _is_auto({**(composed.lock.choices if composed.lock else {}), **point.choices})
            notes = (f"hardware=auto is {asked.hardware_name} here",) if auto and not drawn.attached else ()
            since = _since(drawn, space) if composed.lock else ()
            place = Place(number, len(found), point.swept) if sweep else None
            made.append(replace(drawn, place=place, warnings=(*notes, *composed.warnings, *since, *drawn.warnings)))
        except RecipeError as exc:
            faults |= dict.fromkeys(_whence(fault, point, space, here) for fault in exc.faults)
    if faults:
        raise RecipeError(*faults)
    return made


def requested(words: list[str], config_dirs: Iterable[Path], *, trust: bool = False) -> tuple[Composed, Request]:
    """One point, composed and checked, but not planned; `trust` as `--trust`."""
    space = Space(tuple(config_dirs))
    (point, *_), unread = points(words, space)
    try:
        asked = _asked(point, _composing(space, host()), trust=trust)
    except RecipeError as exc:
        raise RecipeError(*unread, *exc.faults) from None
    if unread:
        raise RecipeError(*unread)
    return asked


def _composing(space: Space, here: Host) -> Composing:
    """What composes points, those that differ only in values once."""

    @functools.cache
    def once(choices: tuple[tuple[str, str], ...]) -> Composed:
        return compose(_resolved(dict(choices), space, here), space)

    return lambda point: once(tuple(point.choices.items()))


def _asked(point: Point, composing: Composing, *, trust: bool) -> tuple[Composed, Request]:
    composed = composing(point)
    try:
        asked = request(composed, point.typed, trust=trust)
    except RecipeError as exc:
        raise RecipeError(*composed.faults, *exc.faults) from None
    if composed.faults:
        raise RecipeError(*composed.faults)
    return composed, asked


def _resolved(choices: Mapping[str, str], space: Space, here: Host) -> Mapping[str, str]:
    """The choices, a lock's too, with `hardware=auto` replaced by a profile's name."""
    choices = opened(choices, space)
    if not _is_auto(choices):
        return choices
    if choices.get("engine") == HOSTLESS:
        return {**choices, "hardware": "host"}
    return {**choices, "hardware": match(here, _profiles(space) if here.gpus else {})}


def _profiles(space: Space) -> dict[str, Mapping[str, Any]]:
    """What the profiles say; one that cannot be read keeps no other from being found."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in space.names("hardware"):
        with contextlib.suppress(RecipeError):
            found[name] = profile_facts(name, space)
    return found


def _whence(fault: Fault, point: Point, space: Space, here: Host) -> Fault:
    """The fault; where it names hardware that nobody named, with whose choice that was."""
    if fault.where not in FITTING or not _is_auto(opened(point.choices, space)):
        return fault
    name = _resolved(point.choices, space, here)["hardware"]
    return replace(fault, what=f"{fault.what} (hardware=auto is {name} here)") if name in fault.what else fault


def _since(drawn: Plan, space: Space) -> Iterable[str]:
    """What is not as it was when the lock was written that is repeated."""
    from recipe_runner.evidence import lock

    return lock.differences(drawn, space)


def _flags(tell: Callable[[str], object], program: tuple[str, ...] | None, version: str | None) -> Flags | None:
    """The flags of a vLLM that was never asked for them: once for each version, when all else is well."""
    if program is None or version is None:
        return None
    tell(f"asking vLLM {version} once which flags it knows: 10 to 25 s")
    try:
        return learn(program, version)
    except RecipeError as exc:
        tell(f"flags are not checked: {exc}")
        return None


def _is_auto(choices: Mapping[str, str]) -> bool:
    return choices.get("hardware", "auto") == "auto"
