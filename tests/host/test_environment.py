import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recipe_runner import __version__
from recipe_runner.facts import Attached
from recipe_runner.host import environment
from recipe_runner.host.hardware import Gpu, Host

GPU = Gpu("0", "GPU-1", "NVIDIA L4", 22.0, 0.0, "8.9")


def planned(recipe: Path, client: tuple[str, ...] | None, *, simulated: bool = False) -> Any:
    recipe.write_text("summary: x\n")
    return SimpleNamespace(
        facts=SimpleNamespace(host=Host((GPU, GPU), "580.1", "A CPU", 4, 16.0, "Linux-6"), attached=None),
        target=SimpleNamespace(client=client),
        request=SimpleNamespace(
            recipe_file=recipe,
            engine=SimpleNamespace(uses="vllm"),
            checks={"brief": SimpleNamespace(uses="theirs:Brief")},
            benchmarks={},
            reports={},
            composed=SimpleNamespace(files=(recipe,), sha256="1f" * 32),
        ),
        simulated=simulated,
    )


def script(folder: Path, first: bytes) -> str:
    """A `vllm` command in an environment that has vllm and torch."""
    for name in ("vllm-0.20.0+cpu", "torch-2.11.0", "torch_other-1"):
        (folder / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "vllm").write_bytes(first.replace(b"HERE", str(folder).encode()))
    (folder / "bin" / "vllm").chmod(0o755)
    return str(folder / "bin" / "vllm")


def test_what_a_number_depends_on(tmp_path: Path) -> None:
    recipe = tmp_path / "small.yaml"
    described = environment.describe(planned(recipe, (script(tmp_path, b"#!HERE/bin/python -I\n"), "--flag")))
    assert described == {
        "recipe_runner": __version__,
        "vllm": "0.20.0+cpu",
        "torch": "2.11.0",
        "driver": "580.1",
        "gpus": ["NVIDIA L4", "NVIDIA L4"],
        "cpu": "A CPU (4 cores)",
        "memory_gib": 16.0,
        "platform": "Linux-6",
        "python": environment.platform.python_version(),
        "packages": [],
        "recipe_sha256": "1f" * 32,
        "git_commit": None,
    }


def test_a_simulated_vllm_says_so(tmp_path: Path) -> None:
    assert environment.describe(planned(tmp_path / "small.yaml", None, simulated=True))["vllm"] == "simulated"


@pytest.mark.parametrize("first", [b"\x7fELF\xff", b"", b"#!\n", b"#!/bin/sh\n", b"#!/usr/bin/env python3\n"])
def test_a_command_that_does_not_tell(tmp_path: Path, first: bytes) -> None:
    described = environment.describe(planned(tmp_path / "small.yaml", (script(tmp_path, first),)))
    assert (described["vllm"], described["torch"]) == (None, None)


def test_a_command_that_is_not_there_or_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.describe(planned(tmp_path / "small.yaml", ("/no/such/vllm",)))["vllm"] is None
    monkeypatch.setattr("recipe_runner.host.versions.shutil.which", lambda command: str(tmp_path))
    assert environment.describe(planned(tmp_path / "small.yaml", ("vllm",)))["vllm"] is None


def test_the_commit_of_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "small.yaml"
    plan = planned(recipe, None)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "small.yaml"], ["commit", "-q", "-m", "a recipe"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    commit = environment.describe(plan)["git_commit"]
    assert commit == subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


@pytest.mark.parametrize("problem", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(environment.subprocess, "run", fail)
    assert environment.describe(planned(tmp_path / "small.yaml", None))["git_commit"] is None


def test_an_attached_server_says_its_own_version(tmp_path: Path) -> None:
    plan = planned(tmp_path / "small.yaml", (script(tmp_path, b"#!HERE/bin/python\n"),))
    plan.facts.attached = Attached(("small",), "0.25.1")
    described = environment.describe(plan)
    assert (described["vllm"], described["torch"]) == ("0.25.1", None)
