"""Evidence as files: where it lies, whose it is, whether it was edited. Plain JSON: `list` must be instant."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition import library
from recipe_runner.paths import short, there

KIND: Final = "evidence"
RESULTS: Final = "results"


@dataclass(frozen=True)
class Evidence:
    """A file of evidence. It is `current` if neither it nor a file of its recipe was edited since the run.

    What a run passed with is the recipe's only if nothing was typed that the recipe does not say.
    """

    file: Path
    document: Mapping[str, Any]
    current: bool

    @property
    def verified(self) -> bool:
        return self.current and self.document.get("verdict") == "passed" and self.document.get("as_typed") == []

    @property
    def as_typed(self) -> list[str]:
        """What was typed that may make a difference: overrides by their keys, and choices."""
        typed = self.document.get("as_typed")
        return list(map(str, typed)) if isinstance(typed, list) else []

    @property
    def hardware(self) -> str:
        return str(self.document.get("hardware"))

    @property
    def vllm(self) -> str | None:
        environment = self.document.get("environment")
        return environment.get("vllm") if isinstance(environment, dict) else None

    @property
    def date(self) -> str:
        return str(self.document.get("started"))[:10]

    @property
    def verdict(self) -> str:
        """The verdict of the run, and whether it is that of the recipe, and still is."""
        typed = f" as typed, with {', '.join(self.as_typed)}" if self.as_typed else ""
        edited = "" if self.current else ", but it or the recipe was edited since"
        return f"{self.document.get('verdict')}{typed}{edited}"

    @property
    def told(self) -> str:
        return f"{self.hardware}: {self.verdict} ({self.date}, vLLM {self.vllm or 'unknown'})"

    def as_dict(self) -> dict[str, Any]:
        """The evidence in a list of some."""
        verdict = self.document.get("verdict")
        what = {"hardware": self.hardware, "vllm": self.vllm, "date": self.date, "verdict": verdict}
        return {**what, "as_typed": self.as_typed, "current": self.current, "file": short(self.file)}


def of(recipe_file: Path, folders: Iterable[Path]) -> Iterator[Evidence]:
    """The evidence of a recipe: beside it, and in the other folders of recipes, unless it is of theirs of that name."""
    among = list(dict.fromkeys((recipe_file.parent, *folders)))
    for folder in among:
        theirs = folder != recipe_file.parent and there(folder / recipe_file.name)
        results = folder / RESULTS / recipe_file.stem
        for file in sorted(results.glob("*.json")) if there(results, Path.is_dir) else ():
            document = read(file)
            if is_evidence(document):
                same = document.get("digest") == digest(document) and not changed(document, recipe_file, among)
                if same or not theirs:
                    yield Evidence(file, document, same)


def verified_on(found: Iterable[Evidence]) -> list[str]:
    """The hardware on which a recipe passed, as it stands now."""
    return sorted({one.hardware for one in found if one.verified})


def typed_on(found: Iterable[Evidence]) -> list[str]:
    """The hardware on which it passed with what was typed, and what that was; but for where it passed without."""
    listed = list(found)
    passed = [one for one in listed if one.current and one.document.get("verdict") == "passed" and one.as_typed]
    done = verified_on(listed)
    return sorted({f"{one.hardware} with {', '.join(one.as_typed)}" for one in passed if one.hardware not in done})


def read(file: Path) -> Any:
    """What a JSON file holds; None where it cannot be read. What is no number in JSON is none here."""
    try:
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite)
    except (OSError, ValueError, RecursionError):
        return None


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number")
    return value


def is_evidence(document: Any) -> bool:
    return isinstance(document, dict) and document.get("kind") == KIND


def digest(document: Mapping[str, Any]) -> str:
    """The digest of everything else in a document, however it is laid out."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def changed(document: Mapping[str, Any], recipe_file: Path, folders: Iterable[Path]) -> list[str]:
    """The recipe, and those it inherits from, as far as they are not what they were."""
    recipe = document.get("recipe")
    if not isinstance(recipe, dict):
        return [recipe_file.stem]
    parents = recipe.get("inherits")
    known = {recipe_file.stem: recipe.get("sha256"), **(parents if isinstance(parents, dict) else {})}
    files = {name: library.find(name, (recipe_file.parent, *folders)) for name in known}
    return [name for name, sha in known.items() if (file := files[name]) is None or not _is(file, sha)]


def _is(file: Path, sha: Any) -> bool:
    try:
        return bool(sha256(file) == sha)
    except OSError:  # we may not read it
        return False


def sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
