"""Choices become layers: Hydra composes the groups, and what was typed is the last layer of the fold.

Uses Hydra's parser and Compose API instead of `hydra.main`: all faults are found at once, a sweep composes once for
each distinct set of choices, and no typed value enters Hydra.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, Transformer
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recipe_runner import library
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.layers import TYPED, Layer
from recipe_runner.paths import personal_config, shipped, short
from recipe_runner.sources import lineage, register
from recipe_runner.yamlfile import read

GROUPS: Final = ("recipe", "hardware", "engine", "parallelism", "validation", "benchmark")
SECTIONS: Final = (
    *("model", "parallelism", "serve", "env", "validation", "benchmark"),
    *("engine", "hardware", "preflight", "timeouts", "report"),
)
PERSONAL: Final = ("engine", "preflight", "timeouts", "report")


@dataclass(frozen=True)
class Point:
    """One thing to run: the choices that Hydra composes, and the values that were typed (dotted key → value)."""

    choices: dict[str, str]
    typed: dict[str, Any]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Composed:
    """The layers of one point, lowest first; the names chosen; the recipe's file; what a person should know."""

    layers: tuple[Layer, ...]
    choices: dict[str, str]
    recipe_file: Path
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """Where choices are looked for: the person's folders before ours."""

    config_dirs: tuple[Path, ...] = ()

    @functools.cached_property
    def recipes(self) -> list[Path]:
        return library.folders(self.config_dirs)

    def names(self, group: str) -> set[str]:
        if group == "recipe":
            return set(library.names(self.recipes))
        return {file.stem for folder in self.conf for file in folder.glob(f"{group}/*.yaml")}

    @property
    def conf(self) -> list[Path]:
        return [*self.config_dirs, shipped("conf")]

    def file(self, group: str, name: str) -> Path:
        return next(f for f in (folder / group / f"{name}.yaml" for folder in self.conf) if f.is_file())


def points(words: list[str], *, sweep: bool = False) -> list[Point]:
    """Parse overrides in Hydra's grammar; with `sweep`, the cross product of all sweeps in them."""
    faults: list[Fault] = []
    axes: list[list[tuple[str, str, Any, str]]] = []
    for word in words:
        try:
            axes.append(list(_axis(word, sweep=sweep)))
        except RecipeError as exc:
            faults += exc.faults
    if faults:
        raise RecipeError(*faults)
    return [_point(combination) for combination in itertools.product(*axes)]


def _axis(word: str, *, sweep: bool) -> Iterator[tuple[str, str, Any, str]]:
    """Each (kind, key, value, word) that one override stands for; a plain one stands for one."""
    override = _parse(word)
    key = override.key_or_group
    if override.package is not None:
        raise RecipeError(Fault(word, "a package cannot be chosen", f"write {key}=…"))
    if not override.is_sweep_override():
        yield _assign(key, None if override.type == OverrideType.DEL else override.value(), word)
        return
    if not sweep:
        raise RecipeError(Fault(key, f"{word} is a sweep", "add -m to run each of its points"))
    value = override.value()
    if isinstance(value, Glob):
        found = value.filter(sorted(Space().names(key))) if key in GROUPS else []
        if not found:
            raise RecipeError(Fault(key, f"{word} matches nothing", choose("", Space().names(key))))
        yield from (_assign(key, name, f"{key}={name}") for name in found)
        return
    for item in override.sweep_iterator(transformer=Transformer.encode):
        yield _assign(key, _parse(f"{key}={item}").value(), f"{key}={item}")


def _parse(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as exc:
        reason = str(exc).splitlines()[0].split("See https")[0].strip()
        raise RecipeError(Fault(word, f"this is not an override: {reason}", "write key=value, quoted where needed")) from exc


def _assign(key: str, value: Any, word: str) -> tuple[str, str, Any, str]:
    if key in GROUPS and not isinstance(value, dict):
        return "choice", key, value, word
    section = key.partition(".")[0]
    if section not in SECTIONS:
        raise RecipeError(Fault(key, f"unknown key {section}", choose(section, {*SECTIONS, *GROUPS})))
    return "typed", key, value, word


def _point(assignments: tuple[tuple[str, str, Any, str], ...]) -> Point:
    point = Point({}, {}, tuple(word for *_, word in assignments))
    for kind, key, value, _ in assignments:
        if kind == "typed":
            point.typed[key] = value
        elif value is None:
            point.choices.pop(key, None)
        else:
            point.choices[key] = str(value)
    return point


def compose(point: Point, space: Space) -> Composed:
    """The layers of one point.

    Raises:
        RecipeError: a choice that does not exist, a file that cannot be read; all of them at once.

    """
    choices = {"parallelism": "recipe", "validation": "recipe", "benchmark": "recipe"} | point.choices
    point = replace(point, choices=choices)
    faults = list(_unknown(choices, space))
    if faults:
        raise RecipeError(*faults)
    recipe_file, folders = _recipe(choices["recipe"], space)
    choices["recipe"] = recipe_file.stem
    lineage(recipe_file.stem, folders, {group: space.names(group) for group in ("validation", "benchmark")})
    config, taken = _hydra(tuple(sorted(choices.items())), space.config_dirs, tuple(folders))
    choices |= {group: taken[group] for group in ("engine", "hardware")}
    hidden = library.shadowed(recipe_file.stem, space.recipes)
    warnings = () if hidden is None or recipe_file == hidden else (_shadow_note(recipe_file),)
    return Composed((*_layers(config, choices, space), _typed(point)), choices, recipe_file, warnings)


def _unknown(choices: dict[str, str], space: Space) -> Iterator[Fault]:
    if "recipe" not in choices:
        yield Fault("recipe", "no recipe was named", choose("", space.names("recipe")))
    for folder in space.config_dirs:
        if not folder.is_dir():
            yield Fault("--config-dir", f"there is no folder {folder}", "check the path")
        elif (folder / "config.yaml").exists():
            do = f"put defaults into {short(personal_config())}, and choices into {folder}/hardware/NAME.yaml and the like"
            yield Fault(short(folder / "config.yaml"), "a config.yaml here would replace our own", do)
    for group, name in choices.items():
        if group == "recipe" and (name.endswith(".yaml") or "/" in name):
            if not Path(name).is_file():
                yield Fault("recipe", f"there is no file {name}", "check the path")
        elif name not in space.names(group):
            yield Fault(group, f"there is no {group} {name}", choose(name, space.names(group)))


def _recipe(name: str, space: Space) -> tuple[Path, list[Path]]:
    """The recipe's file, and the folders in which it and what it inherits from are looked for."""
    if name.endswith(".yaml") or "/" in name:
        file = Path(name).resolve()
        return file, [file.parent, *(folder for folder in space.recipes if folder != file.parent)]
    file = library.names(space.recipes)[name]
    return file, space.recipes


def _shadow_note(file: Path) -> str:
    return f"recipe {file.stem}: {short(file)} is used instead of the shipped recipe of that name"


@functools.cache
def _hydra(
    choices: tuple[tuple[str, str], ...], config_dirs: tuple[Path, ...], recipe_folders: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What Hydra composes from the choices, as plain data, and the choices it took."""
    register(list(config_dirs), list(recipe_folders))
    overrides = [f"{group}='{name}'" for group, name in choices]
    try:
        with initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"):
            config = hydra_compose("config", overrides, return_hydra_config=True)
        taken = OmegaConf.to_container(config.hydra.runtime.choices)
        plain = OmegaConf.to_container(OmegaConf.masked_copy(config, [k for k in config if k != "hydra"]), resolve=True)
    except (HydraException, OmegaConfBaseException) as exc:
        what = str(exc).strip().splitlines()[0]
        raise RecipeError(Fault("configuration", what, "correct the file that it names")) from exc
    assert isinstance(plain, dict)
    assert isinstance(taken, dict)
    return {str(k): v for k, v in plain.items()}, {str(k): str(v) for k, v in taken.items()}


def _layers(config: dict[str, Any], choices: dict[str, str], space: Space) -> Iterator[Layer]:
    recipe = dict(config["recipe"])
    lines = recipe.pop("origin")
    profiles = recipe.pop("profiles", None) or {}
    engine = dict(config["engine"])
    engine_file = space.file("engine", choices["engine"])
    defaults = {section: engine.pop(section) for section in ("serve", "env") if section in engine}
    own = {"engine": engine, "hardware": config["hardware"] or {}}
    own |= {section: config[section] for section in ("preflight", "timeouts", "report")}
    yield Layer("configuration", own, str(shipped("conf") / "config.yaml"), _group_lines(choices, space))
    yield from _personal(choices["engine"])
    yield Layer("engine", defaults, str(engine_file), _lines(engine_file))
    profile = dict(profiles.get(choices["hardware"]) or {})
    presets = [group for group in ("parallelism", "validation", "benchmark") if choices[group] != "recipe"]
    for group in presets:
        recipe.pop(group, None)
        profile.pop(group, None)
        file = space.file(group, choices[group])
        yield Layer("preset", {group: config[group] or {}}, str(file), _lines(file, group))
    recipe_file = next(iter(lines.values()), choices["recipe"]).rpartition(":")[0]
    yield Layer("recipe", recipe, recipe_file, lines)
    prefix = f"profiles.{choices['hardware']}."
    inner = {key.removeprefix(prefix): line for key, line in lines.items() if key.startswith(prefix)}
    yield Layer("profile", profile, recipe_file, inner)


def _personal(engine: str) -> Iterator[Layer]:
    """`~/.config/recipe-runner/config.yaml`; under `engine:` stand settings by the engine's name."""
    file = personal_config()
    if not file.is_file():
        return
    values, lines = read(file)
    faults = [
        Fault(f"{short(file)}:{lines[key,]}", f"unknown section {key}", choose(key, PERSONAL))
        for key in values.keys() - set(PERSONAL)
    ]
    if faults:
        raise RecipeError(*faults)
    by_line = {".".join(at): f"{file}:{line}" for at, line in lines.items()}
    if "engine" in values:
        values["engine"] = (values["engine"] or {}).get(engine) or {}
        prefix = f"engine.{engine}."
        by_line |= {f"engine.{k.removeprefix(prefix)}": v for k, v in by_line.items() if k.startswith(prefix)}
    yield Layer("personal", values, str(file), by_line)


def _typed(point: Point) -> Layer:
    values: dict[str, Any] = {}
    for key, value in point.typed.items():
        *parents, last = key.split(".")
        at = values
        for parent in parents:
            at = at.setdefault(parent, {})
            if not isinstance(at, dict):
                raise RecipeError(Fault(key, f"{parent} was given a value of its own before", "give one of the two"))
        at[last] = value
    return Layer(TYPED, values, TYPED)


def _group_lines(choices: dict[str, str], space: Space) -> dict[str, str]:
    lines = _lines(shipped("conf") / "config.yaml")
    for group in ("engine", "hardware"):
        lines |= _lines(space.file(group, choices[group]), group)
    return lines


def _lines(file: Path, prefix: str = "") -> dict[str, str]:
    head = (prefix,) if prefix else ()
    whole = {prefix: str(file)} if prefix else {}
    return whole | {".".join((*head, *at)): f"{file}:{line}" for at, line in read(file)[1].items()}
