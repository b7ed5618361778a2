"""Kinds of values that have rules of their own."""

from typing import Annotated, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator

MOST_GIB: Final = 2048  # of one device


def _is_specifier(value: str) -> str:
    try:
        SpecifierSet(value)
    except InvalidSpecifier as exc:
        raise ValueError("write versions as Python packages do, such as >=0.20,<0.40") from exc
    return value


def _is_gib(value: float) -> float:
    if value > MOST_GIB:
        raise ValueError(f"write GiB, which is {value / 1024:.4g} if these are MiB, as nvidia-smi has them")
    return value


Versions = Annotated[str, AfterValidator(_is_specifier)]
Gib = Annotated[float, AfterValidator(_is_gib)]
