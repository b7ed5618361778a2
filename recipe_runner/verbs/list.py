"""`list`: what there is. Reads files and entry points; composes nothing."""

import argparse
import ast
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from recipe_runner.composition import library
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.evidence import files as evidence
from recipe_runner.paths import shipped, short
from recipe_runner.plugins import packages
from recipe_runner.plugins.installed import OURS, Installed, groups
from recipe_runner.serialize import json_document, one_line

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
        print(json_document({"format": 1, **tables}))
        return 0
    for fault in packages.missing():
        print(f"note: {fault}", file=sys.stderr)
    for what, rows in tables.items():
        if args.what is None:
            print(f"{what}:")
        widths = [max((len(row[key]) for row in rows), default=0) for key in ("name", "origin")]
        for row in rows:
            head = f"  {one_line(row['name']):<{widths[0]}}  {one_line(row['origin']):<{widths[1]}}"
            print(f"{head}  {row['summary']}{_remark(row)}".rstrip())
    return 0


def _rows(what: str, config_dirs: list[Path]) -> Iterator[dict[str, Any]]:
    if what == "recipes":
        for name, file in sorted(library.names(library.folders(config_dirs)).items()):
            found = list(evidence.of(file, library.folders(config_dirs)))
            verified = {"verified": evidence.verified_on(found), "as_typed": evidence.typed_on(found)}
            yield {**_of_file(name, file, _summary(file)), **verified}
    elif what in GROUPS:
        if what == "hardware":
            about = "The profile that this host is (the default)"
            yield {"name": "auto", "summary": about, "source": OURS, "origin": OURS}
        for group in GROUPS[what]:
            files: dict[str, Path] = {}
            for folder in Space(tuple(config_dirs)).conf:
                for file in folder.glob(f"{group}/*.yaml"):
                    files.setdefault(file.stem, file)
            prefix = f"{group}=" if what == "presets" else ""
            for name, file in sorted(files.items()):
                yield _of_file(f"{prefix}{name}", file, _first_comment(file))
        if what == "engines":
            yield from _engines([*files.values()])
    else:
        for one, same in _plugins(what):
            yield _of_plugin(one, f"there are {same} of this name" if same > 1 else "")


def _of_file(name: str, file: Path, summary: str) -> dict[str, Any]:
    """What is said of a choice; one that several packages have is shown once, with all of them."""
    ours = any(file.resolve().is_relative_to(shipped(data).resolve()) for data in ("conf", "recipes"))
    origin = packages.origin(file) or (OURS if ours else short(file.parent))
    row = {"name": name, "summary": summary, "source": short(file), "origin": origin}
    fault = packages.ambiguous(name, file)
    return row | ({"remark": fault.what} if fault else {})


def _engines(files: list[Path]) -> Iterator[dict[str, Any]]:
    """What is wrong with engines that are installed: two have one name, or none can be chosen by it."""
    chosen = {_uses(file) for file in files}
    for one, same in _plugins("engines"):
        if same > 1 or one.name not in chosen:
            wrong = f"there are {same} of this name" if same > 1 else f"no engine/{one.name}.yaml chooses it"
            yield _of_plugin(one, wrong)


def _plugins(kind: str) -> Iterator[tuple[Installed, int]]:
    """What is installed of one kind, each with how many there are of its name."""
    found = groups().get(kind, ())
    yield from ((one, sum(other.name == one.name for other in found)) for one in found)


def _of_plugin(one: Installed, wrong: str) -> dict[str, Any]:
    row = {"name": one.name, "summary": _docstring(one), "source": one.place, "origin": one.origin}
    return row | ({"remark": wrong} if wrong else {})


def _remark(row: dict[str, Any]) -> str:
    told = [f"verified on {', '.join(row['verified'])}"] if row.get("verified") else []
    told += [f"passed as typed on {one}" for one in row.get("as_typed", ())]
    told += [row["remark"]] if "remark" in row else []
    return f" ({one_line('; '.join(told))})" if told else ""


def _docstring(one: Installed) -> str:
    """The first line of a plugin's docstring, from its text: a plugin is loaded only when a recipe names it."""
    with contextlib.suppress(Exception):  # of a package that somebody else wrote
        tree = ast.parse(Path(str(one.source())).read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        if text := ast.get_docstring(classes[one.place.partition(":")[2]]):
            return one_line(text.partition("\n")[0])
    return one_line(one.place)


def _summary(file: Path) -> str:
    """The recipe's own `summary:`; one that cannot be read keeps none of the others from being listed."""
    try:
        return one_line(str(read(file)[0].get("summary", "")))
    except RecipeError:
        return f"(cannot be read; `recipe-run show {file.stem}` says why)"


def _uses(file: Path) -> Any:
    with contextlib.suppress(RecipeError):
        return read(file)[0].get("uses")
    return None


def _first_comment(file: Path) -> str:
    first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return one_line(first.lstrip("# ").strip()) if first.startswith("#") else ""
