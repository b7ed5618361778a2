"""Where choices are looked for, and whether those that were named exist."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recipe_runner.composition import library, meant, nearby
from recipe_runner.composition.meant import GROUPS
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import personal_config, shipped, short, there
from recipe_runner.plugins import packages

SECTIONS: Final = (
    *("model", "parallelism", "serve", "env", "validation", "benchmark", "expected", "diagnosis"),
    *("engine", "hardware", "preflight", "timeouts", "report"),
)
DEFAULTS: Final = {
    **dict.fromkeys(("parallelism", "validation", "benchmark"), "recipe"),
    **{"hardware": "host", "engine": "vllm"},
}

TAKEN: Final = re.compile(r"^(?:\.{1,2}|\?{3}|_self_)$|\$\{")  # names that cannot be chosen, whatever file has them


@dataclass(frozen=True)
class Space:
    """Where choices are looked for: the person's folders, then those of packages, then ours."""

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
        own = (folder for folder in self.config_dirs if there(folder, Path.is_dir))
        return [*own, *packages.folders(), shipped("conf")]

    def file(self, group: str, name: str) -> Path:
        found = self._files(group, name)
        if not found:
            raise RecipeError(Fault(group, f"there is no {group} {name}", choose(name, self.names(group))))
        if fault := packages.ambiguous(group, found[0]):
            raise RecipeError(fault)
        return found[0]

    def _files(self, group: str, name: str) -> list[Path]:
        """The files of that name, the one that counts first."""
        folders = self.recipes if group == "recipe" else [folder / group for folder in self.conf]
        return [file for folder in folders if there(file := folder / f"{name}.yaml")]

    def astray(self) -> Iterator[Fault]:
        """What is wrong with the person's folders."""
        for folder in self.config_dirs:
            if not there(folder / "..", Path.is_dir):  # nor where we may not look into it
                yield Fault("--config-dir", f"there is no folder {folder}", "check the path")
            elif folder.name in (*GROUPS, "recipes") and any(folder.glob("*.yaml")):
                do = f"name the folder above: --config-dir {short(folder.resolve().parent)}"
                yield Fault("--config-dir", f"{folder} is what a folder of choices has in it", do)
            elif (folder / "config.yaml").exists():
                do = f"put defaults into {short(personal_config())}, and choices into {folder}/hardware/NAME.yaml"
                yield Fault(short(folder / "config.yaml"), "a config.yaml here would replace our own", do)

    def unknown(self, choices: Mapping[str, str]) -> Iterator[tuple[str, Fault]]:
        """What was named and is not there, by group."""
        if "recipe" not in choices:
            yield "recipe", Fault("recipe", "no recipe was named", choose("", self.names("recipe")))
        yield from (("--config-dir", fault) for fault in self.astray())
        for group, name in choices.items():
            if group == "recipe" and _is_path(name):
                if not there(Path(name)):
                    yield group, nearby.path(name, self.recipes)
                elif Path(name).suffix != ".yaml":
                    yield group, Fault("recipe", f"{name} is not the name of a recipe's file", "let it end in .yaml")
                elif TAKEN.search(Path(name).stem):
                    yield group, _taken(group, Path(name).stem)
            elif name not in self.names(group):
                existing = self.names(group) | ({"auto"} if group == "hardware" else set())
                absent = Fault(group, f"there is no {group} {name or repr(name)}", choose(name, existing))
                yield group, self._meant(group, name) or absent
            elif fault := packages.ambiguous(group, self._files(group, name)[0]):
                yield group, fault
            elif TAKEN.search(name):
                yield group, _taken(group, name)

    def _meant(self, group: str, name: str) -> Fault | None:
        if group == "recipe":
            return nearby.recipe(name, self.recipes)
        fault = nearby.choice(group, name, self.config_dirs)
        if fault or group != "hardware":
            return fault
        return nearby.device(name, {each: self._files(group, each)[0] for each in self.names(group)})

    def bare(self, word: str) -> Fault | None:
        """What a word without its key was meant to choose."""
        for group in ("recipe", "hardware"):
            if word in self.names(group):
                return Fault(group, f"{word} is not key=value", f"write {group}={word}")
        return nearby.model(word, self.recipes) if "/" in word else None

    def recipe(self, name: str) -> tuple[Path, list[Path]]:
        """The recipe's file, and the folders in which it and what it inherits from are looked for."""
        if _is_path(name):
            file = Path(name).resolve()
            return file, [file.parent, *(folder for folder in self.recipes if folder != file.parent)]
        return library.names(self.recipes)[name], self.recipes

    def shadow_notes(self, file: Path) -> Iterator[str]:
        """What to say of a recipe that hides a shipped one of its name."""
        hidden = library.shadowed(file.stem, self.recipes)
        if hidden not in (None, file):
            yield f"recipe {file.stem}: {short(file)} is used instead of the shipped recipe of that name"


def unknown_key(key: str, value: str = "VALUE") -> Fault | None:
    """What is wrong with a key that nothing knows; `value` as it was written."""
    section = key.partition(".")[0]
    if key in GROUPS or section in SECTIONS:
        return None
    place = meant.place(key) if key == section else None
    do = meant.cure(key, f"{place}={value}") if place else choose(section, {*SECTIONS, *GROUPS})
    return Fault(key, f"unknown key {section}", do)


def _taken(group: str, name: str) -> Fault:
    what = f"a {group}'s file cannot be called {name}.yaml: that means something else"
    return Fault(group, what, "give it another name")


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or "/" in name
