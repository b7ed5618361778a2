"""Writes the pages that follow from the recipes and the code: `python docs/generate.py`, after changing either.

`--check` writes nothing: it names the pages that are stale and exits 1. mkdocs loads this file as a hook, too, and
then it adds the recipes' pages to the navigation, and to each of them the plans that its picker shows.
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import generate_cli as cli
import generate_configuration as configuration
from generate_documents import documents
from generate_evidence import sites
from generate_index import index, index_rows
from generate_offers import document as plans
from generate_recipes import recipe
from generate_reference import diagnosis, hardware, plugins
from generate_text import ROOT, page

from recipe_runner.authoring.schema import document
from recipe_runner.composition import library
from recipe_runner.evidence.reported import Reported
from recipe_runner.serialize import to_json

DOCS: Final = ROOT / "docs"
DATA: Final = ".plans.json"  # beside a recipe's page: what its picker shows
BARE: Final = {"index.md": ["navigation", "toc"], "recipes/index.md": ["toc"]}  # what is hidden beside them
PARTS: Final[Mapping[str, Mapping[str, Callable[[], Iterable[str]]]]] = {  # of pages that are written by hand
    "cli.md": {"verbs": cli.verbs, "options": cli.options, "exit codes": cli.exit_codes},
    "configuration.md": {
        **{"choices": configuration.choices, "settings": configuration.settings, "hardware": configuration.hardware},
        **{"sections": configuration.sections, "flags": configuration.flags},
    },
}
PART: Final = re.compile(r"(?<=<!-- generated: )(?P<name>[^\n]+) -->\n.*?(?=<!-- end of what is generated -->)", re.S)
UNNAMED: Final = 'class="md-search" data-md-component="search" role="dialog"'
SESSION: Final = re.compile(r"<code>(?P<shown>\$ .*?)</code>", re.S)
OURS: Final = ("*.md", f"*{DATA}")  # all of docs/recipes/ is generated


def main() -> int:
    """Write the pages, or compare them; the result is the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    check = parser.parse_args().check
    wrong = stale()
    for path, text in wrong.items():
        if check:
            print(f"{path.relative_to(ROOT)} is stale; run `python docs/generate.py`", file=sys.stderr)
        elif text is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))
    return 1 if check and wrong else 0


def on_config(config: Any) -> Any:
    """As a mkdocs hook: put the recipes' pages after their index."""
    for section in config["nav"]:
        if "Recipes" in section:
            section["Recipes"] += [{name: f"recipes/{name}.md"} for name in _recipes()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """As a mkdocs hook: put the recorded runs on the site, where the recipes' pages link to them."""
    from mkdocs.structure.files import File

    for place, file in sites(ROOT / "recipes").items():
        files.append(File.generated(config, place, abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001
    """As a mkdocs hook: leave the room of what a page has no use for to the page."""
    if page.file.src_uri in BARE:
        page.meta["hide"] = BARE[page.file.src_uri]
    return markdown


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001 — mkdocs's signature
    """As a mkdocs hook: what is copied of a session is what was typed in it; and a page gets the data for its script.

    With the data in the page, the script asks for nothing, and works from a file, too.
    """
    html = SESSION.sub(lambda found: f'<code data-copy="{_typed(found["shown"])}">{found["shown"]}</code>', html)
    data = Path(page.file.abs_src_path).with_suffix(DATA)
    if not data.is_file():
        return html
    text = data.read_text(encoding="utf-8").replace("<", "\\u003c")
    return f'{html}<script type="application/json" id="rr-data">{text}</script>'


def on_post_page(output: str, page: Any, config: Any) -> str:  # noqa: ARG001
    """As a mkdocs hook: the theme's search dialog has no name for those who do not see it."""
    return output.replace(UNNAMED, f'{UNNAMED} aria-label="Search"')


def stale() -> dict[Path, str | None]:
    """Pages that are not as they should be, with the text that they should have: None for one too many."""
    wanted = pages()
    found: dict[Path, str | None] = {
        path: text for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    there = (path for pattern in OURS for path in (DOCS / "recipes").glob(pattern))
    return found | {path: None for path in there if path not in wanted}


def pages() -> dict[Path, str]:
    """Every generated page."""
    with _nobodys_machine():
        names, recipes, reference = _recipes(), DOCS / "recipes", DOCS / "reference"
        made = {recipes / f"{name}.md": page(recipe(name, file)) for name, file in names.items()}
        made |= {recipes / f"{name}{DATA}": plans(name) for name in names}
        made[recipes / "index.md"] = page(index(list(names)))
        made[recipes / f"index{DATA}"] = to_json(index_rows(list(names)), indent=1) + "\n"
        made |= {reference / name: _filled(reference / name, parts) for name, parts in PARTS.items()}
        made[reference / "documents.md"] = page(documents())
        made[reference / "report.schema.json"] = to_json(Reported.model_json_schema(), indent=2) + "\n"
        made[reference / "plugins.md"] = page(plugins())
        made[reference / "hardware.md"] = page(hardware())
        made[reference / "diagnosis.md"] = page(diagnosis())
        made[reference / "recipe.schema.json"] = to_json(document("recipe-runner"), indent=2) + "\n"
    return made


def _filled(path: Path, parts: Mapping[str, Callable[[], Iterable[str]]]) -> str:
    """A page that is written by hand, with those of its parts anew that follow from the code."""
    text = path.read_text(encoding="utf-8")
    assert sorted(found["name"] for found in PART.finditer(text)) == sorted(parts), (
        f"{path}: its parts are not all there"
    )
    return PART.sub(lambda found: f"{found['name']} -->\n\n{page(parts[found['name']]())}\n", text)


@contextlib.contextmanager
def _nobodys_machine() -> Iterator[None]:
    """No page may depend on who writes it: no personal configuration, and paths that are relative to the checkout."""
    variable = "XDG_CONFIG_HOME"
    before = os.environ.get(variable)
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(ROOT):
        os.environ[variable] = empty
        try:
            yield
        finally:
            if before is None:
                del os.environ[variable]
            else:
                os.environ[variable] = before


def _typed(shown: str) -> str:
    """The commands of a session, without prompts and output; for an attribute of HTML."""
    lines = (line.removeprefix("$ ") for line in shown.splitlines() if line.startswith("$ "))
    return "\n".join(lines).replace('"', "&quot;")


def _recipes() -> dict[str, Path]:
    return dict(sorted(library.names([ROOT / "recipes"]).items()))


if __name__ == "__main__":
    sys.exit(main())
