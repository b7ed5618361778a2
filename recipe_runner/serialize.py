"""JSON as we write it: compact for command lines and events, indented for files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_json(value: Any, *, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else None
    return json.dumps(value, indent=indent, separators=separators, ensure_ascii=False, default=_plain)


def write_json(path: Path, value: Any) -> Path:
    """Write a document whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
