"""`recipe-run setup`: builds, lists and removes environments."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner.host import environments
from tests.conftest import Answer


def made(name: str) -> Path:
    home = environments.folder("cpu").with_name(name)
    home.mkdir(parents=True)
    (home / "finished").write_text("vllm 0.20.0+cpu\n")
    return home


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "setup — no environment was named; choose one of: cpu"),
        (["cpo"], "setup — there is no environment cpo; did you mean cpu? There are: cpu"),
        (
            ["gpu"],
            "setup — there is no environment gpu; "
            "for GPUs `pip install vllm` beside recipe-runner, or name another with engine.command=…",
        ),
        (["cpo", "--remove"], "setup — there is no environment cpo; did you mean cpu? There are: cpu"),
        (["cpu", "x"], "recipe-run setup — unrecognized arguments: x; see recipe-run setup --help"),
    ],
)
def test_what_is_wrong_is_told_in_words(words: list[str], told: str, cli: Callable[..., Answer]) -> None:
    assert cli("setup", *words).refusal == [told]


def test_only_linux_has_vllm_for_cpu(cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cli("setup", "cpu").refusal == ["setup — there is no vLLM for CPU for darwin; use WSL2 or a Linux machine"]


def test_what_is_built_is_listed(cli: Callable[..., Answer]) -> None:
    assert cli("setup", "--list").page == "none\n"
    assert json.loads(cli("setup", "--list", "--json").page) == {"format": 1, "environments": []}
    one, other = made("cpu-py311-1"), made("cpu-py311-2")
    assert cli("setup", "--list").page == f"{one}  vllm 0.20.0+cpu\n{other}  vllm 0.20.0+cpu\n"
    assert json.loads(cli("setup", "--list", "--json").page)["environments"] == [
        {"folder": str(home), "holds": "vllm 0.20.0+cpu"} for home in (one, other)
    ]


def test_the_one_of_this_version_or_all_are_removed(cli: Callable[..., Answer]) -> None:
    current, older = made(environments.folder("cpu").name), made("cpu-py311-older")
    assert cli("setup", "cpu", "--remove").page == f"removed {current}\n"
    assert (current.exists(), older.exists()) == (False, True)
    assert json.loads(cli("setup", "--remove", "--json").page) == {"format": 1, "removed": [str(older)]}
    assert not older.exists()
    assert cli("setup", "cpu", "--remove").page == "nothing to remove\n"


def test_progress_goes_to_stderr_and_the_folder_to_stdout(
    cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(name: str, tell: Callable[[str], None]) -> Path:
        tell("1/4 creating")
        return Path(f"/envs/{name}")

    monkeypatch.setattr(environments, "build", build)
    answer = cli("setup", "cpu")
    assert (answer.code, answer.stdout) == (0, "/envs/cpu\n")
    assert answer.stderr.endswith(" s  1/4 creating\n")
    assert json.loads(cli("setup", "cpu", "--json").stdout) == {"format": 1, "folder": "/envs/cpu"}
