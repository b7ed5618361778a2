"""From words to plans: host facts, compose, fold, check, ask, plan; for every verb that takes a recipe."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from recipe_runner.compose import Composed, Point, Space, compose, points
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.facts import gather, host
from recipe_runner.hardware import Host, match, profile_facts
from recipe_runner.layers import fold
from recipe_runner.plan import Plan, plan
from recipe_runner.schema import Request, request

HOSTLESS = "attach"  # the engine that needs no hardware


def plans(words: list[str], config_dirs: Iterable[Path], *, sweep: bool, launching: bool) -> list[Plan]:
    """The plan of each point.

    Raises:
        RecipeError: bad input, with the faults of every point, each once.

    """
    space = Space(tuple(config_dirs))
    here = host()
    made: list[Plan] = []
    faults: dict[Fault, None] = {}
    for point in points(words, sweep=sweep):
        try:
            made.append(_plan(point, space, here, launching=launching))
        except RecipeError as exc:
            faults |= dict.fromkeys(exc.faults)
    if faults:
        raise RecipeError(*faults)
    return made


def requested(words: list[str], config_dirs: Iterable[Path]) -> tuple[Composed, Request]:
    """One point, composed and checked, but not planned."""
    space = Space(tuple(config_dirs))
    composed = compose(_resolved(points(words)[0], space, host()), space)
    return composed, request(fold(composed.layers), composed.choices, composed.recipe_file)


def _plan(point: Point, space: Space, here: Host, *, launching: bool) -> Plan:
    composed = compose(_resolved(point, space, here), space)
    asked = request(fold(composed.layers), composed.choices, composed.recipe_file)
    made = plan(asked, gather(asked, here, launching=launching))
    return replace(made, warnings=(*composed.warnings, *made.warnings))


def _resolved(point: Point, space: Space, here: Host) -> Point:
    """The point with `hardware=auto` replaced by a profile's name."""
    if point.choices.get("hardware", "auto") != "auto":
        return point
    if point.choices.get("engine") == HOSTLESS:
        return replace(point, choices={**point.choices, "hardware": "host"})
    profiles = {name: profile_facts(name, space.conf) for name in space.names("hardware")} if here.gpus else {}
    return replace(point, choices={**point.choices, "hardware": match(here, profiles)})
