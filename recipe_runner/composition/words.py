"""What becomes a word of a command line: refused where vLLM would read a flag in it, or a person could not see it."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

NEGATIVE: Final = re.compile(r"-\d+|-\d*\.\d+")  # as argparse tells a number from a flag
FLAG_NAME: Final = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
UNSEEN: Final = re.compile(  # control characters, halves of surrogate pairs, what turns text round
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
Unfit = tuple[str, str, str]


def of_flags(values: Any, at: str) -> Iterator[Unfit]:
    """What is wrong with values that become `--flag value`: where, what, what to do."""
    for name, value in values.items() if isinstance(values, Mapping) else ():
        if name == "extra_args":
            yield from of_flags(value, f"{at}.{name}")
        elif at.endswith(".extra_args") and not FLAG_NAME.fullmatch(name):
            yield f"{at}.{name}", "this is not the name of a flag", "use letters, digits and _"
        for word in value if isinstance(value, list) else (value,):
            text = str(word)
            if isinstance(word, str | int | float) and text.startswith("-") and not NEGATIVE.fullmatch(text):
                yield f"{at}.{name}", f"{text!r} would be read as a flag", "write it so that it does not begin with -"
        yield from seen(value, f"{at}.{name}")  # what is inside a mapping becomes JSON, which is no flag


def seen(value: Any, at: str) -> Iterator[Unfit]:
    """What is wrong with a value as such: a character that nobody sees, a number that is none."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from seen(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from seen(inner, at)
    elif isinstance(value, float) and not math.isfinite(value):
        yield at, f"{value} is not a number that can be written down", "write a finite one"
    elif isinstance(value, str) and (found := UNSEEN.search(value)):
        yield at, f"there is the character {found[0]!a} in this text", "remove it"
