"""`run`: launch, check, measure, judge, report, tear down."""

import argparse
import contextlib
import os
import sys

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.interrupts import Interrupts
from recipe_runner.serialize import one_line, to_json
from recipe_runner.verdict import BAD_INPUT, worst

SUMMARY = "launch the server, run the recipe's checks and benchmarks, judge, report, tear down (the default)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_trust(parser)
    parser.add_argument("-m", "--multirun", action="store_true", help="run each point of a sweep: key=a,b")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--trust`, for every verb that reads a recipe."""
    told = "let a recipe that is not yours load code, and VLLM_API_KEY go to a server elsewhere over http"
    parser.add_argument("--trust", action="store_true", help=told)


def run(args: argparse.Namespace) -> int:
    return execute(args, sweep=args.multirun, stay=False)


def execute(args: argparse.Namespace, *, sweep: bool, stay: bool) -> int:
    """Plan and run; shared by `run` and `serve`."""
    if sys.platform != "linux" and not any(word.startswith("engine=attach") for word in args.overrides):
        do = "use WSL2, or attach to a server elsewhere with engine=attach engine.url=http://HOST:PORT"
        raise RecipeError(Fault("platform", f"{sys.platform} cannot run vLLM servers", do))
    from recipe_runner import prepare
    from recipe_runner.host import orphans

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    for orphan in orphans.survey():
        tell(f"note: {orphan.told()}; {orphans.CURE}")
    with Interrupts() as interrupts, interrupts.listening():
        plans = prepare.plans(args.overrides, args.config_dir, sweep=sweep, launching=True, trust=args.trust, tell=tell)
    from recipe_runner import console, runner  # HTTP and terminal code, which bad input does without

    records, faults = runner.run(plans, console.Screen(), stay=stay)
    documents = [record.as_dict() for record in records]
    with contextlib.suppress(OSError):
        for fault in faults:
            tell(f"recipe-run: {one_line(str(fault), most=4000)}")
        if args.json:
            print(to_json(documents if sweep else documents[0], indent=2))
        else:
            for document in documents:
                console.closing(document)
    _let_go()
    return worst([record.exit_code for record in records] + [BAD_INPUT] * bool(faults))


def _let_go() -> None:
    """Where nobody reads any more Python cannot end well; the verdict, which is the exit code, stands."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
