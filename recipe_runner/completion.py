"""Tab completion: verbs, choices (`recipe=`, `hardware=`), and the keys that people type."""

import argparse
import functools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import argcomplete

from recipe_runner.composition import library
from recipe_runner.paths import shipped

KEYS: Final = (
    *("parallelism.tp=", "parallelism.dp=", "parallelism.pp=", "serve.port=", "serve.max_model_len="),
    *("engine.url=", "model.path=", "report.folder=", "timeouts.ready_s=", "preflight.host="),
)
GROUPS: Final = ("hardware", "engine", "validation", "benchmark")


def complete(parser: argparse.ArgumentParser, verbs: Iterable[str]) -> None:
    """Answer the shell and exit; called only when the shell asks."""
    (overrides,) = (action for action in parser._actions if action.dest == "overrides")
    overrides.completer = functools.partial(_words, verbs)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False)


def _words(verbs: Iterable[str], prefix: str, **_: Any) -> Iterator[str]:
    key, equals, _value = prefix.partition("=")
    if not equals:
        yield from (f"{group}=" for group in ("recipe", *GROUPS))
        yield from KEYS
        yield from verbs
    elif key == "recipe":
        yield from (f"recipe={name}" for name in library.names(library.folders()))
    elif key in GROUPS:
        yield from (f"{key}={file.stem}" for file in shipped("conf").glob(f"{key}/*.yaml"))
        if key == "hardware":
            yield "hardware=auto"
