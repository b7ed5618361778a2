"""`schema`: what a recipe may say, for editors."""

import argparse

from recipe_runner.serialize import json_document

SUMMARY = "the JSON Schema of a recipe, with all checks and benchmarks that are installed; for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "recipe-run schema > recipes/recipe.schema.json"


def run(args: argparse.Namespace) -> int:  # noqa: ARG001
    from recipe_runner.authoring.schema import document

    print(json_document(document()))
    return 0
