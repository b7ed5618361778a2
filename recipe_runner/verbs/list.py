"""`list`: what there is. Reads files and entry points; composes nothing."""

import argparse
import ast
import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition import library
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.evidence import files as evidence
from recipe_runner.paths import shipped, short
from recipe_runner.serialize import one_line, to_json

SUMMARY = "what there is: recipes, hardware, engines, presets, checks, benchmarks, reports, …"
GROUPS: Final = {"hardware": ("hardware",), "engines": ("engine",), "presets": ("validation", "benchmark")}
PLUGINS: Final = ("checks", "benchmarks", "reports")
WHAT: Final = ("recipes", *GROUPS, *PLUGINS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", help=f"one of {', '.join(WHAT)}; without it, everything")


def names() -> Iterable[str]:
    return WHAT


def run(args: argparse.Namespace) -> int:
    if args.what is not None and args.what not in WHAT:
        raise RecipeError(Fault("list", f"there is no list of {args.what}", choose(args.what, WHAT)))
    if astray := list(Space(tuple(args.config_dir)).astray()):
        raise RecipeError(*astray)
    tables = {what: list(_rows(what, args.config_dir)) for what in ([args.what] if args.what else WHAT)}
    if args.json:
        print(to_json({"format": 1, **tables}, indent=2))
        return 0
    for what, rows in tables.items():
        if args.what is None:
            print(f"{what}:")
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            print(f"  {one_line(row['name']):<{width}}  {row['summary']}{_verified(row)}".rstrip())
    return 0


def _rows(what: str, config_dirs: list[Path]) -> Iterator[dict[str, Any]]:
    if what == "recipes":
        for name, file in sorted(library.names(library.folders(config_dirs)).items()):
            found = list(evidence.of(file, library.folders(config_dirs)))
            verified = {"verified": evidence.verified_on(found), "as_typed": evidence.typed_on(found)}
            yield {"name": name, "summary": _summary(file), "source": short(file), **verified}
    elif what in GROUPS:
        if what == "hardware":
            yield {"name": "auto", "summary": "The profile that this host is (the default)", "source": "recipe-runner"}
        for group in GROUPS[what]:
            files: dict[str, Path] = {}
            for folder in (*config_dirs, shipped("conf")):
                for file in folder.glob(f"{group}/*.yaml"):
                    files.setdefault(file.stem, file)
            prefix = f"{group}=" if what == "presets" else ""
            for name, file in sorted(files.items()):
                yield {"name": f"{prefix}{name}", "summary": _first_comment(file), "source": short(file)}
    else:
        for point in sorted(entry_points(group=f"recipe_runner.{what}"), key=lambda point: point.name):
            source = point.dist.name if point.dist else ""
            yield {"name": point.name, "summary": _docstring(point), "source": source}


def _verified(row: dict[str, Any]) -> str:
    told = [f"verified on {', '.join(row['verified'])}"] if row.get("verified") else []
    told += [f"passed as typed on {one}" for one in row.get("as_typed", ())]
    return f" ({one_line('; '.join(told))})" if told else ""


def _docstring(point: EntryPoint) -> str:
    """The first line of a plugin's docstring, from its text: a plugin is loaded only when a recipe names it."""
    with contextlib.suppress(Exception):  # of a package that somebody else wrote
        spec = importlib.util.find_spec(point.module)
        tree = ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        if text := ast.get_docstring(classes[point.attr]):
            return one_line(text.partition("\n")[0])
    return point.value


def _summary(file: Path) -> str:
    """The recipe's own `summary:`; one that cannot be read keeps none of the others from being listed."""
    try:
        return one_line(str(read(file)[0].get("summary", "")))
    except RecipeError:
        return f"(cannot be read; `recipe-run show {file.stem}` says why)"


def _first_comment(file: Path) -> str:
    first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return one_line(first.lstrip("# ").strip()) if first.startswith("#") else ""
