"""A lock, written: what a run was made of, in one file that repeats it; and what of that is different now."""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from recipe_runner.api import Asset, Plugin
from recipe_runner.composition.lock import FORMAT
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import Loader
from recipe_runner.evidence.files import sha256
from recipe_runner.figures.commands import COMMAND, flags
from recipe_runner.host.environment import describe
from recipe_runner.paths import personal_config, short, there
from recipe_runner.plan import Plan
from recipe_runner.serialize import one_line

FILE: Final = "recipe.lock.yaml"
HEAD: Final = "# What a run was made of; this repeats it: recipe-run recipe=./{}\n"
ORDER: Final = ("summary", "model", "parallelism", "serve", "env", "validation", "benchmark", "expected", "diagnosis")
LARGE: Final = 16 * 2**20  # files of a model larger than this are its weights, and are not read for the lock
WORDS: Final[Mapping[str, str]] = {  # what is compared; of commits and recipes `files` says more
    **{"recipe_runner": "recipe-runner", "vllm": "vLLM", "torch": "torch", "driver": "the GPU driver", "gpus": "GPUs"},
    **{"cpu": "the CPU", "memory_gib": "memory in GiB", "platform": "the platform", "python": "Python"},
    "packages": "the packages in use",
}


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """PyYAML's safe dumper, without aliases; it quotes what YAML 1.1 or 1.2 would take for something else than text."""

    yaml_implicit_resolvers = {
        first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *Loader.yaml_implicit_resolvers.get(first, ())]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Loader.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 — PyYAML's signature
        return True


def _text(dumper: Any, value: str) -> yaml.Node:
    """A text of several lines as a person would write it, where YAML allows that."""
    value = value.encode("utf-8", "replace").decode()  # halves of surrogate pairs, which no file of text can hold
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)
    return node


Dumper.add_representer(str, _text)


def write(plan: Plan, environment: Mapping[str, Any], folder: Path) -> Path:
    """Write the lock of a run into its folder."""
    file = folder / FILE
    text = yaml.dump(_plain(document(plan, environment)), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(HEAD.format(FILE) + text, encoding="utf-8")
    return file


def document(plan: Plan, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with all that it inherits, and the section `lock`."""
    request = plan.request
    recipe, before = request.composed.recipe, request.composed.lock
    rest = [key for key in recipe if key not in ORDER]
    choices = {group: name for group, name in sorted(request.choices.items()) if group != "recipe"}
    lock = {
        "format": FORMAT,
        "recipe": request.recipe,
        "file": before.block.file if before else short(request.recipe_file),
        "choices": choices,
        "overrides": request.typed,
        "files": (before.block.files if before else {}) | _hashes(plan),
        "environment": {**environment, "variables": dict(plan.facts.environ)},
        "argv": [list(command.argv) for command in plan.commands],
    }
    return {**{key: recipe[key] for key in (*ORDER, *rest) if key in recipe}, "lock": lock}


def _hashes(plan: Plan) -> dict[str, str]:
    """Each file that the run was composed from, as a person would write it, with its SHA-256."""
    named = sorted((_name(path), path) for path in set(_files(plan)))
    return {name: sha for name, path in named if (sha := _sha256(path))}


def _sha256(path: Path) -> str | None:
    """The digest of a file that is one, and that we may read."""
    try:
        return sha256(path) if path.is_file() else None
    except OSError:
        return None


def _files(plan: Plan) -> Iterator[Path]:
    request = plan.request
    lock = request.composed.lock
    yield from (file for file in request.composed.files if lock is None or file != lock.file)
    for plugin in (request.engine, *request.checks.values(), *request.benchmarks.values(), *request.reports.values()):
        yield from _of_plugin(plugin)
    if request.model.path is not None:
        within = Path(request.model.path)
        yield from (file for file in within.glob("*") if file.is_file() and file.stat().st_size <= LARGE)


def _of_plugin(plugin: Plugin) -> Iterator[Path]:
    """The files that a recipe brings along for a plugin, its module among them."""
    cls = type(plugin)
    for name, field in cls.model_fields.items():
        value = getattr(plugin, name)
        is_asset = get_args(Asset)[1] in field.metadata or Asset in get_args(field.annotation)
        if is_asset and isinstance(value, str) and Path(value).is_file():
            yield Path(value)
    if ":" in plugin.uses:
        module = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if module:
            yield Path(module)


def _name(path: Path) -> str:
    name = short(path)
    home = Path.home()
    return f"~/{Path(name).relative_to(home)}" if Path(name).is_relative_to(home) else name


def _plain(value: Any) -> Any:
    """As YAML holds it: mappings with keys of text, lists."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else json.dumps(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def differences(plan: Plan, space: Space) -> Iterator[str]:
    """What is not as it was when the lock was written that this plan repeats; nothing for any other plan."""
    lock = plan.request.composed.lock
    if lock is None:
        return
    then, now = lock.block, describe(plan)
    if plan.attached and not plan.facts.launching:
        del now["vllm"]  # the server was not asked yet
    yield from _different(_environment(then.environment, now), _environment(now, then.environment))
    variables = then.environment.get("variables")
    if isinstance(variables, Mapping) and then.argv and plan.commands:  # an attached server has them from elsewhere
        yield from _different(_texts(variables), _texts(plan.facts.environ))
    yield from _changed(then.files, _hashes(plan), space)
    for before, command in zip(then.argv, plan.commands, strict=False):
        yield from _different(_flags(before, plan), _flags(command.argv, plan))


def _environment(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """What is known of an environment, in words, as far as it is known of the other as well."""
    both = [key for key in WORDS if one.get(key) is not None and other.get(key) is not None]
    return _texts({WORDS[key]: one[key] for key in both})


def _changed(then: Mapping[str, str], now: Mapping[str, str], space: Space) -> Iterator[str]:
    """The files that are not what they were."""
    for name, sha in then.items():
        path = None if name in now else _readable(name, space)
        here = now.get(name) or (_sha256(path) if path else None)
        if path and not there(path):
            yield f"{one_line(name)} is not there any more"
        elif here not in (None, sha):
            yield f"{one_line(name)} has changed since"
    own = _name(personal_config())  # the one file that counts without being named
    if own in now and own not in then:
        yield f"{one_line(own)} was not there"


def _readable(name: str, space: Space) -> Path | None:
    """The file of that name, where a lock may have us look: among recipes, choices, a person's own defaults."""
    found: list[Path] = []
    for root in (folder.resolve() for folder in (*space.recipes, *space.conf, personal_config().parent)):
        for path in (Path.home() / name.removeprefix("~/"), Path(name), root.parent / name):
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # a name that is none
                found += [path] if path.resolve().is_relative_to(root) else []
    return next((path for path in found if there(path)), found[0] if found else None)


def _different(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys((*then, *now)):
        if then.get(key) != now.get(key):
            was, here = (one_line(found.get(key, "not set")) for found in (then, now))
            yield f"{one_line(key)} was {was}, here is {here}"


def _flags(argv: Iterable[str], plan: Plan) -> dict[str, str]:
    """The program with its first words, and each flag with its values; not the port, where any would do."""
    found = flags(argv, plan.target.model)
    told = {"the command": found.pop(COMMAND), **found}
    if plan.request.address.port == 0:
        told.pop("--port", None)
    return {flag: " ".join(values) or "on" for flag, values in told.items()}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        for key, value in values.items()
    }
