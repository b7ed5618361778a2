import sys

from recipe_runner.engines.sim import Sim


def test_it_is_launched_with_our_interpreter_and_has_no_vllm_to_measure_with() -> None:
    located = Sim(uses="sim").locate()
    assert located.server == (sys.executable, "-m", "recipe_runner.engines.sim_server")
    assert (located.client, located.faults) == (None, ())
    assert Sim.simulated


def test_replies_become_words() -> None:
    located = Sim(uses="sim", replies={"capital of France": "Paris", "x": "y z"}).locate()
    assert located.server[3:] == ("--reply", "capital of France", "Paris", "--reply", "x", "y z")
