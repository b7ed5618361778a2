"""Choices become layers: Hydra composes the groups, and what was typed is the last layer of the fold.

Uses Hydra's parser and Compose API instead of `hydra.main`: all faults are found at once, a sweep composes once for
each distinct set of choices, and no typed value enters Hydra.
"""

import functools
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recipe_runner.composition import added, library
from recipe_runner.composition.layers import Layer
from recipe_runner.composition.sources import lineage, register
from recipe_runner.composition.space import Space
from recipe_runner.composition.stack import stack
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import shipped

GROUPS: Final = ("recipe", "hardware", "engine", "parallelism", "validation", "benchmark")
NEEDED: Final = ("recipe", "hardware", "engine")  # taken away, they are chosen as if they had not been named
SECTIONS: Final = (
    *("model", "parallelism", "serve", "env", "validation", "benchmark"),
    *("engine", "hardware", "preflight", "timeouts", "report"),
)
DEFAULTS: Final = {
    **dict.fromkeys(("parallelism", "validation", "benchmark"), "recipe"),
    **{"hardware": "host", "engine": "vllm"},
}
MOST_POINTS: Final = 10_000
Assignment = tuple[str, Any]


@dataclass(frozen=True)
class Point:
    """One thing to run: the choices that Hydra composes, and the values that were typed (dotted key → value)."""

    choices: dict[str, str]
    typed: dict[str, Any]


@dataclass(frozen=True)
class Composed:
    """The layers of one point, lowest first; the names chosen; the recipe's file; what a person should know."""

    layers: tuple[Layer, ...]
    choices: dict[str, str]
    recipe_file: Path
    warnings: tuple[str, ...]
    faults: tuple[Fault, ...]


def points(words: list[str], space: Space, *, sweep: bool = False) -> tuple[list[Point], list[Fault]]:
    """Parse overrides in Hydra's grammar; with `sweep`, the cross product of all sweeps in them.

    The faults are of the words that could not be read; the points are made of the others.
    """
    faults: list[Fault] = []
    axes: list[list[Assignment]] = []
    for word in words:
        try:
            axes.append(list(_axis(word, space, sweep=sweep)))
        except RecipeError as exc:
            faults += exc.faults
    if (count := math.prod(len(axis) for axis in axes)) > MOST_POINTS:
        raise RecipeError(_too_many("-m", f"the sweeps have {count:,} points"))
    return [_point(combination) for combination in itertools.product(*axes)], faults


def _axis(word: str, space: Space, *, sweep: bool) -> Iterator[Assignment]:
    """Each assignment that one override stands for; a plain one stands for one."""
    if "=" not in word and word in library.names(library.folders(space.config_dirs)):
        raise RecipeError(Fault("recipe", f"{word} is not key=value", f"write recipe={word}"))
    override = _parse(word)
    key = override.key_or_group
    if override.package is not None:
        raise RecipeError(Fault(word, "a package cannot be chosen", f"write {key}=…"))
    if not override.is_sweep_override():
        yield _assign(key, None if override.type == OverrideType.DEL else override.value())
        return
    if not sweep:
        raise RecipeError(Fault(key, f"{word} is a sweep", "add -m to run each of its points"))
    value = override.value()
    if isinstance(value, Glob):
        if key not in GROUPS:
            raise RecipeError(Fault(key, "glob takes the names of choices", f"use it with {', '.join(GROUPS)}"))
        found = value.filter(sorted(space.names(key)))
        if not found:
            raise RecipeError(Fault(key, f"{word} matches nothing", choose("", space.names(key))))
        yield from (_assign(key, name) for name in found)
        return
    if isinstance(value, RangeSweep) and _length(value) > MOST_POINTS:
        raise RecipeError(_too_many(key, f"{word} has more points than can be run"))
    try:
        items = list(override.sweep_iterator(transformer=Transformer.encode))
    except OmegaConfBaseException as exc:
        raise RecipeError(Fault(key, f"{word} is a sweep of sweeps", "list them: a,b or range(1,5)")) from exc
    except HydraException as exc:
        raise RecipeError(Fault(key, f"{word} has no points to run", "list them: a,b or range(1,5)")) from exc
    yield from (_assign(key, _parse(f"{key}={item}").value()) for item in items)


def _length(sweep: RangeSweep) -> float:
    start, stop = sweep.start or 0, sweep.stop or 0
    return abs((stop - start) / sweep.step) if sweep.step else math.inf


def _too_many(where: str, what: str) -> Fault:
    return Fault(where, what, f"sweep over at most {MOST_POINTS:,} points at once")


def _parse(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, RecursionError) as exc:
        reason = str(exc).splitlines()[0].split("See https")[0].strip()
        raise RecipeError(
            Fault(word, f"this is not an override: {reason}", "write key=value, quoted where needed")
        ) from exc


def _assign(key: str, value: Any) -> Assignment:
    section = key.partition(".")[0]
    if not key:
        raise RecipeError(Fault(f"={value}", "this is not an override: there is no key", "write key=value"))
    if key not in GROUPS and section not in SECTIONS:
        raise RecipeError(Fault(key, f"unknown key {section}", choose(section, {*SECTIONS, *GROUPS})))
    return key, value


def _point(assignments: tuple[Assignment, ...]) -> Point:
    """A group by its name alone is a choice, everything else is a value; a later word wins, and `null` takes away."""
    choices: dict[str, str] = {}
    typed: dict[str, Any] = {}
    for key, value in assignments:
        if key in GROUPS and not isinstance(value, dict | None):
            choices[key] = str(value)
            typed.pop(key, None)
        elif key in NEEDED and value is None:
            choices.pop(key, None)
        else:
            typed[key] = value
    return Point(choices, typed)


def compose(point: Point, space: Space) -> Composed:
    """The layers of one point; for a choice that does not exist its default is composed, and a fault kept.

    Raises:
        RecipeError: there is no such recipe, or a file cannot be read.

    """
    choices = {**DEFAULTS, **point.choices}
    faults = dict(space.unknown(choices))
    if fatal := faults.keys() - DEFAULTS.keys():
        raise RecipeError(*(faults[group] for group in faults if group in fatal or group in DEFAULTS))
    choices |= {group: DEFAULTS[group] for group in faults}
    added.check(space.config_dirs)
    recipe_file, folders = space.recipe(choices["recipe"])
    choices["recipe"] = recipe_file.stem
    lineage(recipe_file.stem, folders, {group: space.names(group) for group in ("validation", "benchmark", "hardware")})
    named = {group: name for group, name in choices.items() if group != "engine" or group in point.choices}
    config, taken = _hydra(tuple(sorted(named.items())), space.config_dirs, tuple(folders))
    choices |= {group: taken[group] for group in ("engine", "hardware")}
    warnings = () if (note := space.shadow_note(recipe_file)) is None else (note,)
    return Composed(
        tuple(stack(config, choices, point.typed, space)), choices, recipe_file, warnings, tuple(faults.values())
    )


@functools.cache
def _hydra(
    choices: tuple[tuple[str, str], ...], config_dirs: tuple[Path, ...], recipe_folders: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What Hydra composes from the choices, as plain data, and the choices it took."""
    register(list(config_dirs), list(recipe_folders))
    quoted = {group: name.replace("'", "\\'") for group, name in choices}
    overrides = [f"{group}='{name}'" for group, name in quoted.items()]
    try:
        with initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"):
            config = hydra_compose("config", overrides, return_hydra_config=True)
        taken = OmegaConf.to_container(config.hydra.runtime.choices)
        plain = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), resolve=True
        )
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, RecursionError) as exc:
        what = " ".join(re.split(r"\n +full_key|\nConfig search path", str(exc))[0].split()).rstrip(".")
        raise RecipeError(Fault("configuration", what, "correct the file that it names")) from exc
    assert isinstance(plain, dict)
    assert isinstance(taken, dict)
    return {str(k): v for k, v in plain.items()}, {str(k): str(v) for k, v in taken.items()}
