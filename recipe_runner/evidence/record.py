"""From a run folder to a file of evidence; what is none is refused."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from recipe_runner.composition.schema import Hardware, Parallelism
from recipe_runner.composition.sources import lineage
from recipe_runner.composition.space import Space
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.evidence import files
from recipe_runner.evidence.document import NAME, Benchmarked, Document, Measured, Teardown
from recipe_runner.evidence.planned import Process
from recipe_runner.evidence.portable import homeless, portable
from recipe_runner.evidence.replay import as_typed, elsewhere
from recipe_runner.evidence.reported import Check, Phase
from recipe_runner.paths import PACKAGE, short, there
from recipe_runner.report import SERVER_LOG
from recipe_runner.serialize import write_json
from recipe_runner.verdict import exit_code

LOCK: Final = "recipe.lock.yaml"
AS_IS: Final = (
    *("verdict", "hardware", "engine", "parallelism", "started", "choices"),
    *("environment", "memory", "expected", "warnings"),
)
STRANGE: Final = "its report.json and plan.json are not as this recipe-runner writes them"
AGAIN: Final = "run it again, and record that"
TO: Final = "name another folder with --to FOLDER"


class Recorded(NamedTuple):
    """Where the evidence is, what it says, and whether it was written just now."""

    file: Path
    document: Mapping[str, Any]
    new: bool


def record(run: Path, to: Path | None = None, note: str = "") -> Recorded:
    """Write the evidence of one run.

    Raises:
        RecipeError: the run is no evidence, or it cannot be written; all that speaks against it at once.

    """
    report, plan = _read(run, "report.json"), _read(run, "plan.json")
    try:
        recipe = _recipe(plan)
        if faults := [*_against(run, report, recipe), *_elsewhere(run, report, plan), *_moved_on(run, plan, recipe)]:
            raise RecipeError(*faults)
        document = _document(run, report, plan, recipe, note)
        name = Document.model_validate(document).file_name
    except (KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise RecipeError(Fault(short(run), STRANGE, AGAIN)) from exc
    file = (to or _beside(recipe)) / recipe.stem / name
    new = _write(file, document)
    return Recorded(file, document, new)


def _read(run: Path, name: str) -> dict[str, Any]:
    file = run / name
    if not file.is_file():
        do = "give the folder of a run that ended: runs/RECIPE/HARDWARE/TIME-ID"
        raise RecipeError(Fault(short(run), f"there is no {name} in it", do))
    found = files.read(file)
    if not isinstance(found, dict):
        raise RecipeError(Fault(short(run), STRANGE, AGAIN))
    return found


def _against(run: Path, report: Mapping[str, Any], recipe: Path) -> Iterator[Fault]:
    """Why what a run came to says nothing about its recipe."""
    where = short(run)
    if (name := report["recipe"]["name"]) != recipe.stem:
        yield Fault(where, f"it was a run of {recipe.name}, a lock of {name}", f"run recipe={name}, and record that")
    if report.get("simulated"):
        yield Fault(where, "the run was simulated", "record one of a real vLLM")
    if report.get("hardware") is None:
        yield Fault(where, "the server was attached to, not launched", "record a run that launched it")
    if report.get("verdict") == "interrupted":
        yield Fault(where, "the run was interrupted", "record one that came to its end")
    if report.get("verdict") == "error":
        yield Fault(where, "the run ended in an error", "see its report.md, mend that, and record a run without")
    if not re.match(NAME, _run(run)["id"]):
        do = "rename it: letters, digits, _, . and -"
        yield Fault(where, f"{_run(run)['id']} cannot be part of a file's name", do)
    if left := report["teardown"]["processes_left"]:
        yield Fault(where, f"its teardown left {left} processes", "see `recipe-run doctor`, and record a run without")
    if _log(run, report) is None:
        yield Fault(where, f"its {SERVER_LOG} is not here", "put it back, or run again")


def _elsewhere(run: Path, report: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[Fault]:
    """A run that went on other hardware than it says, which `preflight.host=warn` lets."""
    if plan.get("hardware") is None or report["hardware"] is None:
        return
    if plan["hardware"]["name"] != report["hardware"]:
        yield Fault(short(run), STRANGE, AGAIN)
        return
    name, facts = plan["hardware"]["name"], {k: v for k, v in plan["hardware"].items() if k != "name"}
    if wrong := elsewhere(Hardware.model_validate(facts), name, report["environment"]["gpus"]):
        yield Fault(short(run), wrong, "record a run that names its hardware: hardware=auto finds it")


def _moved_on(run: Path, plan: Mapping[str, Any], recipe: Path) -> Iterator[Fault]:
    """The files of the recipe that are not as the run had them."""
    locked = _locked(run / LOCK)
    ran = {plan["recipe"]["sha256"], *locked}
    for file in _lineage(recipe) if locked else [recipe]:
        if files.sha256(file) not in ran:
            yield Fault(short(file), "the recipe changed since the run", AGAIN)


def _locked(lock: Path) -> set[str]:
    """The SHA-256 of each file that the run was composed of, if that was written down."""
    if not lock.is_file():
        return set()
    told = read(lock)[0].get("lock")
    kept = told.get("files") if isinstance(told, dict) else None
    return set(kept.values()) if isinstance(kept, dict) else set()


def _recipe(plan: Mapping[str, Any]) -> Path:
    """The recipe's file, which the plan names as seen from where the run was started, or inside the package."""
    told = str(plan["recipe"]["file"])
    places = [root / told for root in (Path(), PACKAGE / "_shipped", PACKAGE.parent)]
    found = next((place for place in places if there(place)), None)
    if found is None:
        do = "record it from the folder where the run was started"
        raise RecipeError(Fault("recipe", f"{told} is not here", do))
    return found.resolve()


def _lineage(recipe: Path) -> list[Path]:
    """The recipe's file, and those of the recipes that it inherits from."""
    space = Space()
    folders = list(dict.fromkeys((recipe.parent, *space.recipes)))
    existing: dict[str, Iterable[str]] = {
        group: space.names(group) for group in ("validation", "benchmark", "hardware")
    }
    return lineage(recipe.stem, folders, existing)


def _log(run: Path, report: Mapping[str, Any]) -> Path | None:
    """The server's log; points of a sweep that share a server have it in the folder of the first."""
    told = Path(str(report.get("server_log")))
    places = (run / SERVER_LOG, run.resolve().parent / told.parent.name / told.name)
    return next((place for place in places if place.is_file()), None)


def _document(run: Path, report: Mapping[str, Any], plan: Mapping[str, Any], recipe: Path, note: str) -> dict[str, Any]:
    log = _log(run, report)
    assert log is not None
    own, *parents = _lineage(recipe)
    found = {
        **{key: report[key] for key in AS_IS},
        "exit_code": exit_code(report["verdict"]),
        "model": {key: plan["recipe"]["model"].get(key) for key in ("id", "path", "revision")},
        "processes": [_picked(Process, one) for one in report["processes"]],
        "provenance": {name: one for name, one in report["provenance"].items() if one["layer"] == "environment"},
        "phases": [_picked(Phase, one) for one in report["phases"]],
        "checks": [_picked(Check, one) for one in report["checks"]],
        "benchmarks": [_benchmark(one) for one in report["benchmarks"]],
        "teardown": _picked(Teardown, report["teardown"]),
    }
    chosen = Parallelism.model_validate(report["parallelism"])
    found = portable(found, recipe.parent) | {
        "as_typed": as_typed(report["choices"], report["overrides"], chosen, recipe),
        **{"format": 1, "kind": files.KIND, "note": note, "overrides": homeless(report["overrides"])},
        "recipe": {
            "name": own.stem,
            "sha256": files.sha256(own),
            "inherits": {parent.stem: files.sha256(parent) for parent in parents},
        },
        "run": _run(run),
        "server_log": {"sha256": files.sha256(log), "bytes": log.stat().st_size},
    }
    found["digest"] = files.digest(found)
    return {key: found[key] for key in Document.model_fields}


def _benchmark(item: Mapping[str, Any]) -> dict[str, Any]:
    counted = [_picked(Measured, one) for one in item["measurements"] if one["counted"]]
    return _picked(Benchmarked, {**item, "measurements": counted})


def _picked(kind: type[BaseModel], part: Mapping[str, Any]) -> dict[str, Any]:
    """What evidence keeps of a part of the report."""
    return {key: part[key] for key, field in kind.model_fields.items() if key in part or field.is_required()}


def _run(run: Path) -> dict[str, Any]:
    folder = run.resolve()
    point = re.fullmatch(r"(\d+)(\.\d+)?", folder.name, re.ASCII)  # `000`; `000.2` where it was gone on with
    if folder.parent.parent.name == "sweeps" and point:
        return {"id": folder.parent.name, "point": int(point[1])}
    return {"id": folder.name, "point": None}


def _beside(recipe: Path) -> Path:
    """The folder of results beside the recipe; what is put into an installed package would go with its next version."""
    if recipe.is_relative_to((PACKAGE / "_shipped").resolve()):
        raise RecipeError(Fault(short(recipe), "the recipe is part of the installed package", TO))
    return recipe.parent / files.RESULTS


def _write(file: Path, document: Mapping[str, Any]) -> bool:
    """Write it, once; whether that was now."""
    if file.exists():
        if files.read(file) == json.loads(json.dumps(document)):
            return False
        what = "there is other evidence of this run"
        raise RecipeError(Fault(short(file), what, "remove it first, if this one is to stand instead"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, document)
    except OSError as exc:
        raise RecipeError(Fault(short(file.parent), f"it cannot be written: {exc.strerror}", TO)) from exc
    return True
