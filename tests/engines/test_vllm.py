import sys
from pathlib import Path

import pytest

from recipe_runner.engines.vllm import Vllm
from recipe_runner.errors import Fault
from recipe_runner.host import environments


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without vLLM: nothing beside the interpreter, an empty PATH, no environments."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_on_the_path_it_is_called_by_its_name(nowhere: Path) -> None:
    executable(nowhere / "path" / "vllm")
    located = Vllm(uses="vllm").locate()
    assert (located.server, located.client, located.faults) == (("vllm", "serve"), ("vllm",), ())


def test_beside_our_interpreter_it_is_called_by_its_place(nowhere: Path) -> None:
    executable(nowhere / "path" / "vllm")
    vllm = executable(nowhere / "beside" / "vllm")
    located = Vllm(uses="vllm").locate()
    assert (located.server, located.client) == ((str(vllm), "serve"), (str(vllm),))


@pytest.mark.parametrize("listed", [False, True])
def test_a_command_of_several_words(nowhere: Path, listed: bool) -> None:
    vllm = str(executable(nowhere / "my vllm"))
    command = [vllm, "--flag", "a b"] if listed else f"'{vllm}' --flag 'a b'"
    located = Vllm(uses="vllm", command=command).locate()
    assert (located.client, located.faults) == ((vllm, "--flag", "a b"), ())
    assert located.server == (vllm, "--flag", "a b", "serve")


def test_an_environment_that_was_set_up(nowhere: Path) -> None:
    home = environments.folder("cpu")
    executable(home / "bin" / "vllm")
    (home / environments.FINISHED).write_text("vllm 1.0\n")
    assert Vllm(uses="vllm", environment="cpu").locate().client == (str(home / "bin" / "vllm"),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {},
            "engine.command — there is no vllm command here; `pip install vllm` on a GPU host, "
            "`recipe-run setup cpu` without one, or set engine.command",
        ),
        (
            {"environment": "cpu"},
            "engine.environment — vLLM for CPU is not set up; run `recipe-run setup cpu`, or set engine.command",
        ),
        ({"command": "/no/such/vllm"}, "engine.command — there is no command /no/such/vllm; check the path"),
        ({"command": ["vllm", "x"]}, "engine.command — there is no command vllm; check the path"),
        ({"command": ""}, "engine.command — there is no command ''; check the path"),
    ],
)
def test_without_vllm_it_says_what_to_do(nowhere: Path, settings: dict[str, object], message: str) -> None:
    (fault,) = Vllm.model_validate({"uses": "vllm", **settings}).locate().faults
    assert isinstance(fault, Fault)
    assert str(fault) == message
