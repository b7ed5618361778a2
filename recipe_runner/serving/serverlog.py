"""What a server's log tells: its last line, the lines about a failure, the memory that vLLM found."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recipe_runner.secrets import SECRET_NAME, beginning, ending

HEAD: Final = 256 << 10  # bytes: a server that does not start tells so early; one that dies later, at the end
TAIL: Final = 512 << 10
MOST: Final = 10_000  # lines of each end
WIDE: Final = 1000  # characters of a line that are looked at
SOURCE: Final = 4  # columns by which a traceback indents the code of a frame
SHOWN: Final = 300  # and that a person sees
LAST: Final = 64 << 10  # bytes: what the last lines are looked for in
ROUTINE: Final = re.compile(r'HTTP/1\.\d" 2\d\d\b')  # a request that was answered: there are thousands
ORIGIN: Final = re.compile(  # what vLLM puts before a line, and before each line of a longer message
    r"(?:\([\w .=-]+ pid=\d+[^)]*\) )?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)(?: [\d-]+ [\d:.]+ \[[^\]]*\]|:) ?)?"
)
HARMLESS: Final = ("DEBUG", "INFO", "WARNING")
TELLING: Final = re.compile(
    r"^[\w.]*(Error|Exception)\b|^[\w.]+\.Unsupported\b|^Value error,|\berror:|\bFATAL\b|\bCRITICAL\b"
)
AFTERMATH: Final = re.compile(
    r"^(RuntimeError: (Engine core initialization failed|Worker failed with error)"
    r"|Exception: WorkerProc initialization failed|.*EngineDeadError|.*died unexpectedly)"
)
MEMORY: Final = {  # as vLLM 0.20 to 0.32 log them
    "weights_gib": re.compile(r"Model loading took (\d+(?:\.\d+)?) ?GiB"),
    "kv_gib": re.compile(r"Available KV cache memory: (\d+(?:\.\d+)?) GiB"),
    "kv_tokens": re.compile(r"KV cache size: (\d[\d,]*) tokens"),
}


@dataclass(frozen=True)
class Line:
    """A line of a log, fit to be shown; what is left of it without vLLM's prefix, and how far that is indented."""

    whole: str
    bare: str
    indent: int
    harmless: bool

    @classmethod
    def of(cls, whole: str) -> "Line":
        prefix = ORIGIN.match(whole)
        rest = whole[prefix.end() :] if prefix else whole
        bare = rest.strip()
        return cls(whole.strip(), bare, len(rest) - len(rest.lstrip()), bool(prefix and prefix["level"] in HARMLESS))


def last_line(log: Path) -> str:
    """The last line of a log, for a person to look at."""
    lines = _read(log, 0, LAST)
    return next((text.strip()[:SHOWN] for line in reversed(lines) if (text := _clean(line, os.environ))), "")


def last_lines(log: Path, most: int = 20) -> tuple[str, ...]:
    """The last lines of a log, of those that say more than that a request was answered."""
    secret = _secrets()
    told = (_clean(line, secret) for line in _read(log, 0, LAST) if not ROUTINE.search(line[: 2 * WIDE]))
    return tuple(text.strip()[:SHOWN] for text in told if text)[-most:]


def failure_lines(log: Path) -> list[Line]:
    """The lines of a log's two ends that may tell of a failure.

    Left out is what vLLM itself logs as a lesser thing, and the source code in tracebacks, which may quote any message.
    """
    found: list[Line] = []
    in_frame = False
    for line in (line for line in _lines(log) if not line.harmless):
        in_frame &= line.indent >= SOURCE
        if not in_frame:
            found.append(line)
        in_frame |= line.bare.startswith('File "')
    return found


def telling_lines(log: Path, most: int = 5) -> tuple[str, ...]:
    """The lines of a log that tell what went wrong: the last that name an error, none twice, else the last ones.

    What processes say of each other after the first of them failed is left out if anything else was said.
    """
    lines = _lines(log)
    errors = [line for line in lines if TELLING.search(line.bare) and not line.harmless]
    causes = [line for line in errors if not AFTERMATH.search(line.bare)]
    first = {line.bare: line.whole for line in reversed(causes or errors)}
    told = list(reversed(first.values())) or [line.whole for line in lines]
    return tuple(line[:SHOWN] for line in told[-most:])


def logged_memory(log: Path) -> dict[str, float]:
    """What vLLM says of a device's memory, as far as it does: `weights_gib`, `kv_gib`, `kv_tokens`."""
    try:
        with log.open("rb") as file:
            text = file.read(4 << 20).decode(errors="replace")  # vLLM says so while it starts
    except OSError:
        return {}
    matches = {name: pattern.search(text) for name, pattern in MEMORY.items()}
    return {name: float(match[1].replace(",", "")) for name, match in matches.items() if match}


def _read(log: Path, head: int, tail: int) -> Sequence[str]:
    """The lines at the two ends of a log, but those of which only a part is there, that may be half a secret."""
    begin = b""
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if cut := size > head + tail:
                begin = file.read(head)
                file.seek(size - tail)
            end = file.read(head + tail)
    except OSError:
        return ()
    first, last = (data.decode(errors="replace").splitlines() for data in (begin, end))
    if not cut:
        return last
    return [*first[:-1], *(last[1:] or (ending(line, WIDE, os.environ) for line in last))]


def _lines(log: Path) -> list[Line]:
    lines = _read(log, HEAD, TAIL)
    ends = lines if len(lines) <= 2 * MOST else [*lines[:MOST], *lines[-MOST:]]
    secret = _secrets()
    return [Line.of(text) for text in (_clean(line, secret) for line in ends) if text]


def _secrets() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if SECRET_NAME.search(name)}


def _clean(line: str, environ: Mapping[str, str]) -> str:
    """A line without what steers a terminal, and without secrets; empty if it tells nothing."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", line)
    text = "".join(char for char in text if char.isprintable()).rstrip()
    return beginning(text, WIDE, environ) if text and "nanobind" not in text else ""
