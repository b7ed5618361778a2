"""Which flags the installed vLLM knows: read once for each version from its own `--help=all`, then from our cache.

vLLM's parser costs 13 to 25 s of imports, so `options` only looks into the cache, and `learn` is called where there is
time for it.
"""

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.paths import cache
from recipe_runner.serialize import safe_line, write_json

LIMIT_S: Final = 180.0
FORMAT: Final = 2
OPTION_LINE: Final = re.compile(r"^  (-\S.*)$", re.M)  # descriptions, and examples of use, stand further right
CHOICES: Final = re.compile(r"(--[a-z0-9-]+) \{([^{}]+)\}(?:, -\S+ \{[^{}]+\})?")  # and nothing besides, as for lists
NAME: Final = re.compile(r"(?:^|, )(--[A-Za-z0-9][\w-]*)")
UNSAFE: Final = re.compile(r"[^A-Za-z0-9.+-]")
SPOKEN: Final = {**dict.fromkeys(("yes", "on"), "true"), **dict.fromkeys(("no", "off"), "false")}
SURE: Final = "--port"  # what has not even this is no list of vLLM's flags
QUIET: Final = {"COLUMNS": "200", "NO_COLOR": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class Flags(frozenset[str]):
    """Every `--flag` of a vLLM; `choices` are the values of those that take only some."""

    choices: Mapping[str, Sequence[str]]

    def __new__(cls, names: Iterable[str], choices: Mapping[str, Sequence[str]] | None = None) -> "Flags":
        flags = super().__new__(cls, names)
        flags.choices = choices or {}
        return flags


class Unknown(NamedTuple):
    """A key under `serve` that this vLLM has no flag for: the nearest that it has, and what to do."""

    key: str
    nearest: str | None
    do: str


def options(program: tuple[str, ...], version: str | None) -> Flags | None:
    """Every `--flag` of `program serve`, from the cache; None if it was not read yet."""
    try:
        known = json.loads(_file(program, version).read_text(encoding="utf-8"))
        flags = Flags(map(str, known["flags"]), dict(known["choices"])) if known["format"] == FORMAT else Flags(())
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return flags if SURE in flags else None


def learn(program: tuple[str, ...], version: str | None) -> Flags:
    """Ask vLLM itself, which takes 10 to 25 s, and remember it.

    Raises:
        RecipeError: it does not say.

    """
    flags = parse(_help((*program, "serve", "--help=all")))
    if SURE not in flags:
        raise _fault(program, "it lists no flags")
    with contextlib.suppress(OSError):  # without a cache it is asked again
        file = _file(program, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        head = {"format": FORMAT, "program": program, "version": version}
        write_json(file, {**head, "flags": sorted(flags), "choices": flags.choices})
    return flags


def parse(text: str) -> Flags:
    """Every `--flag` in the text of `vllm serve --help=all`: `--no-` forms and other names of the same flag, too."""
    invocations = [re.split(r" {2,}", line, maxsplit=1)[0] for line in OPTION_LINE.findall(text)]
    choices = {found[1]: found[2].split(",") for line in invocations if (found := CHOICES.fullmatch(line))}
    return Flags((name for line in invocations for name in NAME.findall(line)), choices)


def unknown(serve: Mapping[str, Any], known: Set[str]) -> Iterator[Unknown]:
    """The keys under `serve` whose flag does not exist; of `a_config.key` only what stands before the dot is judged."""
    for key, value in serve.items():
        name = key.partition(".")[0].replace("_", "-")
        if value is None or (f"--no-{name}" if value is False else f"--{name}") in known:
            continue
        if value is False and f"--{name}" in known:
            yield Unknown(key, None, f"it can only be switched on: take it away with serve.{key}=null")
            continue
        opposite = name.replace("disable-", "enable-", 1)
        if opposite != name and {f"--{opposite}", f"--no-{opposite}"} <= known:
            other = opposite.replace("-", "_")
            yield Unknown(key, other, f"this vLLM calls it {other}, and means the opposite")
            continue
        nearest = _nearest(name, known)
        do = "take it away, or use a vLLM that has it"
        yield Unknown(key, nearest, f"did you mean {nearest}? Otherwise {do}" if nearest else do)


def switches(serve: Mapping[str, Any], known: Set[str] | None) -> Iterator[tuple[str, str]]:
    """The keys under `serve` whose flag takes no value and got one, which vLLM would refuse; with what to write."""
    for key, value in serve.items():
        meant = SPOKEN.get(str(value).lower())
        takes_none = f"--no-{key.replace('_', '-')}" in (known or ())
        if not isinstance(value, bool | None) and (meant or takes_none):
            yield key, f"write {meant or 'true or false'}"


def misvalued(serve: Mapping[str, Any], known: Flags | None) -> Iterator[tuple[str, str, str]]:
    """The keys under `serve` whose flag takes only some values, and got another; with those that it takes."""
    for key, value in serve.items():
        choices = known.choices.get(f"--{key.replace('_', '-')}") if known else None
        if choices and isinstance(value, str | int | float) and str(value) not in choices:
            yield key, "is none of the values that this vLLM takes", choose(str(value), choices)


def _nearest(name: str, known: Set[str]) -> str | None:
    """The flag that was meant, with underscores: the only one that begins so, else the one most alike."""
    names = sorted(flag for option in known if not (flag := option.removeprefix("--")).startswith("no-"))
    begun = [flag for flag in names if flag.startswith(name)]
    near = begun if len(begun) == 1 else difflib.get_close_matches(name, names, n=1)
    return near[0].replace("-", "_") if near else None


def _file(program: tuple[str, ...], version: str | None) -> Path:
    """Where they are kept; a program of unknown version is told from a later one by its file's date."""
    place = shutil.which(program[0]) if program else None
    words = [str(Path(place).absolute()) if place else "", *program[1:]]
    if version is None and place:
        words.append(str(Path(place).stat().st_mtime_ns))
    digest = hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:12]
    return cache() / "flags" / f"{UNSAFE.sub('_', version or 'unknown')}-{digest}.json"


def _help(command: tuple[str, ...]) -> str:
    """What a command prints; it goes with everything it started, after `LIMIT_S` seconds at the latest."""
    try:
        child = subprocess.Popen(
            command,
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as exc:
        raise _fault(command[:-2], str(exc.strerror)) from exc
    try:
        text, errors = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as exc:
        raise _fault(command[:-2], f"no answer within {LIMIT_S:g} s") from exc
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    if child.returncode:
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), "")
        raise _fault(command[:-2], f"status {child.returncode}: {safe_line(last.strip(), 300)}")
    return text


def _fault(program: tuple[str, ...], why: str) -> RecipeError:
    what = f"`{' '.join(program)} serve --help=all` does not say which flags vLLM has: {why}"
    return RecipeError(Fault("engine.command", what, "try it in a terminal; vLLM may be broken"))
