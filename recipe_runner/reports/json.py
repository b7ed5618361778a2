"""`json`: report.json, the run as a document for machines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipe_runner.api import Report
from recipe_runner.serialize import write_json


class Json(Report):
    """Writes `report.json` whole or not at all."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        return write_json(folder / "report.json", report)
