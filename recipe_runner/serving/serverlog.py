"""What a server's log tells: its last line, the lines about a failure, the memory that vLLM found."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from recipe_runner.secrets import mask

TELLING: Final = re.compile(r"\b\w*(Error|Exception)\b|\berror:|\bFATAL\b|\bCRITICAL\b")
MEMORY: Final = {  # as vLLM 0.20 to 0.32 log them
    "weights_gib": re.compile(r"Model loading took ([\d.]+) ?GiB"),
    "kv_gib": re.compile(r"Available KV cache memory: ([\d.]+) GiB"),
    "kv_tokens": re.compile(r"KV cache size: ([\d,]+) tokens"),
}


def last_line(log: Path, most: int = 4096) -> str:
    """The last line of a log, for a person to look at."""
    return next(_backwards(log, most), "")


def telling_lines(log: Path, most: int = 5) -> tuple[str, ...]:
    """The lines of a log that tell what went wrong: the last that name an error, else the last ones."""
    lines = list(_backwards(log, 1 << 20))
    errors = list(dict.fromkeys(line for line in lines if TELLING.search(line)))
    return tuple(reversed((errors or lines)[:most]))


def logged_memory(log: Path) -> dict[str, float]:
    """What vLLM says of a device's memory, as far as it does: `weights_gib`, `kv_gib`, `kv_tokens`."""
    try:
        with log.open("rb") as file:
            text = file.read(4 << 20).decode(errors="replace")  # vLLM says so while it starts
    except OSError:
        return {}
    matches = {name: pattern.search(text) for name, pattern in MEMORY.items()}
    return {name: float(match[1].replace(",", "")) for name, match in matches.items() if match}


def _backwards(log: Path, most: int) -> Iterator[str]:
    """A log's lines from its end, control characters taken out."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most))
            lines: Sequence[str] = file.read().decode(errors="replace").splitlines()
    except OSError:
        return
    for line in reversed(lines):
        text = re.sub(r"\x1b\[[0-9;]*m", "", line)
        text = mask("".join(char for char in text if char.isprintable()).strip(), os.environ)
        if text and "nanobind" not in text:
            yield text[:300]
