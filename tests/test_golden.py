"""The plan of every recipe on every hardware, or the exact refusal, as it stands in tests/golden/."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.composition import library
from recipe_runner.paths import shipped
from tests.conftest import Answer
from tests.nvml import Nvml, gpu

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
HARDWARE = ["auto", *sorted(file.stem for file in shipped("conf").glob("hardware/*.yaml"))]
HOSTS = {"auto": [gpu(), gpu()], "host": [gpu("NVIDIA Unheard-of 48GB", 47.5)] * 2}  # elsewhere there is no GPU
MATRIX = [(name, hardware) for name in sorted(library.names([shipped("recipes")])) for hardware in HARDWARE]
AGAIN = "`python -m pytest tests/test_golden.py --update-golden` writes it; look at what it says before you keep it"


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize(("name", "hardware"), MATRIX, ids=["-on-".join(pair) for pair in MATRIX])
def test_plan_is_as_it_was(
    name: str, hardware: str, cli: Callable[..., Answer], nvml: Nvml, request: pytest.FixtureRequest
) -> None:
    if hardware in HOSTS:
        nvml.has(*HOSTS[hardware])
    answer = cli("plan", f"recipe={name}", f"hardware={hardware}")
    assert answer.code in (0, 2), answer.stderr
    text = (answer.stdout + answer.stderr).replace(str(ROOT), "<repo>")
    file = GOLDEN / name / f"{hardware}.txt"
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    if not file.is_file():
        pytest.fail(f"{file.relative_to(ROOT)} does not exist: {AGAIN}")
    assert text == file.read_text(encoding="utf-8"), f"{file.relative_to(ROOT)} says something else: {AGAIN}"


def test_nothing_golden_is_left_over() -> None:
    found = {(file.parent.name, file.stem) for file in GOLDEN.glob("*/*")}
    assert found <= set(MATRIX), "remove the files of recipes and hardware that are gone"
