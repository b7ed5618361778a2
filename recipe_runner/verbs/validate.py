"""`validate`: does evidence still hold, can a recipe be composed."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from recipe_runner.errors import Fault, RecipeError
from recipe_runner.evidence import files
from recipe_runner.evidence.check import Finding, check
from recipe_runner.paths import short, typed
from recipe_runner.serialize import PATH, json_document, one_line
from recipe_runner.verbs import run as run_verb

SUMMARY = "does evidence still hold, can a recipe be composed; one line for each finding"
EXITS: Final = "exit code: 0 all hold, notes aside · 1 something is wrong or stale · 2 bad input"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXITS
    parser.add_argument(
        "paths", nargs="+", type=typed, metavar="PATH", help="evidence, a recipe's file, or a folder of either"
    )
    parser.add_argument("--log", type=typed, metavar="FILE", help="the server's log of one file of evidence")
    run_verb.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    named = dict.fromkeys(file for path in args.paths for file in _files(path))
    if args.log is not None and (len(named) != 1 or not files.is_evidence(files.read(*named))):
        raise RecipeError(Fault("--log", "it is the log of one run", "name one file of evidence with it"))
    if args.log is not None and not args.log.is_file():
        raise RecipeError(Fault("--log", f"there is no file {args.log}", "check the path"))
    found = {file: list(_findings(file, args)) for file in named}
    if args.json:
        listed = [{"file": short(file), "findings": [one._asdict() for one in ones]} for file, ones in found.items()]
        print(json_document({"format": 1, "files": listed}))
    else:
        for file, ones in found.items():
            print(one_line(short(file), PATH))
            for one in ones:
                print(f"  {one.state:<9}  {one_line(one.part)}{one.what and ': '}{one_line(one.what, most=4000)}")
    return 0 if all(one.holds for ones in found.values() for one in ones) else 1


def _files(path: Path) -> Iterator[Path]:
    """What there is to be looked at: of a folder all evidence in it, and the recipes that stand directly in it."""
    if path.is_file():
        yield path
        return
    if not path.exists():
        raise RecipeError(Fault(short(path), "there is no such file or folder", "check the path"))
    recipes, evidence = sorted(path.glob("*.yaml")), sorted(path.rglob("*.json"))
    inside = [*filter(_looks_like_one, recipes), *filter(_is_one, evidence)]
    if not inside:
        do = "name a file of evidence, a recipe's file, or a folder with some"
        raise RecipeError(Fault(short(path), "there is neither evidence nor a recipe in it", do))
    yield from inside


def _looks_like_one(file: Path) -> bool:
    """Whether it is a recipe, or cannot be read."""
    from recipe_runner.authoring.lint import is_recipe
    from recipe_runner.composition.yamlfile import read

    try:
        return is_recipe(read(file)[0])
    except RecipeError:
        return True


def _is_one(file: Path) -> bool:
    """Whether it is evidence, or was before it was damaged."""
    document = files.read(file)
    return document is None or files.is_evidence(document)


def _findings(file: Path, args: argparse.Namespace) -> Iterator[Finding]:
    """What is said of one file, by what it is."""
    if file.suffix == ".yaml":
        yield from _recipe(file, args)
        return
    document: Any = files.read(file)
    if document is None:
        yield Finding("wrong", "format", "it holds no JSON")
    elif not files.is_evidence(document):
        raise RecipeError(Fault(short(file), "this is neither evidence nor a recipe", "name a file that is"))
    else:
        yield from check(file, document, args.config_dir, args.log, trust=args.trust)


def _recipe(file: Path, args: argparse.Namespace) -> Iterator[Finding]:
    """What is wrong with a recipe, as such and on each profile that it names; if nothing is, what could be better."""
    from recipe_runner import prepare
    from recipe_runner.authoring.lint import remarks
    from recipe_runner.composition.yamlfile import read

    path = str(file.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    faults: dict[Fault, None] = {}
    notes: dict[Fault, None] = {}
    try:
        profiles = read(file)[0].get("profiles")
        for hardware in ("host", *(profiles if isinstance(profiles, dict) else ())):
            words = [f"recipe='{path}'", f"hardware='{hardware}'"]
            try:
                _, request = prepare.requested(words, args.config_dir, trust=args.trust)
                notes |= dict.fromkeys(remarks(request) if hardware == "host" else ())
            except RecipeError as exc:
                faults |= dict.fromkeys(exc.faults)
    except RecipeError as exc:
        faults |= dict.fromkeys(exc.faults)
    yield from [Finding("wrong", "recipe", str(fault)) for fault in faults] or [Finding("ok", "recipe")]
    yield from (Finding("note", "recipe", str(note)) for note in notes if not faults)
