"""What is wrong with a word that Hydra's grammar cannot read, as a person would say it."""

import re
import shlex
from typing import Final

KEY: Final = re.compile(r"[~+]{0,2}[A-Za-z_][\w-]*([./][A-Za-z_][\w-]*)*(@[\w.]*)?", re.ASCII)
TWO_WORDS: Final = re.compile(r"([A-Za-z_][\w.]*)[\s:]+(\S+)", re.ASCII)
QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
BESIDE_NOTHING: Final = re.compile(r"(^|[\[({,])\s*,|,\s*([\])}]|$)")
FUNCTION: Final = re.compile(r"\s*\w+\(.*\)\s*")
NOT_PLAIN: Final = re.compile(r"[^\w \t/\-\\+.$%*@?|:,(){}\[\]]", re.ASCII)


def told(word: str) -> tuple[str, str]:
    """What is wrong with a word, and what to write instead."""
    key, equals, value = word.partition("=")
    if not equals:
        two = TWO_WORDS.fullmatch(word)
        instead = f"{two[1]}={two[2]}" if two else f"{word}=VALUE" if KEY.fullmatch(word) else "key=value"
        return "there is no = in it", f"write {instead}"
    if not KEY.fullmatch(key):
        return f"{key!r} is not a key", "write names joined by dots, such as serve.port=8000"
    if value.startswith("="):
        return "= stands twice", f"write {key}={value.lstrip('=')}"
    what, instead = _of_value(value)
    return what, f"{instead}put all of the value in quotes: {quoted(key, value)}"


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
