"""`run`: launch, check, measure, judge, report, tear down."""

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.interrupts import Interrupts
from recipe_runner.paths import short, typed
from recipe_runner.serialize import PATH, json_document, one_line, shell_word

if TYPE_CHECKING:
    from recipe_runner.plan import Plan
    from recipe_runner.sweep import Sweep

SUMMARY = "launch the server, run the recipe's checks and benchmarks, judge, report, tear down (the default)"
RESUME: Final = "recipe-run -m --resume"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_trust(parser)
    parser.add_argument("-m", "--multirun", action="store_true", help="run each point of a sweep: key=a,b")
    told = "with -m alone: go on with a sweep that was interrupted, with its own words"
    parser.add_argument("--resume", type=typed, metavar="FOLDER", help=told)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--trust`, for every verb that reads a recipe."""
    told = "let a recipe that is not yours load code, and VLLM_API_KEY go to a server elsewhere over http"
    parser.add_argument("--trust", action="store_true", help=told)


def run(args: argparse.Namespace) -> int:
    if args.resume or args.multirun:
        return _sweep(args)
    return one(args, stay=False)


def one(args: argparse.Namespace, *, stay: bool) -> int:
    """Plan and run one point; shared by `run` and `serve`."""
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is no result
        (plan,) = _plans(args)
        from recipe_runner import closing, console, runner  # HTTP and terminal code, which bad input does without

        record = runner.run(plan, console.Screen(), stay=stay)
        document = record.as_dict()
    with _result(record.folder):
        print(json_document(document)) if args.json else closing.of_run(document)
    _let_go()
    return record.exit_code


def _sweep(args: argparse.Namespace) -> int:
    """Begin a sweep, or go on with one."""
    with contextlib.redirect_stdout(sys.stderr):
        points = _resumed(args) if args.resume else _begun(args)
        from recipe_runner import closing, console, runner

        if points.left:
            runner.sweep(points, console.Screen())
        else:
            _tell(f"every point of {points.folder} has its result")
        document = points.as_dict()
    with contextlib.suppress(OSError):
        for fault in dict.fromkeys((*(each for faults in points.errors.values() for each in faults), *points.losses)):
            _tell(f"recipe-run: {fault}")
        with _result(points.folder):
            print(json_document(document)) if args.json else closing.of_sweep(document)
        if points.left:
            again = f"{RESUME} {shell_word(str(points.folder))}{' --trust' * args.trust}"
            _tell(f"{len(points.left)} of {len(points.plans)} points have no result; to go on: {again}")
    _let_go()
    return points.exit_code


def _begun(args: argparse.Namespace) -> "Sweep":
    plans = _plans(args, sweep=True)
    from recipe_runner.sweep import Sweep

    return Sweep.of(plans, args.overrides, args.config_dir, trust=args.trust)


def _resumed(args: argparse.Namespace) -> "Sweep":
    from recipe_runner import sweep

    if args.overrides or args.config_dir or not args.multirun:
        do = f"write {RESUME} {shell_word(str(args.resume))}, or begin a new sweep without --resume"
        raise RecipeError(Fault("--resume", "a sweep is gone on with as it was begun, with its own words", do))
    folder = sweep.newest(args.resume)
    document = sweep.read(folder)
    if document.trust and not args.trust:
        do = f"if you still trust it: {RESUME} {shell_word(str(folder))} --trust"
        raise RecipeError(Fault("--trust", "this sweep was begun with --trust, which is not taken from a file", do))
    args.overrides, args.config_dir = document.words, document.config_dirs
    return sweep.Sweep.resumed(folder, document, _plans(args, sweep=True))


def _plans(args: argparse.Namespace, *, sweep: bool = False) -> "list[Plan]":
    if sys.platform != "linux" and not any(word.startswith("engine=attach") for word in args.overrides):
        do = "use WSL2, or attach to a server elsewhere with engine=attach engine.url=http://HOST:PORT"
        raise RecipeError(Fault("platform", f"{sys.platform} cannot run vLLM servers", do))
    from recipe_runner import prepare
    from recipe_runner.host import orphans

    for orphan in orphans.survey():
        _tell(f"note: {orphan.told()}; {orphans.CURE}")
    with Interrupts() as interrupts, interrupts.listening():
        return prepare.plans(args.overrides, args.config_dir, sweep=sweep, launching=True, trust=args.trust, tell=_tell)


def _tell(text: str) -> None:
    print(one_line(text, PATH), file=sys.stderr)


@contextlib.contextmanager
def _result(folder: Path) -> Iterator[None]:
    """Where a result cannot be written, that is told; the verdict stands, and its reports are in the folder."""
    try:
        yield
        sys.stdout.flush()
    except OSError as exc:
        if exc.errno != errno.EPIPE:  # `| head` has seen enough
            with contextlib.suppress(OSError):
                what = f"stdout — cannot be written: {exc.strerror}; make room there, or see {short(folder)}"
                _tell(f"recipe-run: {what}")


def _let_go() -> None:
    """Where nobody reads any more Python cannot end well; the verdict, which is the exit code, stands."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
