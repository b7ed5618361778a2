"""`serve`: launch and check, then stay up until Ctrl-C."""

import argparse

from recipe_runner.verbs import run as run_verb

SUMMARY = "launch the server, run the recipe's checks, then stay up until Ctrl-C"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    run_verb.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    return run_verb.one(args, stay=True)
