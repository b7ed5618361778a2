"""Keys without their section: the lists of flags are those of vLLM, and of the benchmark."""

from pathlib import Path

from recipe_runner import registry
from recipe_runner.composition.meant import MEASURING, OF_THEIR_OWN, ONE_WORD
from recipe_runner.host.flags import parse

LISTS = Path(__file__).parents[1] / "data" / "vllm_flags"


def test_flags_of_one_word_are_those_that_vllm_has() -> None:
    flags = {flag.removeprefix("--") for file in LISTS.glob("*.txt") for flag in parse(file.read_text())}
    single = {flag for flag in flags if "-" not in flag}
    assert single - {*OF_THEIR_OWN, "config", "help"} == ONE_WORD


def test_flags_of_the_benchmark_are_its_fields() -> None:
    assert registry.load("benchmarks", "vllm_bench", "benchmark").model_fields.keys() >= MEASURING
