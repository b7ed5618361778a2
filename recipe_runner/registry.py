"""Plugins by name (entry points) or by place (`module:Class`), loaded only when named."""

import functools
import importlib
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from recipe_runner.api import Benchmark, Check, Engine, Plugin, Report
from recipe_runner.errors import Fault, RecipeError, choose

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


def load(kind: str, uses: object, where: str) -> type[Plugin]:
    """The class that `uses` names.

    Raises:
        RecipeError: there is none of that name, or it cannot be loaded; `where` is what the error points at.

    """
    if not isinstance(uses, str):
        raise RecipeError(Fault(where, "`uses` is missing", f"name what it uses: {', '.join(known(kind))}"))
    if ":" not in uses and uses not in known(kind):
        raise RecipeError(Fault(where, f"there is no {kind[:-1]} {uses}", choose(uses, known(kind))))
    try:
        found = _import(uses) if ":" in uses else known(kind)[uses].load()
    except Exception as exc:
        origin = "" if ":" in uses else f" of {known(kind)[uses].dist.name}"  # type: ignore[union-attr]
        what = f"the {kind[:-1]} {uses}{origin} cannot be loaded: {type(exc).__name__}: {exc}"
        raise RecipeError(Fault(where, what, "correct the name, or the module")) from exc
    if not (isinstance(found, type) and issubclass(found, KINDS[kind])):
        what = f"{uses} is not a {KINDS[kind].__name__}"
        raise RecipeError(Fault(where, what, f"derive it from recipe_runner.api.{KINDS[kind].__name__}"))
    return found


def _import(place: str) -> object:
    """`module:Class`, with the folder we are in searched first, as `python -m` does."""
    module, _, name = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return getattr(importlib.import_module(module), name)
