"""The proof of a report: whatever a run came to is written, only into its folder, and in the same way each time."""

import copy
import functools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import pytest

from recipe_runner.api import Report
from recipe_runner.conformance.behind import nothing_left
from recipe_runner.conformance.proof import Proof
from recipe_runner.conformance.simulated import recipe, run

CAPITAL: Final = {"uses": "chat", "prompt": "What is the capital of France?", "expect": {"contains": "Paris"}}
SMALL: Final = ("benchmark=load", "benchmark.load.num_prompts=4", "benchmark.load.output_len=4", "hardware=cpu")
RUNS: Final[Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]]] = {
    "passed": ({}, ()),
    "failed": ({"fault": "off_topic"}, ()),
    "error": ({"fault": "out_of_memory"}, ()),
    "sweep": ({}, ("-m", "benchmark.load.max_concurrency=1,2", "report.formats=[json]")),
}
DOCUMENTS: Final = ("passed", "failed", "error", "not simulated")


class ReportProof(Proof):
    """Derive from it, and give `block`: `{"uses": NAME}`."""

    kind = "reports"
    key = "report"

    @pytest.mark.parametrize("came_to", DOCUMENTS)
    def test_it_writes_what_a_run_came_to(self, came_to: str, tmp_path: Path) -> None:
        self._written(document(came_to), tmp_path, sweep=False)

    def test_it_writes_what_a_sweep_came_to_or_nothing(self, tmp_path: Path) -> None:
        self._written(document("sweep"), tmp_path, sweep=True)

    def _written(self, told: Mapping[str, Any], folder: Path, *, sweep: bool) -> None:
        """Write it three times: for what Python keeps for good, for what is left, for what differs."""
        given = copy.deepcopy(dict(told))
        once, again = folder / "once", folder / "again"
        self._write(given, once, sweep=sweep)
        with nothing_left(again):
            path = self._write(given, again, sweep=sweep)
        assert given == told, "it changed what it was given"
        assert path is None if path is None and sweep else path is not None and path.is_file()
        assert path is None or path.is_relative_to(again), f"it wrote {path}, which is not in the folder"
        first = _files(once)
        assert _files(again) == first, "it writes other things the second time"
        assert bool(first) == (path is not None)
        self._write(given, once, sweep=sweep)
        assert _files(once) == first, "it writes other things over what is there"

    def _write(self, given: Mapping[str, Any], folder: Path, *, sweep: bool) -> Path | None:
        folder.mkdir(exist_ok=True)
        writer = cast(Report, self.made())
        return writer.write_sweep(given, folder) if sweep else writer.write(given, folder)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@functools.cache
def document(came_to: str) -> Mapping[str, Any]:
    """The document of a run that came to this, by this very release."""
    if came_to == "not simulated":
        return {key: value for key, value in document("passed").items() if key != "simulated"}
    settings, words = RUNS[came_to]
    with tempfile.TemporaryDirectory(prefix="recipe-runner-proof-") as name:
        folder = Path(name).resolve()
        recipe(folder, validation={"capital": CAPITAL})
        engine = {"uses": "sim", "replies": {"capital of France": "It is Paris."}, **settings}
        ran = run(folder, engine, *SMALL, *words)
        if came_to != "sweep":
            assert ran.report["verdict"] == came_to, ran.told
            return ran.report
        (file,) = folder.glob("runs/sweeps/*/sweep.json")
        swept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for point in swept["points"]:
            report = file.parent / point["folder"] / "report.json"
            point |= {"report": json.loads(report.read_text(encoding="utf-8")), "errors": []}
        return swept
