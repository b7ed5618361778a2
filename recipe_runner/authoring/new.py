"""A first recipe from a model's facts: planned before it is written, so that it can be planned afterwards."""

import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from recipe_runner import registry
from recipe_runner.authoring import draft
from recipe_runner.authoring.fit import Fit, fit
from recipe_runner.authoring.schema import document
from recipe_runner.authoring.subject import Subject, look
from recipe_runner.composition import library
from recipe_runner.composition.space import Space
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.evidence.lock import Dumper
from recipe_runner.paths import shipped, short
from recipe_runner.serialize import write_json

NAME: Final = re.compile(r"[A-Za-z_][\w.+-]*", re.ASCII)
WORDS: Final = ("null", "true", "false", "inf", "nan", "none")  # which an override would not take for a name
RED: Final = "assets/red.png"


@dataclass(frozen=True)
class New:
    """What was written; what a person should know; the command to go on with."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    then: str


def new(name: str, model: str, hardware: str | None, folder: Path, config_dirs: list[Path], *, offline: bool) -> New:
    """Write `folder/NAME.yaml`, and beside it what it needs; nothing that is there is overwritten.

    Raises:
        RecipeError: the name is bad or taken, the model cannot be had, or does not fit.

    """
    _free(name, folder, config_dirs)
    if hardware not in (None, "auto"):
        Space(tuple(config_dirs)).file("hardware", str(hardware))
    subject = look(model, offline=offline)
    path = _beside(subject, folder)
    fits = _fits(subject, hardware, config_dirs)
    image = _image(name, folder)
    text = draft.text(subject, path, fits, registry.known("checks"), image)
    written = list(_written(folder, name, text, image if subject.kind == "vision" else None))
    return New(tuple(written), tuple(_notes(subject, path, fits)), _then(name, folder, hardware, subject, path))


def _free(name: str, folder: Path, config_dirs: list[Path]) -> None:
    if not NAME.fullmatch(name) or name.endswith((".yaml", ".yml")) or name.lower() in WORDS:
        do = "begin with a letter, go on with letters, digits, _, - and ., and leave .yaml away"
        raise RecipeError(Fault(name or "NAME", "this cannot be the name of a recipe", do))
    if found := library.find(name, [folder, *library.folders(config_dirs)]):
        raise RecipeError(Fault(name, f"there is a recipe of that name: {short(found)}", "choose another name"))


def _beside(subject: Subject, folder: Path) -> str | None:
    """Where the model's folder is, as seen from the recipe; None where it is outside the recipe's own."""
    if subject.folder is None or not subject.folder.resolve().is_relative_to(folder.resolve()):
        return None
    return subject.folder.resolve().relative_to(folder.resolve()).as_posix()


def _fits(subject: Subject, hardware: str | None, config_dirs: list[Path]) -> list[Fit]:
    """What to say of the hardware, and of a CPU; nothing of a model of which nothing is known."""
    if subject.facts is None:
        return []
    with tempfile.TemporaryDirectory(prefix="recipe-run-new-") as empty:
        file = Path(empty) / "draft.yaml"
        file.write_text(yaml.dump({"model": draft.model(subject, None)}, Dumper=Dumper, sort_keys=False), "utf-8")
        found = [] if hardware in (None, "cpu") else [fit(file, [], str(hardware), config_dirs)]
        return [*found, fit(file, [], "cpu", config_dirs)]


def _image(name: str, folder: Path) -> str:
    """Where the red image goes: not over another one."""
    there = folder / RED
    taken = there.exists() and there.read_bytes() != (shipped("recipes") / RED).read_bytes()
    return f"assets/{name}-red.png" if taken else RED


def _written(folder: Path, name: str, text: str, image: str | None) -> list[Path]:
    recipe, schema = folder / f"{name}.yaml", folder / draft.SCHEMA
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with recipe.open("x", encoding="utf-8") as file:
            file.write(text)
        files = [recipe]
        if image and not (folder / image).exists():
            (folder / image).parent.mkdir(exist_ok=True)
            files.append(Path(shutil.copyfile(shipped("recipes") / RED, folder / image)))
        if not schema.exists():
            files.append(write_json(schema, document()))
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise RecipeError(Fault(short(folder), f"it cannot be written there: {why}", "name another with --to")) from exc
    return files


def _notes(subject: Subject, path: str | None, fits: list[Fit]) -> list[str]:
    unknown = (
        [] if subject.facts else ["nobody was asked what the model is: the recipe has no facts, and plans ask the hub"]
    )
    away = subject.folder is not None and path is None
    outside = ["the model's folder is not beside the recipe: name it with model.path=… when it is run"] if away else []
    reasons = dict.fromkeys(fit.unknown for fit in fits if fit.unknown)
    names = {why: " or ".join(fit.hardware for fit in fits if fit.unknown == why) for why in reasons}
    return [*unknown, *outside, *(f"whether it fits {name} is not known: {why}" for why, name in names.items())]


def _then(name: str, folder: Path, hardware: str | None, subject: Subject, path: str | None) -> str:
    known = folder.resolve() == Path("recipes").resolve()
    words = [f"recipe={name if known else folder / f'{name}.yaml'}", *([f"hardware={hardware}"] if hardware else [])]
    if subject.folder is not None and path is None:
        words.append(f"model.path={subject.folder}")
    return shlex.join(("recipe-run", "plan", *words))
