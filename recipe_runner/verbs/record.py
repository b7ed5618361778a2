"""`record`: keep what a run came to as evidence beside its recipe."""

import argparse
import sys

from recipe_runner.paths import short, there, typed
from recipe_runner.serialize import PATH, json_document, one_line

SUMMARY = "keep what a run came to as evidence beside its recipe, for `validate` to check"

REPORT = "report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=typed, metavar="RUN", help="the run's folder, runs/RECIPE/HARDWARE/TIME-ID, or its report.json"
    )
    parser.add_argument("--to", type=typed, metavar="FOLDER", help="instead of `results` beside the recipe")
    parser.add_argument("--note", default="", metavar="TEXT", help="what a reader should know of it")


def run(args: argparse.Namespace) -> int:
    from recipe_runner.evidence.record import record

    run = args.run.parent if args.run.name == REPORT and there(args.run) else args.run
    done = record(run, args.to, args.note)
    if args.json:
        print(json_document({"format": 1, "file": short(done.file), "new": done.new, "evidence": done.document}))
        return 0
    if (verdict := done.document["verdict"]) != "passed":
        print(f"note: the run {_came_to(verdict)}, so the recipe does not count as verified by it", file=sys.stderr)
    elif typed := done.document["as_typed"]:
        told = f"it was run with {', '.join(typed)}, and the recipe says otherwise"
        print(f"note: {told}, so the recipe does not count as verified by it", file=sys.stderr)
    if not done.new:
        print("note: it was recorded before", file=sys.stderr)
    print(one_line(short(done.file), PATH))
    return 0


def _came_to(verdict: str) -> str:
    return "was inconclusive" if verdict == "inconclusive" else verdict
