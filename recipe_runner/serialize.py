"""Text as we write it: JSON, compact for events and indented for files; what others said, on one line."""

import codecs
import json
import os
import re
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from recipe_runner.secrets import beginning

KINDS: Final = {"own": "own run"}  # of expected figures, what does not say it itself
MOST_PERCENT: Final = 1000  # beyond that it is ten times as much, or a hundred times: no noise to reckon with
PATH: Final = 4096  # characters of a file's name, which is not cut where it is shown
# what steers a terminal, ends a line for some readers, turns text round, or is half a character
UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def to_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """JSON as UTF-8 can hold it, with every character escaped that is not plainly text."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only, default=_plain)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_document(value: Any) -> str:
    """A document to print: whatever the locale, its bytes are JSON."""
    known = getattr(sys.stdout, "encoding", None) or "utf-8"
    return to_json(value, indent=2, ascii_only=codecs.lookup(known).name != "utf-8")


def from_json(text: str | bytes) -> Any:
    """What JSON from anybody says.

    Raises:
        ValueError: it is none, or nested more deeply than can be read.

    """
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def write_json(path: Path, value: Any) -> Path:
    """Write a document whole or not at all, whoever else writes it now."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def one_line(text: str, most: int = 500) -> str:
    """Text from elsewhere on one line: control characters escaped, so that none can steer a terminal; cut if long."""
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])
    return plain if len(text) <= most else f"{plain}…"


def safe_line(text: str, most: int = 500) -> str:
    """What a server, or a plugin, said: on one line, and without secrets, of which no cut leaves a half."""
    return one_line(beginning(text, most, os.environ), most + 1)


def quoted(text: str, most: int = 120) -> str:
    """How an answer begins, in quotes: control characters escaped, and without secrets."""
    return repr(beginning(text, most, os.environ))


def shell_word(text: str) -> str:
    """A word as a person would paste it into a shell; what could steer the terminal on the way is escaped for bash."""
    if all(char.isprintable() or char in "\n\t" for char in text):
        return shlex.quote(text)
    return "$'" + "".join(char if char.isprintable() and char not in "\\'" else _escaped(char) for char in text) + "'"


def _escaped(char: str) -> str:
    code = ord(char)
    if char in "\\'":
        return f"\\{char}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no character, as Python holds it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def around(percent: float) -> str:
    """How far a mean may be off by a ratio of so many percent upwards: `± 1.9 %`, or `−54.5 % to +120.0 %`."""
    if percent >= MOST_PERCENT:
        return f"−{100 * percent / (100 + percent):.1f} % to over +{MOST_PERCENT} %"
    down, up = (f"{each:.1f}" for each in (100 * percent / (100 + percent), percent))
    return f"± {up} %" if down == up else f"−{down} % to +{up} %"


def provenance(expected: Mapping[str, Any], name: str) -> str:
    """Where the expected figures of this name are from: on what, which vLLM, which workload, when, who says so."""
    vllm, kind = expected.get("vllm"), expected.get("kind")
    who = f"{KINDS.get(kind, kind)}: {expected['source']}" if kind else expected["source"]
    told = (expected["hardware"], vllm and f"vLLM {vllm}", f"workload {expected.get('workload') or name}")
    return "; ".join(filter(None, (*told, expected.get("date"), who)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
