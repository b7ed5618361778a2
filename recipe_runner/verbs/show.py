"""`show`: one recipe: what it says, what it expects, where each of its values stands."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from recipe_runner import prepare
from recipe_runner.composition import library
from recipe_runner.composition.layers import TYPED
from recipe_runner.composition.schema import Request
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.evidence import files
from recipe_runner.paths import short
from recipe_runner.serialize import PATH, json_document, one_line, to_json
from recipe_runner.verbs import run as run_verb

SUMMARY = "one recipe: what it says and what it expects, with the file and line of each value"
SECTIONS = ("model", "parallelism", "serve", "env", "validation", "benchmark", "expected", "diagnosis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", default="", help="the recipe's name or file")
    run_verb.add_trust(parser)


def names() -> Iterable[str]:
    return library.names(library.folders())


def run(args: argparse.Namespace) -> int:
    if "=" in args.recipe:
        raise RecipeError(Fault("show", f"{args.recipe} is an override, not a recipe", "write `recipe-run show NAME`"))
    if not args.recipe:
        existing = library.names(library.folders(args.config_dir))
        raise RecipeError(Fault("show", "no recipe was named", choose("", existing)))
    words = [f"recipe={args.recipe}", *args.overrides]
    composed, request = prepare.requested(words, args.config_dir, trust=args.trust)
    values = {section: request.folded.values[section] for section in SECTIONS if section in request.folded.values}
    found = list(files.of(request.recipe_file, library.folders(args.config_dir)))
    if args.json:
        values |= {"verified": [one.as_dict() for one in found]} if found else {}
        head = {"format": 1, "recipe": request.recipe, "file": short(request.recipe_file), "summary": request.summary}
        print(json_document({**head, "hardware": request.hardware_name, **values}))
        return 0
    print(" — ".join(filter(None, (one_line(request.recipe), one_line(request.summary)))))
    print(f"{one_line(short(request.recipe_file), PATH)}, on hardware={request.hardware_name}")
    for warning in composed.warnings:
        print(f"note: {one_line(warning)}")
    for section, value in values.items():
        print(f"\n{section}:")
        for line in _lines(request, value, section, 1):
            print(line)
    if found:
        print("\nverified:")
    for one in found:
        print(_beside(f"  {one_line(one.told)}", short(one.file)))
    return 0


def _lines(request: Request, values: dict[str, Any], at: str, depth: int) -> Iterator[str]:
    for key, value in values.items():
        here = f"{at}.{key}"
        if isinstance(value, dict):
            yield f"{'  ' * depth}{one_line(key)}:"
            yield from _lines(request, value, here, depth + 1)
            continue
        origin = request.folded.origins[here]
        text = f"{'  ' * depth}{one_line(key)}: {one_line(to_json(value), most=10_000)}"
        yield _beside(text, str(origin) if origin.layer != TYPED else TYPED)


def _beside(text: str, source: str) -> str:
    return f"{text:<58}  # {one_line(source, PATH)}".rstrip()
