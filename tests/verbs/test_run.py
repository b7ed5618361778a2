"""`recipe-run run` and `serve`: what is refused before anything starts. What they do then is tested with the runner."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import Answer
from tests.nvml import Nvml, gpu

WEIGHTS = f"model.path={Path(__file__).parents[1]}/data/small"


@pytest.fixture(autouse=True)
def nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    def run(*args: object, **kwargs: object) -> None:
        pytest.fail("something was started")

    monkeypatch.setattr("recipe_runner.runner.run", run)
    monkeypatch.setattr("recipe_runner.runner.sweep", run)
    yield
    assert not (tmp_path / "runs").exists(), "a refusal wrote a run folder"


@pytest.mark.parametrize("verb", ["run", "serve"])
@pytest.mark.usefixtures("no_vllm")
def test_without_vllm_the_refusal_says_how_to_install_it(verb: str, cli: Callable[..., Answer], nvml: Nvml) -> None:
    nvml.has(gpu(), gpu())
    assert cli(verb, "recipe=internvl3", "hardware=a100x2", "serve.port=0", WEIGHTS).refusal == [
        "engine.command — there is no vllm command here; `pip install vllm` on a GPU host, "
        "`recipe-run setup cpu` without one, or set engine.command"
    ]
    assert cli(verb, "recipe=internvl3-tiny", "hardware=cpu", "serve.port=0").refusal == [
        "engine.environment — vLLM for CPU is not set up; run `recipe-run setup cpu`, or set engine.command"
    ]


def test_all_that_keeps_it_from_starting_is_told_at_once(cli: Callable[..., Answer]) -> None:
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        answer = cli("recipe=internvl3", "hardware=a100x2", "engine.command=no-vllm", f"serve.port={port}", WEIGHTS)
    assert answer.refusal == [
        "engine.command — there is no command no-vllm; check the path",
        f"serve.port — port {port} is in use by {psutil.Process().name()} (pid {os.getpid()}); "
        "stop that, or take a free one with serve.port=0",
        "hardware — the profile says 2 × A100-SXM4-40GB, this host has no NVIDIA GPU; "
        "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn",
    ]


@pytest.mark.parametrize("verb", ["run", "serve"])
def test_elsewhere_than_on_linux_nothing_is_launched(
    verb: str, cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cli(verb, "recipe=internvl3", "hardware=a100x2").refusal == [
        "platform — darwin cannot run vLLM servers; "
        "use WSL2, or attach to a server elsewhere with engine=attach engine.url=http://HOST:PORT"
    ]
    assert cli(verb, "recipe=internvl3", "engine=attach", "engine.url=host:1").refusal == [
        "engine.url — 'host:1' does not fit here; write it as http://HOST:PORT"
    ]


def test_attaching_needs_a_url(cli: Callable[..., Answer]) -> None:
    assert cli("recipe=internvl3", "engine=attach").refusal == [
        "engine.url (conf/engine/attach.yaml) — this is missing; write engine.url=…"
    ]


def test_serve_takes_no_sweep(cli: Callable[..., Answer]) -> None:
    assert cli("serve", "-m", "recipe=internvl3").refusal == [
        "recipe-run serve — unrecognized arguments: -m; see recipe-run serve --help"
    ]
