"""Files that a recipe brings along for a plugin."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _asset(value: str, info: ValidationInfo) -> str:
    folder, inside = info.context(info.field_name) if info.context else (Path(), False)
    try:
        path = (folder / value).resolve()
        there = path.is_file()
    except (OSError, RuntimeError) as exc:  # a name that is too long, links in a circle
        raise ValueError("there cannot be such a file; a path is relative to the file that it stands in") from exc
    if inside and not path.is_relative_to(folder.resolve()):
        raise ValueError("the file must be in the recipe's folder; a recipe brings its own files")
    if not there:
        raise ValueError("there is no such file; a path is relative to the file that it stands in")
    return str(path)


Asset = Annotated[str, AfterValidator(_asset)]
"""A file that a recipe brings along; relative to the file in which it is written."""
