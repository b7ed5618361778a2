"""What was meant by a choice that is not there: a file of another ending or place, or what has another name here."""

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition import library
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import short, there

MOST: Final = 1000  # folders that are looked into
MODEL: Final = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*", re.ASCII)
SOME_OF: Final = re.compile(r"(\d+)x(\w.*)", re.I)
GPUS: Final = ("gpu", "gpus", "cuda", "nvidia")


def recipe(name: str, folders: Iterable[Path]) -> Fault | None:
    """A file that was meant to be this recipe, and is passed over for how it ends or where it is."""
    for file in (folder / f"{name}.yml" for folder in folders):
        if there(file):
            return Fault("recipe", f"{short(file)} is not read: recipes end in .yaml", f"rename it to {name}.yaml")
    if there(Path(f"{name}.yaml")):
        what = f"{name}.yaml is here, and not in the folder recipes"
        return Fault("recipe", what, f"write recipe=./{name}.yaml, or move it there")
    with contextlib.suppress(OSError):  # the folder that we are in may be gone
        for folder in itertools.islice(Path().iterdir(), MOST):
            if there(file := folder / "recipes" / f"{name}.yaml"):
                do = f"write recipe={name} --config-dir {folder}"
                return Fault("recipe", f"there is {file}, where nobody looks", do)
    return model(name, folders)


def path(name: str, folders: Iterable[Path]) -> Fault:
    """What is wrong with the path of a recipe that is not there."""
    file = Path(name)
    if there(file, Path.is_dir):
        return Fault("recipe", f"{name} is a folder", "name a recipe's file in it")
    do = "check the path"
    if file.suffix in (".yaml", ".yml") and file.parent.name in ("", "recipes") and library.find(file.stem, folders):
        do = f"write recipe={file.stem}"
    elif not there(file.parent, Path.is_dir) and (fault := model(name, folders)):
        return fault
    return Fault("recipe", f"there is no file {name}", do)


def model(name: str, folders: Iterable[Path]) -> Fault | None:
    """The recipes of a model that was named instead of one; what writes the first, where there is none."""
    if not MODEL.fullmatch(name) or name.endswith((".yaml", ".yml")):
        return None
    found = {each: _read(file).get("model") for each, file in library.names(folders).items()}
    ids = {each: str(block.get("id")) for each, block in found.items() if isinstance(block, dict)}
    if of := [each for each, its in ids.items() if _is_model(name.lower(), its.lower())]:
        return Fault("recipe", f"{name} is a model", f"write recipe={' or recipe='.join(of)}")
    do = f"`recipe-run new NAME --model {name}` writes a first recipe for a model"
    return Fault("recipe", f"there is no file {name}", do) if "/" in name else None


def device(name: str, profiles: Mapping[str, Path]) -> Fault | None:
    """The profiles of an accelerator that was named as its maker does, or with how many there are before it."""
    what = f"there is no hardware {name}"
    if name.lower() in GPUS:
        return Fault("hardware", what, f"write hardware=auto for those of this machine, or {choose('', profiles)}")
    some = SOME_OF.fullmatch(name)
    wanted = (some[2] if some else name).lower()
    kinds = {each.rpartition("x")[0] for each, file in profiles.items() if wanted in _names(_read(file))}
    close = [each for each in profiles if each.rpartition("x")[0] in kinds or (some and each.startswith(wanted))]
    fit = sorted(each for each in close if not some or each.endswith(f"x{some[1]}"))
    return Fault("hardware", what, f"write hardware={' or hardware='.join(fit)}") if fit else None


def _is_model(name: str, its: str) -> bool:
    """Whether a name is that of a model, with or without its owner; `-hf` and the like may be left out."""
    return "-" in name and any(f"{full}-".startswith(f"{name}-") for full in (its, its.rpartition("/")[2]))


def _names(profile: Mapping[str, Any]) -> set[str]:
    names = profile.get("nvml_names")
    written = [str(each) for each in (profile.get("accelerator"), *(names if isinstance(names, list) else ()))]
    return {each.lower().removeprefix("nvidia ") for each in written}


def _read(file: Path) -> dict[str, Any]:
    with contextlib.suppress(RecipeError):
        return read(file)[0]
    return {}


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
