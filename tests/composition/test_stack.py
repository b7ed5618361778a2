"""The order of the layers: configuration, personal, engine, preset, recipe, profile, command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import prepare
from recipe_runner.composition.layers import Folded
from recipe_runner.composition.schema import Timeouts
from tests.conftest import Answer

ON = "hardware=a100x2"


def folded(*words: str, hardware: str = ON) -> Folded:
    return prepare.requested(["recipe=mine", hardware, *words], [])[1].folded


@pytest.fixture
def personal(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "me"))
    return lambda text: write("me/recipe-runner/config.yaml", text)


def test_each_layer_goes_over_the_one_before(recipe: Callable[..., Path]) -> None:
    cpu = "hardware=cpu"  # its engine says `serve.dtype: float32`
    recipe("serve: {x: 1}\n")
    assert folded(hardware=cpu).values["serve"]["dtype"] == "float32"
    assert str(folded(hardware=cpu).origins["serve.dtype"]) == "conf/engine/vllm_cpu.yaml:5"
    recipe("serve:\n  dtype: from the recipe\n", "mine")
    assert folded(hardware=cpu).values["serve"]["dtype"] == "from the recipe"
    recipe("serve:\n  dtype: r\nprofiles:\n  cpu:\n    serve:\n      dtype: from the profile\n")
    found = folded(hardware=cpu)
    assert found.values["serve"]["dtype"] == "from the profile"
    assert (found.origins["serve.dtype"].layer, str(found.origins["serve.dtype"])) == ("profile", "recipes/mine.yaml:6")
    found = folded("serve.dtype=typed", hardware=cpu)
    assert (found.values["serve"]["dtype"], found.origins["serve.dtype"].layer) == ("typed", "command line")


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("serve: {dtype: null}", [], False),
        ("serve: {dtype: a}\nprofiles: {cpu: {serve: {dtype: null}}}", [], False),
        ("serve: {dtype: a}", ["serve.dtype=null"], False),
        ("serve: {dtype: a}", ["~serve.dtype"], False),
        ("serve: {x: 1}", ["~serve.dtype"], False),
        ("serve: null", [], False),
        ("", ["serve=null"], False),
        ("", ["~serve"], False),
        ("serve: {dtype: null}\nprofiles: {cpu: {serve: {dtype: b}}}", [], True),
        ("serve: {dtype: null}\nprofiles: {host: {serve: {dtype: b}}}", [], False),
        ("profiles: {cpu: null}", [], True),
        ("profiles: null", [], True),
    ],
)
def test_null_removes_in_every_layer(text: str, words: list[str], left: bool, recipe: Callable[..., Path]) -> None:
    recipe(text)
    assert ("dtype" in folded(*words, hardware="hardware=cpu").values.get("serve", {})) is left


@pytest.mark.parametrize("section", ["validation", "benchmark"])
def test_presets_replace_what_the_recipe_and_its_profile_say(section: str, recipe: Callable[..., Path]) -> None:
    uses = {"validation": "models", "benchmark": "vllm_bench"}[section]
    block = f"{section}: {{NAME: {{uses: {uses}}}}}"
    recipe(f"{block.replace('NAME', 'own')}\nprofiles: {{a100x2: {{{block.replace('NAME', 'profiled')}}}}}\n")
    assert set(folded().values[section]) == {"own", "profiled"}
    assert folded(f"{section}=none").values[section] == {}
    smoke = folded(f"{section}=smoke")
    assert not {"own", "profiled"} & set(smoke.values[section])
    name = next(iter(smoke.values[section]))
    assert smoke.origins[f"{section}.{name}.uses"].layer == "preset"
    assert str(smoke.origins[f"{section}.{name}.uses"]).startswith(f"conf/{section}/smoke.yaml:")
    typed = folded(f"{section}=smoke", f"{section}.more.uses={uses}", f"{section}.{name}=null").values[section]
    assert "more" in typed
    assert name not in typed


def test_a_preset_leaves_other_sections_alone(recipe: Callable[..., Path]) -> None:
    recipe("validation: {own: {uses: models}}\nserve: {x: 1}\n")
    found = folded("benchmark=smoke")
    assert (set(found.values["validation"]), found.values["serve"]) == ({"own"}, {"x": 1})


def test_a_persons_own_defaults_go_over_the_configuration_and_under_the_command_line(
    recipe: Callable[..., Path], personal: Callable[[str], Path]
) -> None:
    recipe("")
    file = personal(
        "timeouts: {request_s: 7}\npreflight: {host: warn}\nreport: {folder: elsewhere}\n"
        "engine:\n  vllm: {command: /opt/vllm}\n  sim: {replies: {}}\n"
    )
    found = folded()
    assert found.values["timeouts"]["request_s"] == 7
    assert found.values["timeouts"]["stop_s"] == 10
    assert found.values["preflight"]["host"] == "warn"
    assert found.values["report"]["folder"] == "elsewhere"
    assert found.values["engine"] == {"uses": "vllm", "command": "/opt/vllm"}
    assert found.origins["timeouts.request_s"].layer == "personal"
    assert found.origins["timeouts.request_s"].source == f"{file}:1"
    assert found.origins["engine.command"].source == f"{file}:5"
    assert folded("timeouts.request_s=8").values["timeouts"]["request_s"] == 8
    assert folded("engine=vllm_cpu").values["engine"] == {"uses": "vllm", "environment": "cpu"}


@pytest.mark.parametrize(
    "text", ["", "engine:\n", "engine: {vllm: null}\n", "engine: {unheard-of: {x: 1}}\n", "report:\n"]
)
def test_a_persons_file_may_say_nothing(
    text: str, recipe: Callable[..., Path], personal: Callable[[str], Path]
) -> None:
    recipe("")
    personal(text)
    assert folded().values["engine"] == {"uses": "vllm"}


def test_settings_of_an_engine_that_is_not_there_are_said(
    recipe: Callable[..., Path], personal: Callable[[str], Path]
) -> None:
    recipe("")
    personal("engine:\n  vllm: {command: sh}\n  vlm: {command: sh}\n")
    assert prepare.requested(["recipe=mine", ON], [])[0].warnings == (
        f"{FILE}:3: there is no engine vlm that could have these settings; "
        "did you mean vllm? There are: attach, sim, vllm, vllm_cpu",
    )


OWN = "engine, preflight, report, timeouts"
FILE = "me/recipe-runner/config.yaml"
UNDER = (
    "this does not say whose settings these are; "
    "give each engine's settings under its name: `engine: {vllm: {command: …}}`"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "timeout: {}\nserve: {}\n",
            [
                f"{FILE}:1 — unknown section timeout; did you mean timeouts? There are: {OWN}",
                f"{FILE}:2 — unknown section serve; choose one of: {OWN}",
            ],
        ),
        ("engine: sim\n", [f"{FILE}:1 — {UNDER}"]),
        ("engine:\n  command: vllm\n", [f"{FILE}:1 — {UNDER}"]),
        (
            "engine: [\n",
            [f"{FILE}:2 — YAML error: did not find expected node content; correct the line, or the one above"],
        ),
        ("timeouts: 3\n", [f"timeouts ({FILE}:1) — 3 is not a mapping; give its keys: timeouts.KEY=VALUE"]),
        (
            "timeouts: {stop: 3}\n",
            [
                f"timeouts.stop ({FILE}:1) — unknown key stop; did you mean stop_s? "
                f"There are: {', '.join(sorted(Timeouts.model_fields))}"
            ],
        ),
        (
            "engine: {vllm: {comand: x}}\n",
            [f"engine.comand ({FILE}:1) — unknown key comand; did you mean command? There are: command, environment"],
        ),
    ],
)
def test_a_faulty_personal_file_is_told_in_words(
    text: str,
    told: list[str],
    recipe: Callable[..., Path],
    personal: Callable[[str], Path],
    cli: Callable[..., Answer],
) -> None:
    recipe("")
    personal(text)
    assert cli("plan", "recipe=mine", ON).refusal == told


def test_typed_mappings_merge_and_their_order_counts(recipe: Callable[..., Path]) -> None:
    recipe("serve: {a: 1, b: 2}\n")
    assert folded("serve={b: null, c: 3}", "serve.d=4").values["serve"] == {"a": 1, "c": 3, "d": 4}
    assert folded("serve.d=4", "serve={c: 3}").values["serve"] == {"a": 1, "b": 2, "c": 3}
