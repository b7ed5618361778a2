"""From words to plans: host facts, compose, fold, check, ask, plan; for every verb that takes a recipe."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from recipe_runner.composition.compose import Composed, Point, compose, points
from recipe_runner.composition.layers import fold
from recipe_runner.composition.reading import request
from recipe_runner.composition.schema import Request
from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError
from recipe_runner.facts import free_port, gather, host
from recipe_runner.host.flags import learn
from recipe_runner.host.hardware import Host, match, profile_facts
from recipe_runner.plan import Plan, plan

HOSTLESS: Final = "attach"  # the engine that needs no hardware


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
    here = host()
    found, unread = points(words, space, sweep=sweep)
    spare_port = functools.cache(free_port)  # one for all points, or none could share its server
    flags = functools.cache(functools.partial(_flags, tell))
    faults = dict.fromkeys(unread)
    made: list[Plan] = []
    for point in found:
        if "recipe" not in point.choices and any(fault.where.startswith("recipe") for fault in unread):
            continue  # one was named, in words that could not be read
        try:
            composed, asked = _asked(point, space, here, trust=trust)
            if unread:
                continue  # it is not known on what hardware the rest should fit
            facts = gather(asked, here, launching=launching and not faults, spare_port=spare_port, trust=trust)
            drawn = plan(asked, facts)
            if (
                launching
                and not faults
                and facts.options is None
                and (known := flags(facts.located.client, facts.vllm))
            ):
                drawn = plan(asked, replace(facts, options=known))
            notes = (f"hardware=auto is {asked.hardware_name} here",) if _is_auto(point) and not drawn.attached else ()
            made.append(replace(drawn, warnings=(*notes, *composed.warnings, *drawn.warnings)))
        except RecipeError as exc:
            faults |= dict.fromkeys(exc.faults)
    if faults:
        raise RecipeError(*faults)
    return made


def requested(words: list[str], config_dirs: Iterable[Path], *, trust: bool = False) -> tuple[Composed, Request]:
    """One point, composed and checked, but not planned; `trust` as `--trust`."""
    space = Space(tuple(config_dirs))
    (point, *_), unread = points(words, space)
    try:
        asked = _asked(point, space, host(), trust=trust)
    except RecipeError as exc:
        raise RecipeError(*unread, *exc.faults) from None
    if unread:
        raise RecipeError(*unread)
    return asked


def _asked(point: Point, space: Space, here: Host, *, trust: bool) -> tuple[Composed, Request]:
    composed = compose(_resolved(point, space, here), space)
    try:
        asked = request(fold(composed.layers), composed.choices, composed.recipe_file, trust=trust)
    except RecipeError as exc:
        raise RecipeError(*composed.faults, *exc.faults) from None
    if composed.faults:
        raise RecipeError(*composed.faults)
    return composed, asked


def _resolved(point: Point, space: Space, here: Host) -> Point:
    """The point with `hardware=auto` replaced by a profile's name."""
    if not _is_auto(point):
        return point
    if point.choices.get("engine") == HOSTLESS:
        return replace(point, choices={**point.choices, "hardware": "host"})
    profiles = {name: profile_facts(name, space) for name in space.names("hardware")} if here.gpus else {}
    return replace(point, choices={**point.choices, "hardware": match(here, profiles)})


def _flags(
    tell: Callable[[str], object], program: tuple[str, ...] | None, version: str | None
) -> frozenset[str] | None:
    """The flags of a vLLM that was never asked for them: once for each version, when all else is well."""
    if program is None or version is None:
        return None
    tell(f"asking vLLM {version} once which flags it knows: 10 to 25 s")
    try:
        return learn(program, version)
    except RecipeError as exc:
        tell(f"flags are not checked: {exc}")
        return None


def _is_auto(point: Point) -> bool:
    return point.choices.get("hardware", "auto") == "auto"
