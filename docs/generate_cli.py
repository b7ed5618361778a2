"""The tables of reference/cli.md that follow from the parsers and the verdicts; used by generate.py."""

import argparse
import importlib
from collections.abc import Iterator

from generate_text import ours

from recipe_runner.cli import VERBS, parser
from recipe_runner.verdict import MEANINGS, WORST_FIRST


def verbs() -> Iterator[str]:
    """Each verb with what it does."""
    yield "| verb | what it does |\n| --- | --- |"
    yield from (f"| [`{verb}`](#{verb}) | {ours(_module(verb).SUMMARY)} |" for verb in VERBS)


def options() -> Iterator[str]:
    """For each verb how it is called, and its options."""
    for verb in VERBS:
        made = parser(verb)
        places = [action for action in made._actions if not action.option_strings]
        switches = [action for action in made._actions if action.option_strings]
        call = " ".join((f"recipe-run {verb}", "[options]", *map(_place, places)))
        yield f"### {verb}\n\n```text\n{call}\n```\n"
        yield "| word | what it is |\n| --- | --- |"
        yield from (f"| `{_place(action)}` | {_help(action)} |" for action in places)
        yield from (f"| {_switch(action)} | {_help(action)} |" for action in switches)
        again = [action for action in switches if isinstance(action, argparse._AppendAction)]
        yield from (f"\n`{action.option_strings[0]}` may be given again." for action in again)
        yield ""


def exit_codes() -> Iterator[str]:
    yield "| code | meaning |\n| ---: | --- |"
    yield from (f"| {code} | {ours(told)} |" for code, told in MEANINGS.items())
    worst = ", ".join(map(str, WORST_FIRST))
    yield f"\nA sweep exits with the worst of its points, those of earlier attempts too, in this order: {worst}."


def _module(verb: str) -> argparse.Namespace:
    return importlib.import_module(f"recipe_runner.verbs.{verb}")  # type: ignore[return-value]


def _place(action: argparse.Action) -> str:
    """An argument by its place, as a usage line has it."""
    name = str(action.metavar or action.dest.upper())
    forms = {"?": f"[{name}]", "*": f"[{name} …]", "+": f"{name} …"}
    return forms.get(str(action.nargs), name)


def _switch(action: argparse.Action) -> str:
    takes = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"`{option}{takes}`" for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    return ours((action.help or "").replace("%%", "%"))
