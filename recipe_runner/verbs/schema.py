"""`schema`: what a recipe may say, for editors."""

import argparse

from recipe_runner.serialize import to_json

SUMMARY = "the JSON Schema of a recipe, with all checks and benchmarks that are installed; for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "recipe-run schema > recipes/recipe.schema.json"


def run(args: argparse.Namespace) -> int:  # noqa: ARG001
    from recipe_runner.authoring.schema import document

    print(to_json(document(), indent=2))
    return 0
