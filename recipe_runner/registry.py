"""Plugins by name (entry points) or by place (`module:Class`), loaded only when named."""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from recipe_runner.api import Benchmark, Check, Engine, Plugin, Report
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import short

KINDS: Final[dict[str, type[Plugin]]] = {
    "engines": Engine,
    "checks": Check,
    "benchmarks": Benchmark,
    "reports": Report,
}


@functools.cache
def known(kind: str) -> dict[str, EntryPoint]:
    """The entry points of one kind by name."""
    return {point.name: point for point in sorted(entry_points(group=f"recipe_runner.{kind}"))}


def load(kind: str, uses: object, where: str, beside: Iterable[Path] = ()) -> type[Plugin]:
    """The class that `uses` names; by its place it is looked for in the folders `beside` first.

    Raises:
        RecipeError: there is none of that name, or it cannot be loaded; `where` is what the error points at.

    """
    if not isinstance(uses, str):
        raise RecipeError(Fault(where, "`uses` is missing", f"name what it uses: {', '.join(known(kind))}"))
    if ":" not in uses and uses not in known(kind):
        raise RecipeError(Fault(where, f"there is no {kind[:-1]} {uses}", choose(uses, known(kind))))
    try:
        found = _import(uses, beside) if ":" in uses else known(kind)[uses].load()
    except Exception as exc:
        origin = "" if ":" in uses else f" of {known(kind)[uses].dist.name}"  # type: ignore[union-attr]
        why = f"{type(exc).__name__}: {exc}{_looked(exc, uses, beside)}"
        what = f"the {kind[:-1]} {uses}{origin} cannot be loaded: {why}"
        raise RecipeError(Fault(where, what, "correct the name, or the module")) from exc
    if not (isinstance(found, type) and issubclass(found, KINDS[kind])):
        what = f"{uses} is not a {KINDS[kind].__name__}"
        raise RecipeError(Fault(where, what, f"derive it from recipe_runner.api.{KINDS[kind].__name__}"))
    return found


def _looked(exc: Exception, place: str, beside: Iterable[Path]) -> str:
    """Where a module was looked for, if it is the one that was named that is missing."""
    if not isinstance(exc, ModuleNotFoundError) or not place.replace(":", ".").startswith(f"{exc.name}."):
        return ""
    places = "".join(f"{name}, " for folder in beside if (name := short(folder)) != ".")
    return f" (looked for in {places}the folder you are in, and where Python looks)"


def _import(place: str, beside: Iterable[Path]) -> object:
    """`module:Class`, beside the recipe; or where Python looks, the folder we are in first, as `python -m` does."""
    name, _, cls = place.partition(":")
    parts = name.split(".")
    files = (folder.resolve().joinpath(*parts).with_suffix(".py") for folder in beside)
    file = next((file for file in files if all(map(str.isidentifier, parts)) and file.is_file()), None)
    if file is not None:
        return getattr(_from_file(file, parts), cls)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return getattr(importlib.import_module(name), cls)


def _from_file(file: Path, parts: list[str]) -> ModuleType:
    """The module in a file, under a name of that file's own: another recipe may have one of the same name beside it."""
    name = f"{'_'.join(parts)}_{hashlib.sha256(bytes(file)).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _searched_first(file.parents[len(parts) - 1]):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _searched_first(folder: Path) -> Iterator[None]:
    """What is imported meanwhile is looked for there, and is found there by nobody else."""
    before = {*sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in sys.modules.keys() - before:
            top = name.partition(".")[0]
            file = Path(getattr(sys.modules[name], "__file__", None) or "")
            if file in (folder / f"{top}.py", folder / top / "__init__.py") or file.is_relative_to(folder / top):
                del sys.modules[name]
