"""What a new recipe has to say of one hardware profile so that its model fits there, as the planner judges it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recipe_runner import prepare
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.plan import Plan

LENGTH: Final = re.compile(r"serve\.max_model_len=(\d+)")  # in the planner's cures
PLAIN: Final = {"tp": 1, "dp": 1}


@dataclass(frozen=True)
class Fit:
    """A hardware's name, what stands under it in `profiles`; and why it is not known whether it fits, if it is not."""

    hardware: str
    profile: Mapping[str, Any]
    unknown: str = ""

    @property
    def max_model_len(self) -> int | None:
        length: int | None = self.profile.get("serve", {}).get("max_model_len")
        return length


def fit(file: Path, typed: list[str], hardware: str, config_dirs: list[Path]) -> Fit:
    """Spread the model of a recipe over hardware as `parallelism=auto` does, with shorter requests if they must be.

    Raises:
        RecipeError: there is no such hardware, or nothing fits.

    """
    path = str(file).replace("\\", "\\\\").replace("'", "\\'")
    head = [f"recipe='{path}'", f"hardware={hardware}", *typed]

    def planned(*words: str) -> Plan:
        return prepare.plans([*head, *words], config_dirs, sweep=False, launching=False)[0]

    asked = planned("preflight.memory=warn")
    name, spread = asked.request.hardware_name, asked.spread
    if spread is None or spread.chosen.verdict == "unknown":
        return Fit(name, {}, (spread and spread.chosen.memory.reason) or "nothing is launched")
    cures = [choice.memory.cure or "" for choice in spread.weighed]
    lengths = [int(found[1]) for cure in cures if (found := LENGTH.search(cure))]
    return _spread(planned, name, max(lengths, default=None))


def _spread(planned: Callable[..., Plan], hardware: str, longest: int | None) -> Fit:
    """What `auto` comes to; with requests no longer than `longest`, if it finds nothing without."""
    try:
        return Fit(hardware, _profile(planned("parallelism=auto"), None))
    except RecipeError as exc:
        if longest is None:
            do = "name larger hardware, or leave --hardware out"
            raise RecipeError(*(Fault("--hardware", fault.what, do) for fault in exc.faults)) from None
    return Fit(hardware, _profile(planned("parallelism=auto", f"serve.max_model_len={longest}"), longest))


def _profile(plan: Plan, longest: int | None) -> dict[str, Any]:
    chosen = {key: value for key, value in plan.request.parallelism.model_dump().items() if key in PLAIN or value > 1}
    return {
        **({} if chosen == PLAIN else {"parallelism": chosen}),
        **({} if longest is None else {"serve": {"max_model_len": longest}}),
    }
