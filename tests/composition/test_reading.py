"""From folded values to a request: what each section takes, every fault in words, all at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from recipe_runner import prepare
from recipe_runner.composition.schema import Parallelism, Request
from tests.conftest import Answer

ON = "hardware=a100x2"
REFUSALS: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "refusals.yaml").read_text()
)


def asked(*words: str) -> Request:
    return prepare.requested(["recipe=mine", ON, *words], [])[1]


@pytest.mark.parametrize(("word", "told"), REFUSALS["words"].items())
def test_a_wrong_value_is_told_in_words(
    word: str, told: list[str], recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("model: {id: a/model}\n")
    assert cli("plan", "recipe=mine", ON, word).refusal == told


@pytest.mark.parametrize(("text", "told"), REFUSALS["recipes"].items())
def test_a_wrong_block_of_a_recipe_is_told_with_its_line(
    text: str, told: list[str], recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe(f"model: {{id: a/model}}\n{text}\n")
    assert cli("plan", "recipe=mine", ON).refusal == told


def test_a_field_without_the_name_of_its_benchmark(cli: Callable[..., Answer]) -> None:
    assert cli("plan", "recipe=internvl3", ON, "benchmark.ignore_eos=true").refusal == [
        "benchmark.ignore_eos — True is not a mapping; write benchmark.guide.ignore_eos=true"
    ]


def test_an_override_of_a_check_that_is_not_there_names_those_that_are(
    recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("validation: {capital: {uses: models}, colour: {uses: models}}\n")
    assert cli("plan", "recipe=mine", ON, "validation.capitl.prompt=x").refusal == [
        "validation.capitl — there is no capitl here, and a new one needs `uses`; "
        "did you mean capital? There are: capital, colour"
    ]


@pytest.mark.parametrize("path", ["../weights", "/etc", "link"])
def test_a_recipes_weights_may_not_be_outside_its_folder(
    path: str, recipe: Callable[..., Path], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    recipe(f"model: {{id: m, path: {path}}}\n")
    (tmp_path / "recipes" / "link").symlink_to("/etc")
    assert cli("plan", "recipe=mine", ON).refusal == [
        f"model.path (recipes/mine.yaml:1) — {path} is outside the recipe's folder; give it as model.path=…"
    ]


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "::::", "[::1]"])
def test_a_host_that_can_be_none_is_refused(host: str, recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe(f"serve: {{host: '{host}'}}\n")
    assert cli("plan", "recipe=mine", "hardware=h100x1").refusal == [
        f"serve.host (recipes/mine.yaml:1) — no host can be called {host!r}; "
        "write an address, such as 127.0.0.1 or ::1, or a name"
    ]


def test_a_model_path_is_relative_to_the_recipe_or_to_here(recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe("model: {id: m, path: weights}\n")
    assert asked().model.path == str(tmp_path / "recipes" / "weights")
    assert asked("model.path=weights").model.path == str(tmp_path / "weights")
    assert asked("model.path=/etc").model.path == "/etc"


def test_faults_of_all_sections_are_told_at_once(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("model: {}\nenv: {A: [1]}\nbenchmark: {b: {uses: bench}}\nvalidation: {v: {}}\n")
    wrong = [
        "serve.port=x",
        "serve.revision=x",
        "parallelism.tp=0",
        "timeouts.stop=1",
        "report.formats=[pdf]",
        "preflight=x",
    ]
    assert [line.split(" ")[0] for line in cli("plan", "recipe=mine", ON, *wrong).refusal] == [
        *("serve.revision", "env.A", "model.id", "parallelism.tp", "serve.port", "validation.v", "benchmark.b"),
        *("preflight", "timeouts.stop", "report.formats"),
    ]


def test_values_of_all_types_reach_the_request(recipe: Callable[..., Path]) -> None:
    recipe(
        "summary: 3\nmodel: {id: m}\nserve: {a: true, b: 1.5, c: [1, x], d: {e: {f: 1}}, port: 0}\nenv: {N: 1, T: on}\n"
    )
    request = asked("serve.g=text", "env.X='1'")
    assert request.serve == {"a": True, "b": 1.5, "c": [1, "x"], "d": {"e": {"f": 1}}, "port": 0, "g": "text"}
    assert request.env == {"N": "1", "T": "on", "X": "1"}
    assert request.summary == "3"
    assert request.address.port == 0
    assert (request.recipe, request.hardware_name, request.engine_name) == ("mine", "a100x2", "vllm")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("model: {id: org/m}", "org/m"),
        ("model: {id: org/m}\nserve: {served_model_name: short}", "short"),
        ("model: {id: org/m}\nserve: {served_model_name: [first, second]}", "first"),
        ("model: {id: org/m, path: weights}", "{folder}/recipes/weights"),
    ],
)
def test_the_name_under_which_the_model_is_served(
    text: str, name: str, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe(text)
    assert asked().served_name == name.replace("{folder}", str(tmp_path))


def test_world_is_the_number_of_devices() -> None:
    assert Parallelism(tp=2, dp=3, pp=4).world == 24
    assert Parallelism().world == 1


def test_hardware_is_one_host(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("model: {id: a/model}\n")
    assert cli("plan", "recipe=mine", ON, "hardware.count=8000000").refusal == [
        "hardware.count — 8000000 does not fit here; it should be less than or equal to 1024"
    ]
