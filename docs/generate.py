"""Writes the pages that follow from the recipes and the code: `python docs/generate.py`, after changing either.

`--check` writes nothing: it names the pages that are stale and exits 1. mkdocs loads this file as a hook, too, and
then it adds the recipes' pages to the navigation.
"""

import argparse
import contextlib
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from generate_evidence import recorded, sites
from generate_reference import HOSTS_OWN, cell, code, diagnosis, hardware, plugins, profiles
from pydantic import BaseModel

from recipe_runner import prepare
from recipe_runner.authoring.schema import document
from recipe_runner.composition import library
from recipe_runner.composition.schema import Request
from recipe_runner.errors import RecipeError
from recipe_runner.plan import Command, Plan
from recipe_runner.serialize import to_json

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"


@dataclass(frozen=True)
class Offer:
    """What a recipe comes to on one hardware profile: the plan, or the words that refuse it."""

    profile: str
    plan: Plan | None
    refusal: str = ""

    def server(self) -> str:
        """The server's command as it is typed wherever vLLM is installed."""
        assert self.plan is not None
        (command,) = self.plan.commands
        located = self.plan.facts.located.server
        return _portable(replace(command, argv=("vllm", "serve", *command.argv[len(located) :])).shell())

    def notes(self) -> tuple[str, ...]:
        """What the plan remarks; not what it remarks about this machine."""
        assert self.plan is not None
        ours = {f"{fault.what}; {fault.do}" for fault in self.plan.facts.located.faults}
        told = (note for note in self.plan.warnings if note not in ours)
        return tuple(note for note in told if not note.startswith("flags not checked"))


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


def stale() -> dict[Path, str | None]:
    """Pages that are not as they should be, with the text that they should have: None for one too many."""
    wanted = pages()
    found: dict[Path, str | None] = {
        path: text for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    return found | {path: None for path in (DOCS / "recipes").glob("*.md") if path not in wanted}


def pages() -> dict[Path, str]:
    """Every generated page."""
    with _nobodys_machine():
        made = {DOCS / "recipes" / f"{name}.md": _text(_recipe(name, file)) for name, file in _recipes().items()}
        made[DOCS / "recipes" / "index.md"] = _text(_index())
        made[DOCS / "reference" / "plugins.md"] = _text(plugins())
        made[DOCS / "reference" / "hardware.md"] = _text(hardware())
        made[DOCS / "reference" / "diagnosis.md"] = _text(diagnosis())
        made[DOCS / "reference" / "recipe.schema.json"] = to_json(document("recipe-runner"), indent=2) + "\n"
    return made


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


def _recipes() -> dict[str, Path]:
    return dict(sorted(library.names([ROOT / "recipes"]).items()))


def _index() -> Iterator[str]:
    yield "<!-- Generated by docs/generate.py from recipes/; do not edit. -->\n"
    yield "# Recipes\n"
    yield "Each page shows the exact command for every hardware profile, or why there is none.\n"
    yield "| recipe | what it is |\n| --- | --- |"
    for name in _recipes():
        yield f"| [{name}]({name}.md) | {cell(_request(name).summary)} |"


def _recipe(name: str, file: Path) -> Iterator[str]:
    request = _request(name)
    offers = [_offer(name, profile) for profile in profiles()]
    yield f"<!-- Generated by docs/generate.py from recipes/{file.name}; do not edit. -->\n"
    yield f"# {name}\n"
    yield f"{request.summary}.\n"
    yield f"Model: `{request.model.id}`" + (
        f", weights in `{_portable(request.model.path)}`.\n"
        if request.model.path
        else f" ([weights](https://huggingface.co/{request.model.id})).\n"
    )
    yield from _checks(request)
    yield from _benchmarks(next((offer.plan for offer in offers if offer.plan), None))
    yield from _expected(request)
    yield from recorded(file)
    yield from _hardware(name, offers)
    yield f"## The recipe\n\n`recipes/{file.name}`:\n"
    yield f"```yaml\n{file.read_text(encoding='utf-8').strip()}\n```"


def _request(recipe: str) -> Request:
    """The recipe itself, without what a profile adds."""
    return prepare.requested([f"recipe={recipe}", f"hardware={HOSTS_OWN}", "engine=vllm"], [])[1]


def _offer(recipe: str, profile: str) -> Offer:
    try:
        (plan,) = prepare.plans([f"recipe={recipe}", f"hardware={profile}"], [], sweep=False, launching=False)
    except RecipeError as exc:
        return Offer(profile, None, "; ".join(f"{fault.what}; {fault.do}" for fault in exc.faults))
    return Offer(profile, plan)


def _checks(request: Request) -> Iterator[str]:
    if not request.checks:
        return
    yield "## Checks\n\n| name | uses | asks | expects |\n| --- | --- | --- | --- |"
    for name, check in request.checks.items():
        prompt = getattr(check, "prompt", None)
        expect = getattr(check, "expect", None)
        stated = expect.model_dump(exclude_defaults=True).items() if isinstance(expect, BaseModel) else ()
        expects = "; ".join(f"{key} {code(value)}" for key, value in stated)
        yield f"| {name} | {_uses(check.uses)} | {'' if prompt is None else code(prompt)} | {expects} |"
    yield ""


def _benchmarks(plan: Plan | None) -> Iterator[str]:
    if plan is None or not plan.benchmarks:
        return
    yield "## Benchmarks\n"
    for name, benchmark in plan.benchmarks.items():
        yield f"**{name}** ({_uses(benchmark.uses)})\n"
        argv = benchmark.argv(replace(plan.target, client=None))
        if argv:
            yield f"```bash\n{_portable(Command(name, argv, {}).shell())}\n```\n"


def _expected(request: Request) -> Iterator[str]:
    for name, expected in request.expected.items():
        yield f"## Reported for {name}\n"
        more = [f"vLLM {expected.vllm}" if expected.vllm else None, expected.date, expected.kind]
        where = ", ".join(filter(None, (expected.hardware, *more)))
        yield f"On {where}; source: [{expected.source.rpartition('/')[2]}]({expected.source}).\n"
        if expected.note:
            yield f"{expected.note}\n"
        yield "| metric | value | unit | gate |\n| --- | ---: | --- | --- |"
        for key, figure in expected.metrics.items():
            unit = figure.unit + (" per GPU" if figure.per == "gpu" else "")
            gate = f"within {figure.tolerance:g} %" if figure.gate else "no"
            yield f"| {key} | {_number(figure.value)} | {unit} | {gate} |"
        yield ""


def _number(value: float) -> str:
    return f"{int(value) if value.is_integer() else value:,}"


def _hardware(recipe: str, offers: list[Offer]) -> Iterator[str]:
    yield "## On each hardware profile\n"
    able = sorted((offer for offer in offers if offer.plan), key=lambda offer: (offer.server(), offer.notes()))
    for (command, notes), group in itertools.groupby(able, key=lambda offer: (offer.server(), offer.notes())):
        names = [offer.profile for offer in group]
        yield f"### {', '.join(names)}\n"
        yield from (f"Note: {note}.\n" for note in notes)
        typed = "\n".join(f"$ recipe-run recipe={recipe} hardware={name}" for name in names)
        yield f"```console\n{typed}\n```\n\nlaunches\n\n```bash\n{command}\n```\n"
    refused = [offer for offer in offers if not offer.plan]
    if refused:
        yield "### Refused\n\n| hardware | why |\n| --- | --- |"
        yield from (f"| {offer.profile} | {cell(offer.refusal)} |" for offer in refused)
        yield ""


def _uses(uses: str) -> str:
    """A link to the class's section, if it is one of ours."""
    return f"`{uses}`" if ":" in uses else f"[{uses}](../reference/plugins.md#{uses})"


def _portable(text: str) -> str:
    """The same with paths of this checkout relative to it."""
    return text.replace(f"{ROOT}/", "")


def _text(lines: Iterable[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
