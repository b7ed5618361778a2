"""Tab completion: verbs, choices (`recipe=`, `hardware=`), and the keys that people type."""

from collections.abc import Iterator
from typing import Any, Final

import argcomplete

from recipe_runner import library
from recipe_runner.cli import VERBS, parser
from recipe_runner.paths import shipped

KEYS: Final = (
    *("parallelism.tp=", "parallelism.dp=", "parallelism.pp=", "serve.port=", "serve.max_model_len="),
    *("engine.url=", "model.path=", "report.folder=", "timeouts.ready_s=", "preflight.host="),
)
GROUPS: Final = ("hardware", "engine", "validation", "benchmark")


def complete() -> None:
    """Answer the shell and exit; called only when the shell asks."""
    top = parser("run")
    (overrides,) = (action for action in top._actions if action.dest == "overrides")
    overrides.completer = _words  # type: ignore[attr-defined]
    argcomplete.autocomplete(top, always_complete_options=False)


def _words(prefix: str, **_: Any) -> Iterator[str]:
    key, equals, _value = prefix.partition("=")
    if not equals:
        yield from (f"{group}=" for group in ("recipe", *GROUPS))
        yield from KEYS
        yield from VERBS
    elif key == "recipe":
        yield from (f"recipe={name}" for name in library.names(library.folders()))
    elif key in GROUPS:
        yield from (f"{key}={file.stem}" for file in shipped("conf").glob(f"{key}/*.yaml"))
        if key == "hardware":
            yield "hardware=auto"
