"""What pydantic finds wrong, in our words."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recipe_runner.composition.layers import Folded
from recipe_runner.composition.library import SECTIONS
from recipe_runner.errors import Fault, choose
from recipe_runner.secrets import mask


def faults_of(exc: ValidationError, cls: type[BaseModel], key: str, folded: Folded) -> Iterator[Fault]:
    """Pydantic's errors in our words, one for each place."""
    seen = set()
    block: Any = folded.values
    for part in key.split("."):
        block = block.get(part) if isinstance(block, Mapping) else None
    for error in exc.errors():
        at = ".".join([key, *_written(error, block)])
        if at in seen:
            continue
        seen.add(at)
        fields = [name for name in _model(cls, error["loc"]).model_fields if name != "uses"]
        match error["type"]:
            case "extra_forbidden":
                what, do = f"unknown key {error['loc'][-1]}", choose(str(error["loc"][-1]), fields)
            case "missing":
                in_recipe = key.partition(".")[0] in SECTIONS
                what, do = "this is missing", f"write {at}=…{' or put it into the recipe' if in_recipe else ''}"
            case "model_type" | "dict_type":
                what, do = f"{error['input']!r} does not fit here", "it should be a mapping, `key: value` lines"
            case _:
                message = re.sub(r"^\w+ should", "it should", error["msg"].removeprefix("Value error, "))
                what, do = f"{mask(repr(error['input']), {})} does not fit here", message
        yield Fault(folded.where(at), what, do)


def _model(cls: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The class of what holds a place inside a block: the block's own, or that of a block in it."""
    for part in place:
        if part in cls.model_fields:
            annotation = cls.model_fields[str(part)].annotation
            inner = (arm for arm in (annotation, *get_args(annotation)) if isinstance(arm, type))
            cls = next((arm for arm in inner if issubclass(arm, BaseModel)), cls)
    return cls


def _written(error: ErrorDetails, value: Any) -> Iterator[str]:
    """The parts of an error's place that a person wrote, or should have: not the names of the arms of a union."""
    for depth, part in enumerate(error["loc"], 1):
        if part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int):
            value = value[part]
            yield str(part)
        elif error["type"] == "missing" and depth == len(error["loc"]):
            yield str(part)
