"""Run folders to make evidence of: made by the simulated engine, and then said to be of a real one."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recipe_runner.evidence.files import digest
from tests.running import DATA, run_here

ID = "20260102T030405Z-abcd"
LOG = "INFO ready\n"
RECIPE = """\
summary: Mine
model: {id: test/mine, path: small}
serve: {host: 127.0.0.1, port: 0, max_model_len: 128, enforce_eager: true}
env: {CACHE: HOME/cache}
validation:
  capital: {uses: completion, prompt: The capital of France is, expect: {contains: Paris}}
benchmark:
  small: {uses: load, input_len: 16, output_len: 8, num_prompts: 2, max_concurrency: 2, repeat: 3}
expected:
  small:
    source: https://example.org/measured
    hardware: cpu
    metrics: {completed: {value: 2, unit: requests, gate: true, better: higher}}
"""
_made: dict[str, str] = {}


def simulated(folder: Path) -> Path:
    """The folder of a run of `recipes/mine.yaml`; the server was simulated, once for all tests."""
    recipe = folder / "recipes" / "mine.yaml"
    shutil.copytree(DATA / "small", recipe.parent / "small")
    recipe.write_text(_here(RECIPE, folder))
    run = folder / "runs" / "mine" / "cpu" / ID
    if not _made:
        code, ran = run_here(folder, "recipe=mine", "hardware=cpu", "engine=sim")
        assert code == 0
        for name in ("plan.json", "report.json"):
            text = (ran.run / name).read_text()
            _made[name] = text.replace(str(Path.home()), "HOME").replace(str(folder), "FOLDER")
    run.mkdir(parents=True)
    for name, text in _made.items():
        found = json.loads(_here(text, folder))
        found.get("environment", {}).update(recipe_sha256=sha(recipe))
        found["recipe"] |= {"sha256": sha(recipe)}
        (run / name).write_text(json.dumps(found))
    (run / "server.log").write_text(LOG)
    return run


def _here(text: str, folder: Path) -> str:
    return text.replace("HOME", str(Path.home())).replace("FOLDER", str(folder))


def real(folder: Path, **report: Any) -> Path:
    """The same run, its documents changed to say that a real vLLM was there, which no machine of a test has."""
    run = simulated(folder)
    edit(run / "report.json", lambda found: found.update({"simulated": False, **report}))
    return run


def edit(file: Path, change: Callable[[dict[str, Any]], object], *, anew: bool = False) -> None:
    """Change a document; `anew` gives it the digest that it should have."""
    found = json.loads(file.read_text())
    change(found)
    if anew:
        with contextlib.suppress(KeyError):
            found["digest"] = digest(found)
    file.write_text(json.dumps(found))


def sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
