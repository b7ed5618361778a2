import sys
from collections.abc import Callable
from typing import Any

import pytest

from recipe_runner.engines.sim import Sim
from recipe_runner.engines.sim_faults import MESSAGES, NAMES, TEXTS

SERVER = (sys.executable, "-m", "recipe_runner.engines.sim_server")
ON = ("recipe=internvl3", "hardware=a100x2", "engine=sim")


def sim(**fields: Any) -> Sim:
    return Sim.model_validate({"uses": "sim", **fields})


@pytest.mark.usefixtures("no_vllm")
def test_it_is_launched_with_our_interpreter_and_needs_no_vllm() -> None:
    located = sim().locate()
    assert located.server == SERVER
    assert (located.client, located.faults) == (None, ())
    assert Sim.simulated


def test_a_vllm_that_is_here_measures() -> None:
    assert sim(command=[sys.executable, "x.py"]).locate().client == (sys.executable, "x.py")
    located = sim(command="/no/vllm").locate()
    assert (located.server, located.client, located.faults) == (SERVER, None, ())


def test_replies_become_words() -> None:
    located = sim(replies={"capital of France": "Paris", "x": "y z"}).locate()
    assert located.server[3:] == ("--reply", "capital of France", "Paris", "--reply", "x", "y z")


def test_settings_become_words() -> None:
    located = sim(ttft_ms=50, tpot_ms=0.5, capacity=8, load_s=2, fault="dies", fault_at=7).locate()
    words = "--ttft-ms 50.0 --tpot-ms 0.5 --capacity 8 --load-s 2.0 --fault dies --fault-at 7"
    assert " ".join(located.server[3:]) == words
    assert sim(fault="error", fault_every=3).locate().server[3:] == ("--fault", "error", "--fault-every", "3")


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_can_be_typed(cli: Callable[..., Any], name: str) -> None:
    assert f"--fault {name}" in cli("plan", *ON, f"engine.fault={name}").page


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_here(name: str) -> None:
    assert (TEXTS / f"{name}.txt").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["engine.fault=dyes"], "engine.fault — 'dyes' does not fit here; did you mean dies? There are: {all}"),
        (
            ["engine.fault=dies", "engine.fault_at=soon"],
            "engine.fault_at — 'soon' does not fit here; it is start, loading, or the number of a request",
        ),
        (
            ["engine.fault=dies", "engine.fault_at=0"],
            "engine.fault_at — 0 does not fit here; requests are counted from 1",
        ),
        (["engine.fault_at=3"], "engine.fault_at — 3 does not fit here; this goes with engine.fault=dies, hangs"),
        (
            ["engine.fault=hangs", "engine.fault_every=3"],
            "engine.fault_every — 3 does not fit here; this goes with engine.fault=error, garbage, empty, truncated, "
            "malformed_tool_call, slow_first_token, off_topic, leaked_reasoning, wavering, flat_embeddings",
        ),
        (["engine.ttft_ms=-1"], "engine.ttft_ms — -1 does not fit here; it should be greater than or equal to 0"),
    ],
)
def test_what_is_refused(cli: Callable[..., Any], words: list[str], refusal: str) -> None:
    assert cli("plan", *ON, *words).refusal == [refusal.format(all=", ".join(sorted(NAMES)))]
