"""What is wrong with a word that Hydra's grammar cannot read, or that is no option, as a person would say it."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

from recipe_runner.composition import meant
from recipe_runner.errors import Fault

KEY: Final = re.compile(r"[~+]{0,2}[A-Za-z_][\w-]*([./][A-Za-z_][\w-]*)*(@[\w.]*)?", re.ASCII)
TWO_WORDS: Final = re.compile(r"([A-Za-z_][\w.]*)[\s:]+(\S+)", re.ASCII)
QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
BESIDE_NOTHING: Final = re.compile(r"(^|[\[({,])\s*,|,\s*([\])}]|$)")
FUNCTION: Final = re.compile(r"\s*\w+\(.*\)\s*")
PLAIN: Final = re.compile(r"[\w.:/+-]+", re.ASCII)
NOT_PLAIN: Final = re.compile(r"[^\w \t/\-\\+.$%*@?|:,(){}\[\]]", re.ASCII)


def told(word: str) -> tuple[str, str]:
    """What is wrong with a word, and what to write instead."""
    key, equals, value = word.partition("=")
    if not equals:
        two = TWO_WORDS.fullmatch(word)
        key, value = (two[1], two[2]) if two else (word, "VALUE")
        instead = f"{meant.place(key) or key}={value}" if KEY.fullmatch(key) else "key=value"
        return "there is no = in it", f"write {instead}"
    if not KEY.fullmatch(key):
        return f"{key!r} is not a key", "write names joined by dots, such as serve.port=8000"
    if value.startswith("="):
        return "= stands twice", f"write {key}={value.lstrip('=')}"
    what, instead = _of_value(value)
    return what, f"{instead}put all of the value in quotes: {quoted(key, value)}"


def options(command: str, words: list[str]) -> Iterator[Fault]:
    """What is wrong with words that are no options of a command: those that vLLM has are values here."""
    left = [word for word in words if "=" not in word or word.startswith("-")]
    strange: list[str] = []
    while left:
        name, equals, value = left.pop(0).partition("=")
        flag = name.lstrip("-")
        known = (flag in meant.GROUPS and flag) or meant.place(flag)
        short = not name.startswith("--") and flag not in meant.OF_THEIR_OWN
        if not name.startswith("-") or short or known is None:
            strange.append(name + equals + value)
            continue
        if not equals and left and not left[0].startswith("-"):
            value = left.pop(0)
        elif not equals:
            value, known = ("false", known.replace(".no_", ".")) if ".no_" in known else ("true", known)
        word = f"{known}={value}" if PLAIN.fullmatch(value) else quoted(known, value)
        yield Fault(name, f"{command} has no such option", meant.cure(flag, word))
    if strange:
        yield Fault(command, f"unrecognized arguments: {' '.join(strange)}", f"see {command} --help")


def quoted(key: str, value: str) -> str:
    """What to type in a shell so that the value is taken as it is."""
    inner = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return shlex.quote(f'{key}="{inner}"')


def _of_value(value: str) -> tuple[str, str]:
    """What is wrong with a value, and what may be done besides putting it in quotes."""
    text = QUOTED.sub('""', value)
    if loose := re.search("['\"]", text.replace('""', "")):
        return f"the quote {loose[0]} is not closed", ""
    if bracket := _loose_bracket(text):
        how, do = ("opened", "open") if bracket in BRACKETS else ("closed", "close")
        return f"the bracket {bracket} is not {how}", f"{do} it, or "
    if BESIDE_NOTHING.search(text):
        return "a comma stands beside nothing", "take it away, or "
    if text.lstrip().startswith("{"):
        return "this is not a mapping", "write {key: value, other: value}, or "
    if FUNCTION.fullmatch(text):
        return "this would be a function, and there is none that takes this", ""
    if '""' in text:
        return "something stands beside what is in quotes", ""
    if odd := NOT_PLAIN.search(text):
        return f"{odd[0] if odd[0].isprintable() else repr(odd[0])} may only stand in quotes", ""
    return "its value cannot be read", ""


def _loose_bracket(text: str) -> str | None:
    opened: list[str] = []
    for mark in text:
        if mark in BRACKETS.values():
            opened.append(mark)
        elif mark in BRACKETS and (not opened or opened.pop() != BRACKETS[mark]):
            return mark
    return opened[-1] if opened else None
