"""Words of the generated pages: numbers, paths, markup, and the whole text of a page."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel

ROOT: Final = Path(__file__).resolve().parent.parent
GIB: Final = 2**30
SCALES: Final = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))


def page(lines: Iterable[str]) -> str:
    """A page's text, with at most one empty line between two others."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def portable(text: str) -> str:
    """The same with paths of this checkout relative to it."""
    return text.replace(f"{ROOT}/", "")


def number(value: float) -> str:
    return f"{int(value) if float(value).is_integer() else value:,}"


def many(value: int) -> str:
    """A large number as it is said: 7.94 billion."""
    return next((f"{value / scale:.3g} {word}" for scale, word in SCALES if value >= scale), str(value))


def gib(size: int) -> str:
    """A size in GiB, or in MiB where that is less than a hundredth."""
    return f"{size / GIB:.2f} GiB" if size >= GIB / 100 else f"{size / 2**20:.1f} MiB"


def tag(text: str) -> str:
    """Text for HTML that stands in Markdown."""
    return html.escape(text)


def ours(text: str) -> str:
    """Our own words for a table's cell: what stands in backquotes is code."""
    parts = text.split("`")
    return "`".join(part.replace("|", "&#124;") if at % 2 else cell(part) for at, part in enumerate(parts))


def cell(text: str) -> str:
    """Text that Markdown leaves alone inside a table."""
    return re.sub(r"[|*_`\[\]\\~]", lambda found: f"&#{ord(found[0])};", html.escape(text, quote=False))


def code(value: object) -> str:
    """A value as code in a table's cell: one line, nothing that Markdown could read."""
    shown = value.replace("\n", "\\n") if isinstance(value, str) else json.dumps(value, default=BaseModel.model_dump)
    return f"<code>{cell(shown)}</code>" if re.search(r"[|`<>&\\]", shown) else f"`{shown}`"


def spaced(name: str) -> str:
    """A class's name as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def slug(heading: str) -> str:
    """The anchor of a heading, as Markdown makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def select(name: str, label: str, options: dict[str, str], chosen: str = "") -> Iterator[str]:
    """A labelled list of choices, in HTML."""
    yield f'<div><label for="rr-{name}">{tag(label)}</label> <select id="rr-{name}" name="{name}">'
    for value, told in options.items():
        yield f'<option value="{tag(value)}"{" selected" * (value == chosen)}>{tag(told)}</option>'
    yield "</select></div>"
