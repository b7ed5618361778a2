"""Choices become layers: Hydra composes the groups, and what was typed is the last layer of the fold.

Uses Hydra's parser and Compose API instead of `hydra.main`: all faults are found at once, a sweep composes once for
each distinct set of choices, and no typed value enters Hydra.
"""

import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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

from recipe_runner.composition import added, misread
from recipe_runner.composition.layers import Folded, fold
from recipe_runner.composition.lock import Lock, dotted, merged, of
from recipe_runner.composition.meant import GROUPS
from recipe_runner.composition.sources import lineage, register
from recipe_runner.composition.space import DEFAULTS, Space, unknown_key
from recipe_runner.composition.stack import for_nothing, nested, stack
from recipe_runner.composition.whose import alone
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import shipped
from recipe_runner.plugins import packages

NEEDED: Final = ("recipe", "hardware", "engine")  # taken away, they are chosen as if they had not been named
MOST_POINTS: Final = 10_000
Assignment = tuple[str, Any]


@dataclass(frozen=True)
class Point:
    """One thing to run: the choices that Hydra composes, and the values that were typed (dotted key → value).

    `swept` are those of both that differ between the points of a sweep.
    """

    choices: dict[str, str]
    typed: dict[str, Any]
    swept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Composed:
    """What is under all that is typed; the names chosen; the recipe's file, and its SHA-256; what a person should know.

    `recipe` is what the recipe says with all that it inherits; `files` are those that all this was read from, `family`
    the recipe's and its parents'. Where the recipe is a `lock`, its layer is the last below; `under_lock` are the
    values without it.
    `profiles` are the names of the hardware that could have been chosen.
    """

    below: Folded
    choices: dict[str, str]
    recipe_file: Path
    sha256: str
    recipe: Mapping[str, Any]
    files: tuple[Path, ...]
    family: tuple[Path, ...]
    lock: Lock | None
    under_lock: Mapping[str, Any]
    profiles: frozenset[str]
    warnings: tuple[str, ...]
    faults: tuple[Fault, ...]

    def overrides(self, typed: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was typed, now and for the lock, as if all of it had been typed now."""
        if self.lock is None:
            return typed
        before = self.lock.block.overrides
        return dotted(merged(self.under_lock, nested(before), nested(typed))) if typed else before


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
    swept = dict.fromkeys(axis[0][0] for axis in axes if len(axis) > 1)
    return [_point(combination, swept) for combination in itertools.product(*axes)], faults


def _axis(word: str, space: Space, *, sweep: bool) -> Iterator[Assignment]:
    """Each assignment that one override stands for; a plain one stands for one."""
    if "=" not in word and (fault := space.bare(word)):
        raise RecipeError(fault)
    override = _parse(word)
    key = override.key_or_group
    if override.package is not None:
        raise RecipeError(Fault(word, "a package cannot be chosen", f"write {key}=…"))
    removes = override.type == OverrideType.DEL
    if not key:
        raise RecipeError(Fault(word, "there is no key before the =", "write key=value"))
    if fault := unknown_key(key, "null" if removes else word.partition("=")[2]):
        raise RecipeError(fault)
    if not override.is_sweep_override():
        yield key, None if removes else override.value()
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
        yield from ((key, name) for name in found)
        return
    if isinstance(value, RangeSweep) and _length(value) > MOST_POINTS:
        raise RecipeError(_too_many(key, f"{word} has more points than can be run"))
    numbers = isinstance(value, RangeSweep)  # which are what they are; others are words still
    try:
        items = list(override.sweep_iterator(transformer=Transformer.identity if numbers else Transformer.encode))
    except OmegaConfBaseException as exc:
        raise RecipeError(Fault(key, f"{word} is a sweep of sweeps", "list them: a,b or range(1,5)")) from exc
    except HydraException as exc:
        raise RecipeError(Fault(key, f"{word} has no points to run", "list them: a,b or range(1,5)")) from exc
    yield from ((key, item if numbers else _parse(f"{key}={item}").value()) for item in items)


def _length(sweep: RangeSweep) -> float:
    start, stop = sweep.start or 0, sweep.stop or 0
    return abs((stop - start) / sweep.step) if sweep.step else math.inf


def _too_many(where: str, what: str) -> Fault:
    return Fault(where, what, f"sweep over at most {MOST_POINTS:,} points at once")


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _parse(word: str) -> Override:
    try:
        return _parser().parse_override(word)
    except HydraException as exc:
        raise RecipeError(Fault(word, *misread.told(word))) from exc
    except RecursionError as exc:
        raise RecipeError(Fault(word, "it is nested too deeply", "write it more simply")) from exc


def _point(assignments: tuple[Assignment, ...], swept: Iterable[str]) -> Point:
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
    return Point(choices, typed, {key: choices.get(key, typed.get(key)) for key in swept})


def compose(chosen: Mapping[str, str], space: Space) -> Composed:
    """What choices come to; for one that does not exist its default is composed, and a fault kept.

    Raises:
        RecipeError: there is no such recipe, or a file cannot be read.

    """
    choices = {**DEFAULTS, **chosen}
    lock = of(chosen, space)
    faults = dict(space.unknown(choices))
    if lock:
        faults = {group: lock.blamed(group, choices.get(group), fault) for group, fault in faults.items()}
    if fatal := faults.keys() - DEFAULTS.keys():
        raise RecipeError(*(faults[group] for group in faults if group in fatal or group in DEFAULTS))
    choices |= {group: DEFAULTS[group] for group in faults}
    theirs = (space.file(group, choices[group]) for group in added.GROUPS)
    added.check(space.config_dirs, filter(packages.origin, theirs))
    recipe_file, folders = space.recipe(choices["recipe"])
    choices["recipe"] = recipe_file.stem
    groups: dict[str, Iterable[str]] = {group: space.names(group) for group in ("validation", "benchmark", "hardware")}
    family = lineage(recipe_file.stem, folders, groups)
    named = {group: name for group, name in choices.items() if group != "engine" or group in chosen}
    config, taken = _hydra(tuple(sorted(named.items())), tuple(space.conf[:-1]), tuple(folders))
    choices |= {group: taken[group] for group in ("engine", "hardware")}
    layers = list(stack(config, choices, space))
    bare = fold(layers)
    return Composed(
        below=bare.under(lock.layer(nested(lock.block.overrides))) if lock else bare,
        choices={**choices, "recipe": lock.block.recipe} if lock else choices,
        recipe_file=recipe_file,
        sha256=hashlib.sha256(recipe_file.read_bytes()).hexdigest(),
        recipe=alone(config["recipe"], family),
        files=tuple(sorted({*family, *(file for layer in layers for file in layer.files())})),
        family=tuple(family),
        lock=lock,
        under_lock=bare.values,
        profiles=frozenset(groups["hardware"]),
        warnings=(*space.shadow_notes(recipe_file), *for_nothing(space.names("engine"))),
        faults=tuple(faults.values()),
    )


def _quotable(name: str) -> str:
    """A name as it stands between quotes in Hydra's grammar."""
    return re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), name)


@functools.cache
def _hydra(
    choices: tuple[tuple[str, str], ...], config_dirs: tuple[Path, ...], recipe_folders: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What Hydra composes from the choices, as plain data, and the choices it took."""
    register(list(config_dirs), list(recipe_folders))
    overrides = [f"{group}='{_quotable(name)}'" for group, name in choices]
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
