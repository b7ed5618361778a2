"""Where recipes are, by name. No Hydra here: `list` must be instant."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from recipe_runner.paths import shipped, there
from recipe_runner.plugins import packages

SECTIONS: Final = frozenset(
    ("summary", "model", "parallelism", "serve", "env", "validation", "benchmark", "profiles", "expected", "diagnosis")
)


def folders(config_dirs: Iterable[Path] = ()) -> list[Path]:
    """`./recipes` first, then the `recipes` of each added folder, then those of packages, then the shipped ones."""
    added = (folder / "recipes" for folder in (*config_dirs, *packages.folders()))
    found = [Path("recipes"), *added, shipped("recipes")]
    return list(dict.fromkeys(folder.resolve() for folder in found if there(folder, Path.is_dir)))


def find(name: str, among: Iterable[Path]) -> Path | None:
    """The first file of that name, or None."""
    if "/" in name or name in ("", ".", ".."):
        return None
    files = (folder / f"{name}.yaml" for folder in among)
    return next((file for file in files if there(file)), None)


def names(among: Iterable[Path]) -> dict[str, Path]:
    """Every recipe by name; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in among:
        for file in sorted(folder.glob("*.yaml")):
            if there(file):
                found.setdefault(file.stem, file)
    return found


def shadowed(name: str, among: list[Path]) -> Path | None:
    """The shipped recipe that another one of the same name hides, or None."""
    own = shipped("recipes").resolve() / f"{name}.yaml"
    return own if own.is_file() and find(name, among) != own else None
