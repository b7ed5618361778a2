"""Text as we write it: JSON, compact for events and indented for files; what others said, on one line."""

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
    # what UTF-8 cannot hold, half a surrogate pair, is written as JSON escapes it
    part.write_text(to_json(value, indent=2) + "\n", encoding="utf-8", errors="backslashreplace")
    part.replace(path)
    return path


def one_line(text: str, most: int = 500) -> str:
    """Text from elsewhere on one line: control characters escaped, so that none can steer a terminal; cut if long."""
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])
    return plain if len(text) <= most else f"{plain}…"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
