"""The command line: a verb, its options, and overrides. The one place where errors become words and exit codes."""

# PYTHON_ARGCOMPLETE_OK
import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from recipe_runner.errors import Fault, Interrupted, RecipeError, choose

VERBS: Final = (
    *("run", "plan", "serve", "list", "show", "setup", "doctor", "compare", "record", "validate"),
    *("new", "schema"),
)
TAKES_OVERRIDES: Final = ("run", "plan", "serve", "show")
ELSEWHERE: Final = {  # verbs of other programs
    **dict.fromkeys(("bench", "benchmark", "launch"), "run"),
    **{"start": "serve", "stop": "doctor --clean", "init": "new", "version": "--version"},
}


class Parser(argparse.ArgumentParser):
    """argparse, with faults instead of usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise RecipeError(Fault(self.prog, message, f"see {self.prog} --help"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    _streams()
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:
        from recipe_runner import completion

        completion.complete(VERBS, parser, names)
    code = 0
    try:
        try:
            code = _dispatch(words)
        except RecipeError as exc:
            code = exc.exit_code
            _tell(exc, as_json="--json" in words)
        sys.stdout.flush()  # not at exit, where nothing can be done any more about a reader that has gone
        return code
    except (Interrupted, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except OSError as exc:
        if exc.filename is not None or exc.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            return _bug()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if exc.errno != errno.EPIPE:  # `| head` has seen enough
            print(f"recipe-run: stdout — cannot be written: {exc.strerror}; make room there", file=sys.stderr)
            return code or RecipeError.exit_code
        return code
    except Exception:
        return _bug()


def _bug() -> int:
    """Tell of the exception that is being handled, and that it should not be."""
    import traceback

    from recipe_runner.secrets import mask
    from recipe_runner.serialize import one_line

    for line in mask(traceback.format_exc(), os.environ).splitlines():
        print(one_line(line, most=4000), file=sys.stderr)
    print("recipe-run: this is a bug; please report it with the lines above", file=sys.stderr)
    return 70


def _streams() -> None:
    """Have streams to write to, whatever we were started with: none is closed, and each can say `→` somehow."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # or a log would be opened in the place of a closed one
        pass
    os.close(spare)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        from recipe_runner import __version__

        print(f"recipe-run {__version__}")
        return 0
    verb, rest = _verb(words)
    if verb is None:
        from recipe_runner import help as pages

        print(pages.front())
        return 0
    module = importlib.import_module(f"recipe_runner.verbs.{verb}")
    try:
        Path.cwd()
    except FileNotFoundError as exc:
        what, do = "the folder that you are in was removed", "change into one that exists"
        raise RecipeError(Fault("recipe-run", what, do)) from exc
    made = parser(verb)
    args, left = made.parse_known_intermixed_args(rest)
    if left and verb in TAKES_OVERRIDES:
        from recipe_runner.composition import misread

        raise RecipeError(*misread.options(made.prog, left))
    if left:
        made.error(f"unrecognized arguments: {' '.join(left)}")
    try:
        return int(module.run(args))
    except SystemExit:  # no verb of ours ends that way, but a plugin may, and its code is no verdict
        return _bug()


def _verb(words: list[str]) -> tuple[str | None, list[str]]:
    """The verb and what is left; None for the front page. No verb before overrides or options means `run`."""
    if not words or words[0] in ("-h", "--help", "help"):
        return None, []
    first, *rest = words
    if first in VERBS:
        return first, rest
    if first.startswith("-") or "=" in first or first.startswith("~"):
        return "run", words
    from recipe_runner.composition.space import Space

    if first.endswith(".yaml"):
        do = f"write recipe={first}"
    elif first in ELSEWHERE:
        do = f"write recipe-run {ELSEWHERE[first]}"
    else:
        meant = Space().bare(first)
        do = meant.do if meant else choose(first, VERBS)
    raise RecipeError(Fault(first, "there is no such verb", do))


def parser(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb."""
    from recipe_runner import help as pages

    module = importlib.import_module(f"recipe_runner.verbs.{verb}")
    made = Parser(
        prog=f"recipe-run {verb}",
        description=module.SUMMARY,
        epilog=pages.OVERRIDES if verb in TAKES_OVERRIDES else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(made)
    made.add_argument("--json", action="store_true", help="one JSON document on stdout, errors too")
    if verb in (*TAKES_OVERRIDES, "list", "new", "validate"):
        made.add_argument(
            "--config-dir",
            action="append",
            default=[],
            type=Path,
            metavar="DIR",
            help="a folder with hardware/, recipes/, …",
        )
    if verb in TAKES_OVERRIDES:
        made.add_argument("overrides", nargs="*", metavar="key=value", help="choices and values, see below")
    return made


def names(verb: str) -> Iterable[str]:
    """What a word after the verb can be, where it is a name; for completion."""
    module = importlib.import_module(f"recipe_runner.verbs.{verb}")
    return module.names() if hasattr(module, "names") else ()


def _tell(error: RecipeError, *, as_json: bool) -> None:
    from recipe_runner.serialize import json_document, one_line

    if as_json:
        print(json_document({"format": 1, "errors": list(map(asdict, error.faults))}))
        return
    for fault in error.faults:
        print(f"recipe-run: {one_line(str(fault), most=4000)}", file=sys.stderr)
