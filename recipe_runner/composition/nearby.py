"""Files that were meant by a choice that is not there: under another ending, or where nobody looks."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from recipe_runner.errors import Fault
from recipe_runner.paths import short, there

MOST: Final = 1000  # folders that are looked into


def recipe(name: str, folders: Iterable[Path]) -> Fault | None:
    """A file that was meant to be this recipe, and is passed over for how it ends or where it is."""
    for file in (folder / f"{name}.yml" for folder in folders):
        if there(file):
            return Fault("recipe", f"{short(file)} is not read: recipes end in .yaml", f"rename it to {name}.yaml")
    if there(Path(f"{name}.yaml")):
        what = f"{name}.yaml is here, and not in the folder recipes"
        return Fault("recipe", what, f"write recipe=./{name}.yaml, or move it there")
    return None


def choice(group: str, name: str, config_dirs: Iterable[Path]) -> Fault | None:
    """A file that was meant by a choice of another group, and lies where nobody looks."""
    file = next((file for file in _places(group, name, config_dirs) if there(file)), None)
    if file is None:
        return None
    if file.suffix != ".yaml":
        return Fault(group, f"{short(file)} is not read: choices end in .yaml", f"rename it to {file.stem}.yaml")
    do = f"write {group}={file.stem} --config-dir {short(file.parent.parent)}"
    if file.parent.name != group:
        do = f"put it into FOLDER/{group}, and write {group}={file.stem} --config-dir FOLDER"
    return Fault(group, f"there is {short(file)}, where nobody looks", do)


def _places(group: str, name: str, config_dirs: Iterable[Path]) -> Iterator[Path]:
    """The path that was given; another ending in the folders that were named; folders that were not named."""
    with contextlib.suppress(OSError, ValueError):  # the folder that we are in may be gone, a name may be none
        here, path = Path.cwd(), Path(name)
        if "/" in name or path.suffix in (".yaml", ".yml"):
            yield path.resolve()
            return
        yield from (folder.resolve() / group / f"{name}.yml" for folder in config_dirs)
        yield here / group / f"{name}.yaml"
        yield from (folder / group / f"{name}.yaml" for folder in itertools.islice(here.iterdir(), MOST))
        yield here / f"{name}.yaml"
