"""From what Hydra composed to layers, lowest first: configuration, personal, engine, preset, recipe, profile, typed."""

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from recipe_runner.composition.layers import TYPED, Layer
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import places, read
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import personal_config, shipped, short

PERSONAL: Final = ("engine", "preflight", "timeouts", "report")
PRESETS: Final = ("parallelism", "validation", "benchmark")


def stack(config: Mapping[str, Any], choices: Mapping[str, str], space: Space) -> Iterator[Layer]:
    """The layers under what is typed, from what Hydra composed of the choices."""
    recipe = dict(config["recipe"])
    lines = recipe.pop("origin")
    profiles = recipe.pop("profiles", None) or {}
    engine = dict(config["engine"])
    engine_file = space.file("engine", choices["engine"])
    defaults = {section: engine.pop(section) for section in ("serve", "env") if section in engine}
    own = {"engine": engine, "hardware": config["hardware"] or {}}
    own |= {section: config[section] for section in ("preflight", "timeouts", "report")}
    yield Layer("configuration", own, str(shipped("conf") / "config.yaml"), _group_lines(choices, space))
    yield from personal(choices["engine"])
    yield Layer("engine", defaults, str(engine_file), places(engine_file))
    profile = dict(profiles.get(choices["hardware"]) or {})
    for group in (group for group in PRESETS if choices[group] != "recipe"):
        recipe.pop(group, None)
        profile.pop(group, None)
        file = space.file(group, choices[group])
        yield Layer("preset", {group: config[group] or {}}, str(file), places(file, group))
    recipe_file = next(iter(lines.values()), choices["recipe"]).rpartition(":")[0]
    yield Layer("recipe", recipe, recipe_file, lines)
    prefix = f"profiles.{choices['hardware']}."
    inner = {key.removeprefix(prefix): line for key, line in lines.items() if key.startswith(prefix)}
    yield Layer("profile", profile, recipe_file, inner)


def typed(values: Mapping[str, Any]) -> Layer:
    """The last layer: what was typed."""
    return Layer(TYPED, nested(values), TYPED)


def personal(engine: str) -> Iterator[Layer]:
    """`~/.config/recipe-runner/config.yaml`; under `engine:` stand settings by the engine's name.

    Raises:
        RecipeError: it cannot be read, or has sections that nothing knows.

    """
    file = personal_config()
    if not file.is_file():
        return
    values, lines = read(file)
    faults = [
        Fault(f"{short(file)}:{lines[key,]}", f"unknown section {key}", choose(key, PERSONAL))
        for key in values
        if key not in PERSONAL
    ]
    engines = values.get("engine") or {}
    if not isinstance(engines, dict) or not all(isinstance(block, dict | None) for block in engines.values()):
        do = "give each engine's settings under its name: `engine: {vllm: {command: …}}`"
        faults.append(Fault(f"{short(file)}:{lines['engine',]}", "this does not say whose settings these are", do))
    if faults:
        raise RecipeError(*faults)
    by_line = {".".join(at): f"{file}:{line}" for at, line in lines.items()}
    if "engine" in values:
        values["engine"] = engines.get(engine) or {}
        prefix = f"engine.{engine}."
        by_line |= {f"engine.{k.removeprefix(prefix)}": v for k, v in by_line.items() if k.startswith(prefix)}
    given = {key: value for key, value in values.items() if value is not None}  # an empty section takes nothing away
    yield Layer("personal", given, str(file), by_line)


def for_nothing(existing: Collection[str]) -> Iterator[str]:
    """What to say of settings of engines that are not there: another --config-dir, or package, may have them."""
    file = personal_config()
    values, lines = read(file) if file.is_file() else ({}, {})
    engines = values.get("engine")
    for name in engines if isinstance(engines, dict) else ():
        if name not in existing:
            at = f"{short(file)}:{lines['engine', name]}"
            yield f"{at}: there is no engine {name} that could have these settings; {choose(name, existing)}"


def nested(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as mappings."""
    values: dict[str, Any] = {}
    for key, value in typed.items():
        *parents, last = key.split(".")
        at = values
        for parent in parents:
            at = at.setdefault(parent, {})
            if not isinstance(at, dict):
                raise RecipeError(Fault(key, f"{parent} was given a value of its own before", "give one of the two"))
        at[last] = copy.deepcopy(value)  # a later key may add to it
    return values


def _group_lines(choices: Mapping[str, str], space: Space) -> dict[str, str]:
    lines = places(shipped("conf") / "config.yaml")
    for group in ("engine", "hardware"):
        lines |= places(space.file(group, choices[group]), group)
    return lines
