"""Whose facts these are: those that stand below the `model.id` that is in force are of another model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition.layers import TYPED, Folded, Layer, Origin, fold
from recipe_runner.composition.lock import LAYER

LAYERS: Final = ("recipe", "profile", LAYER, TYPED)  # those in which a model can stand, lowest first
OWN: Final = ("facts", "revision")


def own(model: Mapping[str, Any], folded: Folded, below: Folded, family: Sequence[Path]) -> dict[str, Any]:
    """The section `model` without the facts and the revision of another model.

    `below` is what was there before anything was typed: the same id typed again leaves all as it was. `family` are the
    recipe's file, and then those that it inherits from.
    """
    before = below.values.get("model")
    again = isinstance(before, dict) and before.get("id") == model.get("id")
    named = (below if again else folded).origins.get("model.id")
    if named is None:
        return dict(model)

    def holds(key: str) -> bool:
        origin = folded.origins[key]
        inherited = _age(origin, family) > _age(named, family)
        return LAYERS.index(origin.layer) >= LAYERS.index(named.layer) and not inherited

    theirs = {key: model[key] for key in OWN if key in model}
    return {key: model[key] for key in model if key not in OWN} | _kept(theirs, "model", holds)


def alone(recipe: Mapping[str, Any], family: Sequence[Path]) -> dict[str, Any]:
    """What a recipe says with all that it inherits, fit for one file, in which nothing shows any more whose it was."""
    said = {key: value for key, value in recipe.items() if key != "origin"}
    if isinstance(said.get("model"), dict):
        folded = fold([Layer("recipe", {"model": said["model"]}, "", recipe["origin"])])
        said["model"] = own(folded.values["model"], folded, folded, family)
    return said


def _age(origin: Origin, family: Sequence[Path]) -> int:
    """How many generations of recipes lie between a value and the recipe."""
    return family.index(origin.file) if origin.file in family else 0


def _kept(values: Mapping[str, Any], at: str, holds: Callable[[str], bool]) -> dict[str, Any]:
    """What of some values holds, one by one: a mapping may be of several layers."""
    kept = {}
    for key, value in values.items():
        here = f"{at}.{key}"
        if isinstance(value, dict) and value:
            if inner := _kept(value, here, holds):
                kept[key] = inner
        elif holds(here):
            kept[key] = value
    return kept
