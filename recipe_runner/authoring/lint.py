"""What a reviewer would say of a recipe that can be composed: few things, none of which keeps it from running."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recipe_runner.composition.library import SECTIONS
from recipe_runner.composition.schema import Request
from recipe_runner.errors import Fault

PRESETS: Final = "smoke"
ANSWERS: Final = {"not_empty": True}


def is_recipe(values: Mapping[str, Any]) -> bool:
    """Whether a YAML file looks like a recipe: it names a model, or changes what it inherits.

    Choices of hardware inherit, too, but have no section that a recipe has.
    """
    return "model" in values or ("defaults" in values and not SECTIONS.isdisjoint(values) and "uses" not in values)


def remarks(request: Request) -> Iterator[Fault]:
    """What to mend, each at its place."""
    if not request.summary.strip():
        yield Fault("summary", "there is none", "say in a line what the recipe is for; `list` shows it")
    if not request.checks:
        yield Fault("validation", "there are no checks", f"add some, or inherit `/validation@validation: {PRESETS}`")
    where = request.folded.where
    for name, check in request.checks.items():
        expect = getattr(check, "expect", None)
        if expect is not None and expect.model_dump(exclude_defaults=True) == ANSWERS:
            what = "any answer passes that is not empty"
            yield Fault(where(f"validation.{name}"), what, "expect what only a sound model says, such as contains")
    yield from _facts(request)
    for name, expected in request.expected.items():
        gates = [metric for metric, figure in expected.metrics.items() if figure.gate]
        missing = [key for key in ("kind", "date") if getattr(expected, key) is None]
        if gates and missing:
            what = f"{gates[0]} is a gate, and its {' and '.join(missing)} are not said"
            what = what if len(missing) > 1 else what.replace(" are ", " is ")
            yield Fault(where(f"expected.{name}"), what, "say who measured it and when, so that others can weigh it")


def _facts(request: Request) -> Iterator[Fault]:
    """Whether the facts of a model can be looked up again; a recipe that brings the files needs none."""
    facts, where = request.model.facts, request.folded.where
    if facts is None and request.model.path is None:
        do = "`recipe-run new` writes them for a model"
        yield Fault(where("model.id"), "there are no facts of the model, so every plan asks the hub", do)
    if facts is None:
        return
    for key in ("source", "revision"):
        if not getattr(facts, key):
            yield Fault(where("model.facts"), f"the facts have no {key}", "say where they can be looked up again")
