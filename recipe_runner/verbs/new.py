"""`new`: write a first recipe for a model."""

import argparse
import sys
from typing import Any

from recipe_runner.paths import short, typed
from recipe_runner.serialize import PATH, json_document, one_line

SUMMARY = "write a first recipe from what the hub, or a folder, says of a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the recipe's name; it becomes ./recipes/NAME.yaml")
    parser.add_argument("--model", required=True, metavar="ID", help="owner/name on the hub, or a folder: ./FOLDER")
    hardware = parser.add_argument("--hardware", metavar="PROFILE", help="spread it so that it fits there")
    hardware.completer = _hardware  # type: ignore[attr-defined]
    parser.add_argument(
        "--to", type=typed, default="recipes", metavar="FOLDER", help="write there, instead of into ./recipes"
    )
    parser.add_argument("--offline", action="store_true", help="ask nobody; the model's facts are left out")


def run(args: argparse.Namespace) -> int:
    from recipe_runner.authoring.new import new

    made = new(args.name, args.model, args.hardware, args.to, args.config_dir, offline=args.offline)
    files = [short(file) for file in made.files]
    if args.json:
        print(json_document({"format": 1, "files": files, "notes": made.notes, "next": made.then}))
        return 0
    for note in made.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    print("\n".join(one_line(file, PATH) for file in files))
    print(f"next: {one_line(made.then, PATH)}", file=sys.stderr)
    return 0


def _hardware(**_: Any) -> list[str]:
    from recipe_runner.composition.space import Space

    return sorted(Space().names("hardware"))
