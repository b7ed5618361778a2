"""Paths in evidence: nothing of the home or the checkout of whoever ran it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

BEGIN: Final = r"(?<![\w./~-])"  # where a path may begin, and not in the middle of another
END: Final = r"(?![\w.-])"  # of a part of a path


def portable(value: Any, recipe_folder: Path) -> Any:
    """The same with paths inside the recipe's folder relative to it, and `~` for the home."""
    inside = re.compile(f"{BEGIN}{re.escape(str(recipe_folder))}/")
    return homeless(_texts(value, lambda text: inside.sub("", text)))


def homeless(value: Any) -> Any:
    """The same with `~` for the home."""
    home = str(Path.home())
    if home == "/":
        return value
    inside = re.compile(rf"{BEGIN}{re.escape(home)}{END}")
    return _texts(value, lambda text: inside.sub("~", text))


def at_home(value: Any) -> Any:
    """The same with the home of whoever is here for `~`."""
    return _texts(value, lambda text: re.sub(rf"{BEGIN}~{END}", lambda _: str(Path.home()), text))


def as_kept(value: Any, kept: Any) -> Any:
    """A run's value with its paths as evidence has them in `kept`: those in the recipe's folder are relative there."""
    if isinstance(value, str) and isinstance(kept, str):
        inside = value.startswith(("/", "~/")) and not kept.startswith(("/", "~")) and value.endswith(f"/{kept}")
        return kept if inside and kept else value
    if isinstance(value, dict) and isinstance(kept, dict):
        return {key: as_kept(inner, kept.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(kept, list) and len(value) == len(kept):
        return [as_kept(*pair) for pair in zip(value, kept, strict=True)]
    return value


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _texts(inner, change) for key, inner in value.items()}
    return [_texts(inner, change) for inner in value] if isinstance(value, list) else value
