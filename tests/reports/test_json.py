"""report.json: the document as it is."""

import json
from pathlib import Path

from recipe_runner.reports.json import Json
from tests.reports.documents import RUN, SWEEP


def test_the_document_for_machines(tmp_path: Path) -> None:
    file = Json(uses="json").write(RUN, tmp_path)
    assert (file.name, json.loads(file.read_text())) == ("report.json", RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_sweep_has_a_document_of_its_own_already(tmp_path: Path) -> None:
    assert Json(uses="json").write_sweep(SWEEP, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
