"""What installed packages bring: folders of choices, laid out as in a `--config-dir`; and what is used of them."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from recipe_runner.errors import Fault
from recipe_runner.paths import shipped
from recipe_runner.plugins.installed import OURS, Installed, groups

GROUP: Final = "folders"


@functools.cache
def folders() -> dict[Path, Installed]:
    """Each folder that is there, and who brings it; a name in one of them has no precedence over another's."""
    return {folder: one for one in groups().get(GROUP, ()) if (folder := _folder(one)) is not None}


def missing() -> Iterator[Fault]:
    """What packages say that they bring, and is not there."""
    for one in groups().get(GROUP, ()):
        if _folder(one) is None:
            yield Fault(one.origin, f"its folder {one.place} is not there", one.cure)


def origin(file: Path) -> str | None:
    """Whose a file is, if it lies in a folder that came with a package."""
    return next((one.origin for folder, one in folders().items() if file.resolve().is_relative_to(folder)), None)


def used(plugins: Mapping[str, Iterable[str]], files: Iterable[Path]) -> list[str]:
    """The packages, besides us, that plugins (what `uses` says, by kind) and files of choices came with."""
    named = ((one, uses) for kind, words in plugins.items() for uses in words for one in groups().get(kind, ()))
    theirs = {one.origin for one, uses in named if uses in (one.name, one.place)}
    return sorted((theirs | {found for file in files if (found := origin(file))}) - {OURS})


def ambiguous(where: str, file: Path) -> Fault | None:
    """What is wrong with a choice whose name two packages have, or one and we; a person's own comes before all."""
    kind, name = file.parent.name, file.name
    ours = (shipped("recipes") if kind == "recipes" else shipped("conf") / kind) / name
    owners = [*([OURS] if ours.is_file() else ())]
    owners += [one.origin for folder, one in folders().items() if (folder / kind / name).is_file()]
    if len(owners) < 2 or not (origin(file) or file.resolve() == ours.resolve()):
        return None
    do = "uninstall all but one" + (", or name a file: recipe=FILE.yaml" if kind == "recipes" else "")
    return Fault(where, f"there are {len(owners)} of the name {file.stem}: of {' and of '.join(owners)}", do)


def _folder(one: Installed) -> Path | None:
    with contextlib.suppress(Exception):  # of a name that is none, or a package that is broken
        return one.folder()
    return None
