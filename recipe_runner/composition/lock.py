"""A lock, read: a recipe with a section `lock` that says what else its run was made of.

What a lock says is somebody's word, as a recipe is: its values take the trust that they would take in a recipe, and
files are looked for beside it and in folders of recipes only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError

from recipe_runner.composition import added
from recipe_runner.composition.layers import Layer, Origin
from recipe_runner.composition.schema import Section
from recipe_runner.composition.space import DEFAULTS, Space, unknown_key
from recipe_runner.composition.stack import nested
from recipe_runner.composition.words import UNSEEN
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import short, there

FORMAT: Final = 1
LAYER: Final = "lock"


def _is_name(value: str) -> str:
    if value in ("", ".", "..") or "/" in value or UNSEEN.search(value):
        raise ValueError("it should be the name of a recipe, which is no path")
    return value


class Choices(Section):
    """The names that were chosen, besides the recipe's."""

    hardware: str
    engine: str
    parallelism: str
    validation: str
    benchmark: str


class Block(Section):
    """The section `lock`: whose run it was, what was chosen and typed for it, and what it found where it ran."""

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    recipe: Annotated[str, AfterValidator(_is_name)]
    file: str
    choices: Choices
    overrides: dict[str, Any]
    files: dict[str, str]
    environment: dict[str, Any]
    argv: list[list[str]]


@dataclass(frozen=True)
class Lock:
    """A lock's block, its file, and where its keys stand; `homes` are the folders of recipes that its recipe was in."""

    block: Block
    file: Path
    lines: Mapping[str, str]
    homes: tuple[Path, ...]

    @property
    def choices(self) -> dict[str, str]:
        return self.block.choices.model_dump()

    def wrote(self, origin: Origin) -> bool:
        return origin.file == self.file

    def where(self, key: str) -> str:
        return f"lock.{key} ({short(self.lines[f'lock.{key}'])})"

    def blamed(self, group: str, name: str | None, fault: Fault) -> Fault:
        """What is wrong with a choice, and that the lock made it, if it did."""
        return replace(fault, where=self.where(f"choices.{group}")) if self.choices.get(group) == name else fault

    def layer(self, values: Mapping[str, Any]) -> Layer:
        """What was typed then, as a layer."""
        head = "lock.overrides."
        lines = {key.removeprefix(head): line for key, line in self.lines.items() if key.startswith(head)}
        return Layer(LAYER, values, str(self.file), lines)

    def folders(self, origin: Origin, *, trusted: bool) -> list[Path]:
        """Where what it names may lie: beside it, beside its recipe; what was typed, where we are."""
        if trusted and origin.layer == LAYER:
            return [Path(), self.file.parent, *self.homes]
        return [self.file.parent, *self.homes, *([Path(self.block.file).parent] if trusted else ())]


def opened(choices: Mapping[str, str], space: Space) -> dict[str, str]:
    """The choices, and where their recipe is a lock those of the lock beside them."""
    found = of(choices, space)
    if found is None:
        return dict(choices)
    kept = found.choices
    other = choices.get("hardware", kept["hardware"]) != kept["hardware"]
    if other and kept["engine"] == _usual_engine(kept["hardware"], space):
        del kept["engine"]  # the other hardware has one of its own
    return {**kept, **choices}


def of(choices: Mapping[str, str], space: Space) -> Lock | None:
    """The lock that the recipe is.

    Raises:
        RecipeError: it is not as we write it, or says what could not have been typed.

    """
    name = choices.get("recipe")
    if name is None or any(group == "recipe" for group, _ in space.unknown({"recipe": name})):
        return None
    found = _read(space.recipe(name)[0], space.recipes)
    if found is None:
        return None
    try:
        if faults := list(filter(None, map(unknown_key, found.block.overrides))):
            raise RecipeError(*faults)
        nested(found.block.overrides)
    except RecipeError as exc:
        raise RecipeError(*(replace(f, where=found.where(f"overrides.{f.where}")) for f in exc.faults)) from None
    return found


def _usual_engine(hardware: str, space: Space) -> str | None:
    """The engine of a profile where none is named."""
    if hardware not in space.names("hardware"):
        return None
    defaults = read(space.file("hardware", hardware))[0].get("defaults", [])
    return next((entry[added.ENGINE] for entry in defaults if isinstance(entry, dict)), DEFAULTS["engine"])


def _read(file: Path, library: list[Path]) -> Lock | None:
    """The lock in a recipe's file, if it is one.

    Raises:
        RecipeError: it is not as we write it; with every fault.

    """
    data, lines = read(file)
    if "lock" not in data:
        return None
    try:
        block = Block.model_validate(data["lock"])
    except ValidationError as exc:
        raise RecipeError(*_faults(exc, file, lines)) from None
    home = str(Path(block.file).parent)
    homes = tuple(folder for folder in library if short(folder) == home)
    return Lock(block, file, {".".join(at): f"{file}:{line}" for at, line in lines.items() if at[0] == "lock"}, homes)


def _faults(exc: ValidationError, file: Path, lines: Mapping[tuple[str, ...], int]) -> list[Fault]:
    faults = []
    for error in exc.errors():
        place = ("lock", *map(str, error["loc"]))
        line = next(lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines)
        what, do = f"{error['input']!r} does not fit here", "use the lock as it was written; a copy may lack something"
        match error["type"]:
            case "missing":
                what = "this is missing"
            case "extra_forbidden":
                what = "this is not a part of a lock"
            case "less_than_equal":
                what = f"the lock is of format {error['input']}, and this recipe-runner reads up to {FORMAT}"
                do = "repeat the run with a newer recipe-runner"
        faults.append(Fault(f"{'.'.join(place)} ({short(file)}:{line})", what, do))
    newer = [fault for fault in faults if "newer" in fault.do]
    return newer or faults


def merged(below: Any, first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """One layer that does what two do, one after the other, over what is `below` them."""
    result = dict(first)
    for key, value in then.items():
        under = below.get(key) if isinstance(below, Mapping) else None
        if not isinstance(value, Mapping) or key not in first:
            result[key] = value
        elif isinstance(first[key], Mapping):
            result[key] = merged(under, first[key], value)
        else:  # the first took away what is below, or replaced it; only the second says what there is now
            result[key] = _instead(under, value)
    return result


def _instead(below: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping that leaves nothing of what is below it."""
    under = below if isinstance(below, Mapping) else {}
    inner = {key: _instead(under.get(key), one) if isinstance(one, Mapping) else one for key, one in value.items()}
    return {**dict.fromkeys(under), **inner}


def dotted(values: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Nested values by dotted keys, as far as their names allow."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        here = f"{at}{key}"
        if isinstance(value, Mapping) and value and not any("." in str(name) or name == "" for name in value):
            found |= dotted(value, f"{here}.")
        else:
            found[here] = value
    return found


def beside(folders: list[Path], value: str) -> Path | None:
    """The first of the folders that holds such a file or folder, within it."""
    for folder in folders:
        try:
            path = (folder / value).resolve()
        except (OSError, RuntimeError, ValueError):
            continue
        if path.is_relative_to(folder.resolve()) and there(path, Path.exists):
            return folder
    return None
