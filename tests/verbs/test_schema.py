"""`recipe-run schema`: every recipe that composes fits it, and what is faulty does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from recipe_runner import registry
from recipe_runner.authoring import schema
from recipe_runner.composition import library
from recipe_runner.composition.schema import ModelFacts
from recipe_runner.composition.sources import IN_PROFILE
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.paths import shipped
from tests.conftest import Answer

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "docs" / "reference" / "recipe.schema.json"
CHAT = "{uses: chat, prompt: Hello, expect: {not_empty: true}}"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    made = schema.document()
    Draft7Validator.check_schema(made)
    return Draft7Validator(made)


def faults(validator: Draft7Validator, text: str) -> list[str]:
    return [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


def test_it_is_printed(cli: Callable[..., Answer], validator: Draft7Validator) -> None:
    assert json.loads(cli("schema").page) == validator.schema
    assert cli("schema", "--json").page == cli("schema").page


@pytest.mark.parametrize("name", sorted(library.names([shipped("recipes")])))
def test_shipped_recipes_fit(name: str, validator: Draft7Validator) -> None:
    values = read(shipped("recipes") / f"{name}.yaml")[0]
    assert [error.message for error in validator.iter_errors(values)] == []


def test_what_new_writes_fits(
    validator: Draft7Validator, cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = ModelFacts(source="made up", config={"architectures": ["X"], "vision_config": {}})
    monkeypatch.setattr("recipe_runner.model.hub.ask", lambda model: facts)
    monkeypatch.setattr("recipe_runner.authoring.subject._listed", lambda model, revision: ())
    assert cli("new", "mine", "--model", "a/b").code == 0
    recipe = Path("recipes/mine.yaml")
    assert [error.message for error in validator.iter_errors(read(recipe)[0])] == []
    named = recipe.read_text().partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    assert json.loads((recipe.parent / named).read_text()) == validator.schema


@pytest.mark.parametrize(
    "text",
    [
        "model: {id: a/b}",
        f"model: {{id: a/b, revision: null}}\nvalidation: {{c: {CHAT}, d: null}}",
        "model: {id: a/b}\nvalidation: {c: {uses: my_checks:Contains, anything: [1]}}",
        "model: {id: a/b}\nserve: {any_flag: {a: [1]}, port: 1, served_model_name: [a, b], off: false, gone: null}",
        "model: {id: a/b}\nenv: {A: '1', B: 2}\nprofiles: {lab: {serve: {port: 1}, validation: {c: {seed: 1}}}}",
        "defaults: [other, {/validation@validation: smoke}, _self_]\nvalidation: {c: {seed: 1}}\nserve: null",
        "defaults: [other]\nexpected: {c: {metrics: {m: {gate: true}}}}\nmodel: {facts: {revision: x}}",
    ],
)
def test_what_a_recipe_may_say_fits(text: str, validator: Draft7Validator) -> None:
    assert faults(validator, text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("summary: no model", "$"),
        ("model: {}", "$.model"),
        ("model: {id: 3}", "$.model"),
        ("model: {id: a/b, idea: c}", "$.model"),
        ("model: {id: a/b, facts: {revision: x}}", "$.model.facts"),
        ("model: {id: a/b}\nserv: {port: 1}", "$"),
        ("model: {id: a/b}\nserve: {port: 70000}", "$.serve.port"),
        ("model: {id: a/b}\nserve: {tensor_parallel_size: 2}", "$.serve.tensor_parallel_size"),
        ("model: {id: a/b}\nserve: {max-model-len: 2}", "$.serve"),
        ("model: {id: a/b}\nparallelism: {tp: 0}", "$.parallelism"),
        ("model: {id: a/b}\nenv: {A: true}", "$.env.A"),
        ("model: {id: a/b}\nvalidation: [chat]", "$.validation"),
        ("model: {id: a/b}\nvalidation: {c: {prompt: Hello}}", "$.validation.c"),
        ("model: {id: a/b}\nvalidation: {c: {uses: chat, prompt: Hello}}", "$.validation.c"),
        ("model: {id: a/b}\nvalidation: {c: {uses: chatt}}", "$.validation.c"),
        ("model: {id: a/b}\nvalidation: {c: {uses: chat, prompt: a, expect: {holds: b}}}", "$.validation.c"),
        ("model: {id: a/b}\nbenchmark: {c: {uses: chat}}", "$.benchmark.c"),
        ("model: {id: a/b}\nbenchmark: {c: {uses: vllm_bench, num_prompts: 0}}", "$.benchmark.c"),
        ("model: {id: a/b}\nexpected: {c: {hardware: x, metrics: {}}}", "$.expected.c"),
        (
            "model: {id: a/b}\nexpected: {c: {source: s, hardware: x, metrics: {m: {value: 1}}}}",
            "$.expected.c.metrics.m",
        ),
        ("model: {id: a/b}\ndiagnosis: {c: {pattern: x}}", "$.diagnosis.c"),
        ("model: {id: a/b}\nprofiles: {cpu: {summary: x}}", "$.profiles.cpu"),
        ("defaults: [{/engine@engine: sim}]", "$.defaults[0]"),
        ("defaults: other", "$.defaults"),
    ],
)
def test_what_is_faulty_does_not_fit(text: str, where: str, validator: Draft7Validator) -> None:
    assert where in faults(validator, text)


def test_it_has_the_sections_that_a_recipe_may_have(validator: Draft7Validator) -> None:
    assert validator.schema["properties"].keys() == library.SECTIONS | {"defaults", "lock"}
    assert validator.schema["$defs"]["profile"]["properties"].keys() == IN_PROFILE


@pytest.mark.parametrize("kind", ["checks", "benchmarks"])
def test_each_plugin_stands_in_it_with_what_it_says_of_itself(kind: str, validator: Draft7Validator) -> None:
    defs: dict[str, Any] = validator.schema["$defs"]
    for name in registry.known(kind):
        cls = registry.load(kind, name, kind)
        found = defs[f"{kind[:-1]}.{name}"]
        assert found["description"].partition("\n")[0] == (cls.__doc__ or "").strip().partition("\n")[0]
        assert [*found["properties"]] == [*cls.model_fields]


def test_one_that_cannot_be_loaded_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    load = registry.load

    def fails(kind: str, uses: str, where: str) -> Any:
        if uses == "image":
            raise RecipeError(Fault(where, "it cannot be loaded", "correct it"))
        return load(kind, uses, where)

    monkeypatch.setattr(registry, "load", fails)
    found = {name.removeprefix("check.") for name in schema.document()["$defs"] if name.startswith("check.")}
    assert found == registry.known("checks").keys() - {"image"}


def test_ours_alone_are_published() -> None:
    ours = schema.document("recipe-runner")["$defs"]
    assert {"check.chat", "benchmark.vllm_bench"} <= ours.keys()
    assert [name for name in schema.document("somebody")["$defs"] if name.startswith(("check.", "benchmark."))] == []
