"""What a file in an added folder (`--config-dir`, or a package's) may hold: the facts of one choice, nothing else.

Hydra would let such a file set any key, read variables into it (`${…}`), and write out YAML aliases without end; so
each is read our way first.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition.yamlfile import Lines, read
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import short

GROUPS: Final = ("engine", "hardware", "parallelism", "validation", "benchmark")
HEADER: Final = re.compile(r"\s*#\s*@")
NAME: Final = re.compile(r"\w[\w.+-]*")
ENGINE: Final = "override /engine@_global_.engine"


def check(folders: Collection[Path], chosen: Iterable[Path] = ()) -> None:
    """Check every choice in the added folders, and what was `chosen` elsewhere.

    Raises:
        RecipeError: a file cannot be read, or says more than it may; all of them at once.

    """
    faults = [
        Fault(short(folder / "hydra"), "this would replace settings of Hydra's own", "remove it, or rename it")
        for folder in folders
        if (folder / "hydra").exists()
    ]
    listed = (file for folder in folders for group in GROUPS for file in sorted(folder.glob(f"{group}/*.yaml")))
    for file in (*listed, *chosen):
        try:
            faults += _faults(file, *read(file))
        except RecipeError as exc:
            faults += exc.faults
    if faults:
        raise RecipeError(*faults)


def _faults(file: Path, data: dict[str, Any], lines: Lines) -> Iterator[Fault]:
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if HEADER.match(text):
            what, do = "a header would set keys of other sections", "remove it, or begin the comment otherwise"
            yield Fault(f"{short(file)}:{number}", what, do)
    for at, value in _texts(data):
        if "${" in value:
            line = next((lines[at[:end]] for end in range(len(at), 0, -1) if at[:end] in lines), 1)
            yield Fault(f"{short(file)}:{line}", "`${` is not read in a choice", "write the value out")
    defaults, line = data.get("defaults", []), lines.get(("defaults",), 1)
    for entry in defaults if isinstance(defaults, list) else ():
        if not _may_stand(file.parent.name, entry):
            also = f" and {ENGINE}: NAME" if file.parent.name == "hardware" else ""
            do = f"it takes names of files beside this one{also}"
            yield Fault(f"{short(file)}:{line}", f"`defaults` may not hold {entry!r}", do)


def _texts(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text, and every key, with its place."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, str(key)), str(key)
            yield from _texts(inner, (*at, str(key)))


def _may_stand(group: str, entry: Any) -> bool:
    if isinstance(entry, dict):
        return group == "hardware" and [*entry] == [ENGINE] and isinstance(entry[ENGINE], str)
    return isinstance(entry, str) and NAME.fullmatch(entry) is not None
