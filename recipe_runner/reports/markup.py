"""Text from elsewhere as Markdown that shows it and does nothing else; and tables of it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from recipe_runner.reports.words import shown
from recipe_runner.serialize import one_line

LINK: Final = re.compile(r"(?i)(https?|ftp|mailto|xmpp|www)([:.])")  # addresses that become links by themselves
CALLED: Final = re.compile(r"(?i)([@#]|\bGH-)(?=[\w-])")  # people, addresses and issues: found in what is shown
UNDERSCORES: Final = re.compile(r"(?<![^\W_])_++|_++(?![^\W_])")  # inside a word they mean nothing
ITEM: Final = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")  # `1. ` begins a list where it begins a line; `0.1` does not
BLOCK: Final = re.compile(r"^([-+#=])")  # what begins a list, a heading or a rule there


def cell(value: Any) -> str:
    """Any value on one line, as text and nothing else: no markup, no HTML, no link, no mention, no image."""
    text = one_line(" ".join(("unknown" if value is None else shown(value)).split()), most=10_000)
    for char in "\\`*|[]~$":
        text = text.replace(char, f"\\{char}")
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    text = UNDERSCORES.sub(lambda found: "\\_" * len(found[0]), text)
    text = LINK.sub(r"\1\\\2", text)
    text = CALLED.sub(r"\1&#8203;", text)  # so an escape hides none of them, and a space of no width does
    return BLOCK.sub(r"\\\1", ITEM.sub(r"\1\\\2", text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of cells; a column whose name begins with `>` holds numbers."""
    yield f"\n| {' | '.join(name.removeprefix('>') for name in columns)} |"
    yield f"| {' | '.join('---:' if name.startswith('>') else '---' for name in columns)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """What is shown only to those who ask."""
    yield f"\n<details><summary>{title}</summary>"
    yield from lines
    yield "\n</details>"
