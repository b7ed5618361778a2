"""Does evidence still hold: everything in it that can be computed or looked up again."""

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from recipe_runner import __version__
from recipe_runner.api import Outcome
from recipe_runner.composition import library
from recipe_runner.errors import RecipeError
from recipe_runner.evidence import files
from recipe_runner.evidence.document import Benchmarked, Document
from recipe_runner.serialize import one_line
from recipe_runner.verdict import exit_code, overall

State = Literal["ok", "note", "stale", "wrong", "unchecked"]
SAID: Final = 1e-3  # the last digit of what is rounded
NO_JUDGEMENT: Final = ("failed", "error", "skipped")  # that gates could have made better


class Finding(NamedTuple):
    """One thing that was looked at, and how it is."""

    state: State
    part: str
    what: str = ""

    @property
    def holds(self) -> bool:
        return self.state in ("ok", "note", "unchecked")


Found = Iterator[tuple[State, str]]


@dataclass(frozen=True)
class Case:
    """A file of evidence and what it is held against; `recipe` is None where that is gone."""

    file: Path
    raw: Mapping[str, Any]
    evidence: Document
    recipe: Path | None
    folders: Sequence[Path]
    config_dirs: Sequence[Path]
    log: Path | None
    trust: bool


def check(
    file: Path, raw: Mapping[str, Any], config_dirs: Sequence[Path] = (), log: Path | None = None, *, trust: bool
) -> list[Finding]:
    """What is right and wrong with a document of evidence; `trust` as `--trust`."""
    digest = _part("digest", _digest(raw))
    try:
        evidence = Document.model_validate(raw)
    except ValidationError as exc:
        at = [(".".join(map(str, error["loc"])), error["msg"]) for error in exc.errors()]
        return [*(Finding("wrong", "format", f"{where}: {why}") for where, why in at), *digest]
    name, folders = evidence.recipe.name, library.folders(config_dirs)
    recipe = library.find(name, [file.resolve().parent.parent.parent, *folders])
    near = file.with_suffix(".log")
    own = log or (near if near.is_file() else None)
    case = Case(file, raw, evidence, recipe, folders, config_dirs, own, trust)
    parts = [finding for part in PARTS for finding in _part(part, _looked_at(part, case))]
    return [Finding("ok", "format"), *digest, *parts]


def _looked_at(part: str, case: Case) -> Found:
    if part in STATISTICAL and importlib.util.find_spec("scipy") is None:
        return iter([("unchecked", "that takes `pip install recipe-runner[analysis]`")])
    return PARTS[part](case)


def _part(part: str, found: Found) -> list[Finding]:
    """What was found of one part; nothing found is well. What is not even computable takes no other part down."""
    try:
        return [Finding(state, part, what) for state, what in found] or [Finding("ok", part)]
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as exc:
        return [Finding("wrong", part, f"it cannot be judged: {one_line(str(exc))}")]


def _digest(raw: Mapping[str, Any]) -> Found:
    if raw.get("digest") != files.digest(raw):
        yield "wrong", "the document was edited"


def _name(case: Case) -> Found:
    wanted = case.evidence.file_name
    if case.file.name != wanted:
        yield "wrong", f"it should be {wanted}"
    if case.file.resolve().parent.name != case.evidence.recipe.name:
        yield "wrong", f"it should be in a folder {case.evidence.recipe.name}"


def _verdict(case: Case) -> Found:
    evidence = case.evidence
    comes_to = overall(item.verdict for item in (*evidence.checks, *evidence.benchmarks))
    if comes_to != evidence.verdict:
        yield "wrong", f"its items come to {comes_to}, and it says {evidence.verdict}"
    if (code := exit_code(evidence.verdict)) != evidence.exit_code:
        yield "wrong", f"{evidence.verdict} is exit code {code}, and it says {evidence.exit_code}"


def _means(case: Case) -> Found:
    for benchmark in case.evidence.benchmarks:
        if not benchmark.measurements and benchmark.verdict in NO_JUDGEMENT:
            continue
        means = _again(case.evidence, benchmark).metrics()
        yield from (("wrong", why) for why in _numbers(benchmark.name, benchmark.metrics, means, 0))


def _noise(case: Case) -> Found:
    for benchmark in case.evidence.benchmarks:
        again = _again(case.evidence, benchmark).noise() if benchmark.noise else {}
        for metric in dict.fromkeys((*benchmark.noise, *again)):
            said, now = benchmark.noise.get(metric, {}), again.get(metric, {})
            yield from (("wrong", why) for why in _numbers(f"{benchmark.name}.{metric}", said, now, SAID))


def _gates(case: Case) -> Found:
    from recipe_runner.figures import gates

    for benchmark in case.evidence.benchmarks:
        nothing = not benchmark.measurements and benchmark.verdict in NO_JUDGEMENT
        again = _again(case.evidence, benchmark)
        rows = [] if nothing and not benchmark.figures else again.figures()
        said = {(row.expected, row.metric): row.model_dump(exclude={"why"}) for row in benchmark.figures}
        now = {(row["expected"], row["metric"]): {k: v for k, v in row.items() if k != "why"} for row in rows}
        for key in dict.fromkeys((*said, *now)):
            if not _same(said.get(key), now.get(key)):
                yield "wrong", f"{benchmark.name}: {'.'.join(key)} does not follow from what was measured"
        wanted = again.outcome().verdict if again.made else gates.verdict(rows) or "skipped"
        if benchmark.verdict not in (wanted, *NO_JUDGEMENT):
            yield "wrong", f"{benchmark.name}: it comes to {wanted}, and it says {benchmark.verdict}"


def _recipe(case: Case) -> Found:
    name = case.evidence.recipe.name
    if case.recipe is None:
        yield "stale", f"there is no recipe {name} here"
        return
    for one in files.changed(case.raw, case.recipe, case.folders):
        yield "stale", "the recipe changed since" if one == name else f"{one}, which it inherits from, changed since"


def _plan(case: Case) -> Found:
    if case.recipe is None:
        yield "unchecked", "there is no recipe to plan"
        return
    from recipe_runner.evidence import replay

    ran = case.evidence
    changed = list(_recipe(case)) or ran.environment.get("recipe_runner") != __version__
    try:
        typed = replay.as_typed(ran.choices, ran.overrides, ran.parallelism, case.recipe, case.config_dirs)
        # once, what was typed as the recipe has it was listed, too
        if not {*typed} <= {*ran.as_typed} <= {*typed, *ran.overrides}:
            yield "stale" if changed else "wrong", f"typed was {_listed(typed)}, and it says {_listed(ran.as_typed)}"
        if ran.hardware == "host":
            yield "unchecked", "hardware=host is whatever it was run on"
            return
        now = replay.planned(case.evidence, case.recipe, case.config_dirs, trust=case.trust)
    except RecipeError as exc:
        yield from (("stale", f"it cannot be planned now: {fault}") for fault in exc.faults)
        return
    yield from (("stale" if changed else "wrong", what) for what in replay.differences(case.evidence, now))


def _listed(typed: Sequence[str]) -> str:
    return ", ".join(typed) or "nothing that matters"


def _log(case: Case) -> Found:
    if case.log is None:
        yield "unchecked", f"the server's log is not here; name it with --log, or put it beside as {case.file.stem}.log"
    elif files.sha256(case.log) != case.evidence.server_log.sha256:
        yield "wrong", f"{case.log.name} is not the log of this run"


PARTS: Final[Mapping[str, Callable[[Case], Found]]] = {
    "name": _name,
    "verdict": _verdict,
    "means": _means,
    "noise": _noise,
    "gates": _gates,
    "recipe": _recipe,
    "plan": _plan,
    "log": _log,
}
STATISTICAL: Final = ("noise", "gates")


def _again(evidence: Document, benchmark: Benchmarked) -> Any:
    """The measurements as the run had them, to be judged again."""
    from recipe_runner.figures.noise import FEWEST
    from recipe_runner.figures.repeats import Measurement, Repeats

    made = [
        Measurement(one.name, True, Outcome(one.verdict, "", one.metrics), one.seconds, doubts=tuple(one.doubts))
        for one in benchmark.measurements
    ]
    world = evidence.parallelism.world
    repeated = sum((one.times or len(one.measurements)) >= FEWEST for one in evidence.benchmarks)
    return Repeats(benchmark.name, len(made), evidence.expected, evidence.hardware, world, repeated, made)


def _numbers(of: str, said: Mapping[str, float], now: Mapping[str, float], margin: float) -> Iterator[str]:
    for key in dict.fromkeys((*said, *now)):
        if key not in now:
            yield f"{of}: {key} was not measured"
        elif key not in said:
            yield f"{of}: {key} is missing"
        elif not _same(said[key], now[key], margin):
            yield f"{of}: {key} is {now[key]:g}, and it says {said[key]:g}"


def _same(said: Any, now: Any, margin: float = 0) -> bool:
    if isinstance(said, Mapping) and isinstance(now, Mapping):
        return said.keys() == now.keys() and all(_same(said[key], now[key]) for key in said)
    if isinstance(said, float | int) and isinstance(now, float | int):
        return math.isclose(said, now, rel_tol=1e-9, abs_tol=margin)
    return bool(said == now)
