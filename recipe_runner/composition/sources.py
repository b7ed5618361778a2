"""Recipes as a Hydra config source: `recipes://` looks through folders of recipe files, first match wins.

A recipe is data from anybody. So this source gives every recipe the package `recipe`, makes each `${` literal,
and accepts no `defaults` entry but the names of recipes and the `validation` and `benchmark` presets.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from recipe_runner.composition.library import SECTIONS, find, names
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import Lines, places, read
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import short
from recipe_runner.plugins import packages

PRESETS: Final = ("validation", "benchmark")
IN_PROFILE: Final = SECTIONS - {"summary", "profiles"}


class RecipeSource(ConfigSource):
    """Finds `recipe/NAME` in the folders that its path lists."""

    @staticmethod
    def scheme() -> str:
        return "recipes"

    @property
    def folders(self) -> list[Path]:
        return [Path(folder) for folder in self.path.split("\0")]

    def load_config(self, config_path: str) -> ConfigResult:
        file = find(config_path.removeprefix("recipe/").removesuffix(".yaml"), self.folders)
        assert file is not None
        data, _ = read(file)
        presets = [item for entry in data.get("defaults", ()) if isinstance(entry, dict) for item in entry.items()]
        data.pop("lock", None)  # it tells of a run of this very file, not of those that inherit from it
        data["origin"] = {}
        for group, name in ((key.rpartition("@")[2], name) for key, name in presets):
            data["origin"] |= places(Space(tuple(Search.config_dirs)).file(group, name), group)
        data["origin"] |= places(file)
        return ConfigResult(self.provider, f"recipes://{file}", OmegaConf.create(literal(data)), {"package": "recipe"})

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", "recipe")

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.partition("/")
        return group == "recipe" and find(name.removesuffix(".yaml"), self.folders) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:  # noqa: ARG002 — Hydra's signature
        return sorted(names(self.folders)) if config_path == "recipe" else []


class Search(SearchPathPlugin):
    """Adds the person's config folders before ours, and the recipes.

    Hydra makes its plugins itself, without arguments, so what to search stands on the class.
    """

    config_dirs: ClassVar[list[Path]] = []
    recipe_folders: ClassVar[list[Path]] = []

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in reversed(self.config_dirs):
            search_path.prepend("config-dir", f"file://{folder.resolve()}")
        joined = "\0".join(str(folder.resolve()) for folder in self.recipe_folders)
        search_path.append("recipes", f"recipes://{joined}")


def register(config_dirs: list[Path], recipe_folders: list[Path]) -> None:
    """Make Hydra search these folders in every compose from now on."""
    Search.config_dirs, Search.recipe_folders = config_dirs, recipe_folders
    Plugins.instance().register(RecipeSource)
    Plugins.instance().register(Search)


def literal(value: Any) -> Any:
    """The same data with every `${` escaped, so that OmegaConf keeps it as text."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


@dataclass
class Lineage:
    """A recipe's file, then those it inherits from; each checked for what a recipe may not say."""

    folders: list[Path]
    names: dict[str, set[str]]
    files: list[Path] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def follow(self, name: str, descent: tuple[Path, ...] = ()) -> None:
        file = find(name, self.folders)
        assert file is not None
        if file not in self.files:
            self.files.append(file)
        data, lines = read(file)
        if not data:
            do = "write at least `model: {id: OWNER/NAME}`; `recipe-run new NAME --model OWNER/NAME` writes one for you"
            self.fault(file, 1, "the recipe is empty", do)
        self.sections(file, data, lines)
        line = lines.get(("defaults",), 1)
        for parent in self.parents(file, line, data.get("defaults", [])):
            here = find(parent, self.folders)
            if here is None:
                self.fault(
                    file, line, f"there is no recipe {parent} to inherit from", choose(parent, names(self.folders))
                )
            elif fault := packages.ambiguous(f"{short(file)}:{line}", here):
                self.faults.append(fault)
            elif here in (*descent, file):
                self.fault(file, line, f"inherits from itself through {parent}", "remove one of the `defaults`")
            else:
                self.follow(parent, (*descent, file))

    def sections(self, file: Path, data: dict[str, Any], lines: Lines) -> None:
        """Check the sections of a recipe, its profiles, and the sections of those."""
        own = {key: data[key] for key in data if key not in ("summary", "defaults", "lock")}
        self.mappings(file, own, lines, (), SECTIONS)
        self.gates(file, data.get("expected"), lines)
        profiles = data.get("profiles")
        if isinstance(profiles, dict):
            self.mappings(file, profiles, lines, ("profiles",), self.names["hardware"])
            for name in (name for name in profiles if isinstance(profiles[name], dict)):
                self.mappings(file, profiles[name], lines, ("profiles", name), IN_PROFILE)

    def gates(self, file: Path, expected: Any, lines: Lines) -> None:
        """A figure that gates names the profile on which it does; on any other hardware it would never be heard of."""
        for name, item in expected.items() if isinstance(expected, dict) else ():
            metrics = item.get("metrics") if isinstance(item, dict) else None
            figures = metrics.values() if isinstance(metrics, dict) else ()
            if any(isinstance(figure, dict) and figure.get("gate") is True for figure in figures):
                hardware = str(item.get("hardware"))
                if "hardware" in item and hardware not in self.names["hardware"]:
                    line = lines.get(("expected", name, "hardware"), 1)
                    what = f"expected.{name} gates on {hardware}, and there is no such profile"
                    self.fault(file, line, what, choose(hardware, self.names["hardware"]))

    def mappings(
        self, file: Path, data: dict[str, Any], lines: Lines, at: tuple[str, ...], known: Collection[str]
    ) -> None:
        for key, value in data.items():
            here = (*at, key)
            if key not in known:
                what = f"there is no hardware {key}" if at == ("profiles",) else f"unknown section {'.'.join(here)}"
                self.fault(file, lines[here], what, choose(key, known))
            elif not isinstance(value, dict | None):
                do = f"write `{key}:` with indented `key: value` lines"
                self.fault(file, lines[here], f"{'.'.join(here)} is not a mapping", do)

    def parents(self, file: Path, line: int, defaults: Any) -> Iterator[str]:
        if not isinstance(defaults, list):
            self.fault(file, line, "`defaults` is not a list", "write `defaults: [RECIPE, _self_]`")
            return
        for entry in defaults:
            preset = self.preset(entry)
            if entry == "_self_" or preset:
                continue
            if isinstance(entry, str) and re.fullmatch(r"[\w][\w.+-]*", entry):
                yield entry
            else:
                known = "names of recipes, /validation@validation: NAME or /benchmark@benchmark: NAME"
                self.fault(file, line, f"`defaults` may not hold {entry!r}", f"it takes {known}")

    def preset(self, entry: Any) -> bool:
        if not isinstance(entry, dict) or len(entry) != 1:
            return False
        [(key, value)] = entry.items()
        return any(key == f"/{group}@{group}" and value in sorted(self.names[group]) for group in PRESETS)

    def fault(self, file: Path, line: int, what: str, do: str) -> None:
        self.faults.append(Fault(f"{short(file)}:{line}", what, do))


def lineage(name: str, folders: list[Path], existing: dict[str, Iterable[str]]) -> list[Path]:
    """The recipe's file and those it inherits from.

    Raises:
        RecipeError: an unknown section or parent, a cycle, a forbidden `defaults` entry; all of them at once.

    """
    found = Lineage(folders, {group: set(names) for group, names in existing.items()})
    found.follow(name)
    if found.faults:
        raise RecipeError(*found.faults)
    return found.files
