"""Plugins by name (entry points) or by place (`module:Class`), loaded only when named."""

import contextlib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from recipe_runner.api import Benchmark, Check, Engine, Plugin, Report
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.plugins import by_place
from recipe_runner.plugins.installed import Installed, groups

KINDS: Final[dict[str, type[Plugin]]] = {
    "engines": Engine,
    "checks": Check,
    "benchmarks": Benchmark,
    "reports": Report,
}
WORK: Final = {"engines": "locate", "checks": "run", "benchmarks": "run", "reports": "write"}  # what a class must say


def known(kind: str) -> Mapping[str, Sequence[Installed]]:
    """What is installed of one kind, by name; several, where distributions have one name for different things."""
    found: dict[str, list[Installed]] = {}
    for one in groups().get(kind, ()):
        found.setdefault(one.name, []).append(one)
    return found


def load(kind: str, uses: object, where: str, beside: Iterable[Path] = ()) -> type[Plugin]:
    """The class that `uses` names; by its place it is looked for in the folders `beside` first.

    Raises:
        RecipeError: there is none of that name, or it cannot be loaded; `where` is what the error points at.

    """
    if not isinstance(uses, str):
        raise RecipeError(Fault(where, "`uses` is missing", f"name what it uses: {', '.join(known(kind))}"))
    one = None if ":" in uses else _installed(kind, uses, where, beside)
    named = f"{uses} of {one.origin}" if one else uses
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a module prints as it is imported is no result
            found = one.load() if one else by_place.load(uses, beside)
    except by_place.Missing as exc:
        raise RecipeError(Fault(where, str(exc), choose(exc.cls, exc.classes))) from exc
    except (Exception, SystemExit) as exc:  # a module that ends the process as it is imported is broken, too
        why = f"{type(exc).__name__}: {exc}{'' if one else by_place.looked(exc, uses, beside)}"
        what = f"the {kind[:-1]} {named} cannot be loaded: {why}"
        raise RecipeError(Fault(where, what, one.cure if one else by_place.cure(uses))) from exc
    if wrong := _misfit(kind, found):
        raise RecipeError(Fault(where, f"{named} {wrong[0]}", one.cure if one else wrong[1]))
    return cast(type[Plugin], found)


def _installed(kind: str, name: str, where: str, beside: Iterable[Path]) -> Installed:
    found = known(kind).get(name, ())
    if not found:
        do = by_place.instead(name, beside) or choose(name, known(kind))
        raise RecipeError(Fault(where, f"there is no {kind[:-1]} {name}", do))
    if len(found) > 1:
        what = f"there are {len(found)} {kind} {name}: of {' and of '.join(one.origin for one in found)}"
        do = f"uninstall all but one, or name the class that you mean: {' or '.join(one.place for one in found)}"
        raise RecipeError(Fault(where, what, do))
    return found[0]


def _misfit(kind: str, found: object) -> tuple[str, str] | None:
    """Why something is no plugin of that kind, and what to do about it."""
    contract = KINDS[kind]
    derive = f"derive it from recipe_runner.api.{contract.__name__}"
    if not (isinstance(found, type) and issubclass(found, contract)):
        return f"is not a {contract.__name__}", derive
    wanted, own = (getattr(cls, WORK[kind]) for cls in (contract, found))
    parameters = [*inspect.signature(wanted).parameters]
    if own is not wanted:
        try:
            inspect.signature(own).bind(*parameters)
        except (TypeError, ValueError):  # the latter of what has no signature
            pass
        else:
            return None
    return f"has no {WORK[kind]}({', '.join(parameters)})", f"write it as recipe_runner.api.{contract.__name__} has it"
