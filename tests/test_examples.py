"""The package in examples/, built, installed beside recipe-runner's wheel in a fresh environment, and used."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pages import blocks, commands, same
from tests.wheels import ROOT, built, installed, with_pytest

EXAMPLE = ROOT / "examples" / "recipe-runner-example"
OURS = "recipe-runner-example 0.1.0"
ON = ("recipe=brief-tiny", "hardware=a100x3")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheels = [
        built(project, tmp_path_factory.mktemp("wheel"))
        for project in (ROOT, Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "example")))
    ]
    lock = with_pytest(tmp_path_factory.mktemp("lock"))
    return installed(tmp_path_factory.mktemp("environment"), lock, *wheels)


def run(python: Path, folder: Path, *words: str, code: int = 0) -> str:
    """What `recipe-run WORDS` says there; what it refuses, too."""
    command = [python.parent / "recipe-run", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={"HOME": str(folder)})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout or done.stderr


def test_it_is_used_like_what_ships_with_us(python: Path, tmp_path: Path) -> None:
    listed = json.loads(run(python, tmp_path, "list", "--json"))
    del listed["format"]
    theirs = {what: [row["name"] for row in rows if row["origin"] == OURS] for what, rows in listed.items()}
    assert {what: names for what, names in theirs.items() if names} == {
        "recipes": ["brief-tiny"],
        "hardware": ["a100x3"],
        "checks": ["brief"],
        "reports": ["line"],
    }
    line = next(line for line in run(python, tmp_path, "list", "checks").splitlines() if " brief " in line)
    assert line.split(maxsplit=3) == [
        *("brief", "recipe-runner-example", "0.1.0"),
        "The answer to `prompt` takes at most `most_words` words, and at least one.",
    ]
    page = run(python, tmp_path, "plan", *ON, "engine.command=cat")
    assert page.startswith("# brief-tiny on a100x3 (3 × A100-SXM4-40GB)\n")
    run(python, tmp_path, *ON, "engine=sim", "serve.port=0", "benchmark=load", "report.formats=[json,line]")
    (report,) = tmp_path.glob("runs/brief-tiny/a100x3/*/report.json")
    document = json.loads(report.read_text())
    (brief,) = [check for check in document["checks"] if check["name"] == "brief"]
    assert (document["verdict"], brief["verdict"], brief["uses"]) == ("passed", "passed", "brief")
    assert (report.parent / "line.txt").read_text() == "brief-tiny on a100x3: passed (simulated)\n"
    assert not (report.parent / "report.md").exists()


def test_what_does_not_fit_its_check_is_refused(python: Path, tmp_path: Path) -> None:
    changed = ("validation.brief.most_words=0", "validation.brief.most_wards=3")
    assert run(python, tmp_path, "plan", *ON, *changed, code=2) == (
        "recipe-run: validation.brief.most_words — 0 does not fit here; it should be greater than or equal to 1\n"
        "recipe-run: validation.brief.most_wards — unknown key most_wards; "
        "did you mean most_words? There are: most_words, prompt\n"
    )


def test_it_proves_its_plugins(python: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    done = subprocess.run([python, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_page_says_what_it_holds() -> None:
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if line.startswith("recipe-run "))
    assert command == f"recipe-run {' '.join(ON)} engine=sim benchmark=load 'report.formats=[json,line]'"


def test_the_page_on_packages_says_what_happens(python: Path, tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "package-your-plugins.md"
    (block,) = (block for block in blocks(page) if block.lang == "console")
    (install, _), *typed = commands(block)
    assert shlex.split(install) == ["pip", "install", f"./{EXAMPLE.relative_to(ROOT)}"]  # which the fixture did
    for command, shown in typed:
        same(run(python, tmp_path, *shlex.split(command)[1:]), shown)
    written = {block.title or block.lang: block.body for block in blocks(page)}
    assert written["toml"] in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
