"""`line`: a run in one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipe_runner.api import Report


class Line(Report):
    """Writes `line.txt`: the recipe, where it ran, and what it came to; for a sweep, how many points there are."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        simulated = " (simulated)" if report.get("simulated") else ""
        return _written(folder, f"{report['recipe']['name']} on {report['hardware']}: {report['verdict']}{simulated}")

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path:
        return _written(folder, f"{len(sweep['points'])} points over {', '.join(sweep['axes'])}")


def _written(folder: Path, line: str) -> Path:
    path = folder / "line.txt"
    path.write_text(f"{line}\n", encoding="utf-8")
    return path
