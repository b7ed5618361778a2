"""`recipe-run new`: a first recipe that can be planned as it is, or a refusal that says what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from recipe_runner import registry
from recipe_runner.composition import compose, library
from recipe_runner.composition.schema import ModelFacts
from recipe_runner.composition.yamlfile import read
from recipe_runner.model.refusals import network
from recipe_runner.model.weights import Problem, model_cache
from recipe_runner.paths import shipped
from tests.conftest import Answer
from tests.model.hub_server import COMMIT, Model, asked_by, safetensors
from tests.pages import blocks, commands
from tests.test_completion import answer

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-recipe.md"
DATA = Path(__file__).parents[1] / "data"
RED = (shipped("recipes") / "assets" / "red.png").read_bytes()
TINY = shipped("recipes") / "assets" / "internvl3-tiny"
BERT = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384}
LLAMA = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "auto_map": {"AutoModel": "x.Y"}}
LOGGED = ("mixtral-8x7b-h200-eager", "qwen3-30b-a3b-h200-graphs", "qwen3-0.6b-awq-h200-eager", "llama3.1-8b-a100-80g")


def recorded() -> dict[str, tuple[str, ModelFacts]]:
    """Models whose config.json is known here: those of shipped recipes, and of servers whose logs are kept."""
    found = {}
    for name, file in library.names([shipped("recipes")]).items():
        model = read(file)[0].get("model", {})
        if "facts" in model:
            found[name] = (model["id"], ModelFacts.model_validate(model["facts"]))
    for name in LOGGED:
        config = read(DATA / "vllm_logs" / f"{name}.yaml")[0]["config"]
        found[name] = (f"logged/{name}", ModelFacts(source="a log", config=config))
    found["bert"] = ("a/bert", ModelFacts(source="made up", config=BERT))
    found["unheard-of"] = ("a/new", ModelFacts(source="made up", config={"architectures": ["NewForCausalLM"]}))
    found["mistral"] = ("a/own", ModelFacts(source="made up"))
    return found


RECORDED = recorded()
HARDWARE = ("a100x2", "l4x1")
TOO_LARGE = {
    ("mixtral-8x7b-h200-eager", "a100x2"),
    ("mixtral-8x7b-h200-eager", "l4x1"),
    ("qwen3-30b-a3b-h200-graphs", "l4x1"),
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModelFacts | Problem], None]:
    """Have the hub answer this of every model."""
    monkeypatch.setattr("recipe_runner.authoring.subject._listed", lambda model, revision: ())

    def answers(found: ModelFacts | Problem) -> None:
        monkeypatch.setattr("recipe_runner.model.hub.ask", lambda model, *rest: found)

    return answers


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("name", RECORDED)
def test_what_is_written_can_be_planned(
    name: str, hardware: str, hub: Callable[..., None], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    model, facts = RECORDED[name]
    hub(facts)
    made = cli("new", "mine", "--model", model, "--hardware", hardware)
    assert (made.code == 2) == ((name, hardware) in TOO_LARGE), made
    if made.code:
        (told,) = made.refusal  # what the planner says without a recipe, too
        assert told.startswith("--hardware — auto finds nothing that fits")
        assert not (tmp_path / "recipes").exists()
        made = cli("new", "mine", "--model", model)
        hardware = "cpu"
    assert made.code == 0
    for where in {hardware, "cpu"}:
        answer = cli("plan", "recipe=mine", f"hardware={where}")
        assert answer.code == 0, answer.stderr
    assert "wrong" not in cli("validate", "recipes").page


def test_what_does_not_fit_is_refused_for_some_and_not_for_most(
    hub: Callable[..., None], cli: Callable[..., Answer]
) -> None:
    """So that the test above compares something."""
    hub(RECORDED["mixtral-8x7b-h200-eager"][1])
    (told,) = cli("new", "mine", "--model", "a/b", "--hardware", "l4x1").refusal
    assert told.startswith("--hardware — auto finds nothing that fits a/b on l4x1: weights of 87.")
    assert told.endswith("; name larger hardware, or leave --hardware out")
    assert cli("new", "mine", "--model", "a/b", "--hardware", "h100x8").code == 0


def test_the_model_is_spread_and_shortened_where_it_must_be(
    hub: Callable[..., None], cli: Callable[..., Answer]
) -> None:
    hub(RECORDED["qwen3-8b"][1])
    cli("new", "spread", "--model", "Qwen/Qwen3-8B", "--hardware", "rtx4090x1")
    said = read(Path("recipes/spread.yaml"))[0]
    assert said["parallelism"] == {"tp": 1, "dp": 1}
    assert said["profiles"]["cpu"] == {"serve": {"max_model_len": 3328}}
    assert [*said["profiles"]["rtx4090x1"]] == ["serve"]
    assert "max_model_len" not in said["serve"]
    thrice = RECORDED["qwen3-8b"][1].config | {"num_hidden_layers": 108}
    hub(ModelFacts(source="made up", config=thrice))
    cli("new", "wide", "--model", "a/b", "--hardware", "a100x2")
    assert read(Path("recipes/wide.yaml"))[0]["profiles"]["a100x2"] == {"parallelism": {"tp": 2, "dp": 1}}


@pytest.mark.parametrize(
    ("model", "config", "checks"),
    [
        ("a/base", LLAMA, {"models": "models", "capital": "completion"}),
        ("a/base-Instruct", LLAMA, {"models": "models", "capital": "chat"}),
        ("a/gemma-2-9b-it", LLAMA, {"models": "models", "capital": "chat"}),
        ("a/with-it-all", {"architectures": ["X"], "vision_config": {}}, {"red": "image", "capital": "chat"}),
        ("a/bert", BERT, {"models": "models", "similar": "embedding"}),
        ("a/own", {}, {"models": "models", "capital": "completion"}),
    ],
)
def test_the_checks_suit_the_model(
    model: str, config: dict[str, Any], checks: dict[str, str], hub: Callable[..., None], cli: Callable[..., Answer]
) -> None:
    hub(ModelFacts(source="made up", config=config))
    assert cli("new", "mine", "--model", model).code == 0
    said = read(Path("recipes/mine.yaml"))[0]
    found = {name: block["uses"] for name, block in said["validation"].items()}
    assert found == {"models": "models"} | checks
    assert ("benchmark" in said) == ("similar" not in checks)
    assert Path("recipes/assets/red.png").exists() == ("red" in checks)


def test_without_the_embedding_check_the_server_is_only_asked_for_its_models(
    hub: Callable[..., None], cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry.known
    monkeypatch.setattr(registry, "known", lambda kind: {k: v for k, v in known(kind).items() if k != "embedding"})
    hub(RECORDED["bert"][1])
    cli("new", "mine", "--model", "a/bert")
    assert [*read(Path("recipes/mine.yaml"))[0]["validation"]] == ["models"]


def test_an_image_of_somebody_else_is_left_as_it_is(
    hub: Callable[..., None], cli: Callable[..., Answer], write: Callable[..., Path]
) -> None:
    other = write("recipes/assets/red.png", "not ours")
    schema = write("recipes/recipe.schema.json", "{}")
    hub(RECORDED["internvl3"][1])
    assert cli("new", "mine", "--model", "a/b").stdout == "recipes/mine.yaml\nrecipes/assets/mine-red.png\n"
    assert (other.read_text(), schema.read_text()) == ("not ours", "{}")
    assert Path("recipes/assets/mine-red.png").read_bytes() == RED
    assert cli("plan", "recipe=mine", "hardware=cpu").code == 0


def test_the_hub_is_asked_once(cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "config.json": json.dumps(LLAMA).encode(),
        "model.safetensors": safetensors({"a": ("BF16", [4, 4])}),
        "chat_template.jinja": b"",
    }
    with asked_by(monkeypatch, models={"a/model": Model(files, parameters={"BF16": 16})}) as hub:
        answer = cli("new", "mine", "--model", "a/model", "--hardware", "a100x2")
        assert answer.code == 0
        asked = len(hub.asked)
        assert cli("plan", "recipe=mine", "hardware=a100x2").code == 0
        assert len(hub.asked) == asked
    said = read(Path("recipes/mine.yaml"))[0]
    facts = said["model"]["facts"]
    assert (facts["revision"], facts["licence"], facts["gated"]) == (COMMIT, "apache-2.0", False)
    assert facts["parameters"] == {"BF16": 16}
    assert facts["config"] == {key: value for key, value in LLAMA.items() if key != "auto_map"}
    assert said["validation"]["capital"]["uses"] == "chat"  # it has a chat template
    assert answer.stdout == "recipes/mine.yaml\nrecipes/recipe.schema.json\n"
    assert answer.stderr == (
        "note: whether it fits a100x2 or cpu is not known: "
        "recipe-runner does not know how vLLM spreads this architecture over GPUs\n"
        "next: recipe-run plan recipe=mine hardware=a100x2\n"
    )


def test_offline_nobody_is_asked(cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    with asked_by(monkeypatch) as hub:
        answer = cli("new", "mine", "--model", "a/model-chat", "--offline", "--hardware", "a100x2", "--json")
        assert hub.asked == []
    assert json.loads(answer.page) == {
        "format": 1,
        "files": ["recipes/mine.yaml", "recipes/recipe.schema.json"],
        "notes": ["nobody was asked what the model is: the recipe has no facts, and plans ask the hub"],
        "next": "recipe-run plan recipe=mine hardware=a100x2",
    }
    assert read(Path("recipes/mine.yaml"))[0]["model"] == {"id": "a/model-chat"}
    assert cli("plan", "recipe=mine", "hardware=a100x2").code == 0


def test_a_chat_template_of_the_tokenizer_is_known(cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(siblings=[], config={"tokenizer_config": {"chat_template": "…"}})
    monkeypatch.setattr("recipe_runner.model.hub.ask", lambda model: RECORDED["qwen3-8b"][1])
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda self, model, **_: info)
    assert cli("new", "mine", "--model", "a/model").code == 0
    assert read(Path("recipes/mine.yaml"))[0]["validation"]["capital"]["uses"] == "chat"


def test_a_hub_that_stops_answering_leaves_the_template_unknown(
    cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recipe_runner.model.hub.ask", lambda model: RECORDED["qwen3-8b"][1])
    with asked_by(monkeypatch, answer=(500, b"")):
        assert cli("new", "mine", "--model", "a/model").code == 0
    assert read(Path("recipes/mine.yaml"))[0]["validation"]["capital"]["uses"] == "completion"


def test_offline_a_model_in_the_cache_is_read_there(cli: Callable[..., Answer], write: Callable[..., Path]) -> None:
    home = model_cache("a/model")
    folder = home / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "tokenizer_config.json").write_text('{"chat_template": "…"}')
    (folder / "model.safetensors").write_bytes(safetensors({"a": ("BF16", [4, 4])}))
    assert cli("new", "mine", "--model", "a/model", "--offline").code == 0
    said = read(Path("recipes/mine.yaml"))[0]
    assert said["model"]["facts"]["revision"] == COMMIT
    assert (
        said["model"]["facts"]["source"] == "the files of https://huggingface.co/a/model in the cache of Hugging Face"
    )
    assert said["validation"]["capital"]["uses"] == "chat"


def test_the_shell_is_offered_hardware(tmp_path: Path) -> None:
    assert {word.strip() for word in answer("recipe-run new mine --hardware h200", tmp_path)} == {
        "h200x1",
        "h200x2",
        "h200x8",
    }


def test_a_folder_outside_is_read_and_named_when_run(cli: Callable[..., Answer]) -> None:
    answer = cli("new", "mine", "--model", str(TINY), "--to", "elsewhere")
    assert answer.stderr == (
        "note: the model's folder is not beside the recipe: name it with model.path=… when it is run\n"
        f"next: recipe-run plan recipe=elsewhere/mine.yaml model.path={TINY}\n"
    )
    said = read(Path("elsewhere/mine.yaml"))[0]
    assert said["model"]["id"] == "internvl3-tiny"
    assert said["model"]["facts"]["bytes"] == (TINY / "model.safetensors").stat().st_size
    assert str(TINY) not in Path("elsewhere/mine.yaml").read_text()
    assert cli("plan", "recipe=elsewhere/mine.yaml", "hardware=cpu").code == 0


def test_a_folder_beside_the_recipe_is_its_path(cli: Callable[..., Answer], tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "weights"
    folder.mkdir(parents=True)
    for file in TINY.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert cli("new", "mine", "--model", "./recipes/weights").code == 0
    assert read(Path("recipes/mine.yaml"))[0]["model"] == {"id": "weights", "path": "weights"}
    assert cli("plan", "recipe=mine", "hardware=cpu").code == 0


def test_the_how_to_shows_what_happens(hub: Callable[..., None], cli: Callable[..., Answer]) -> None:
    hub(RECORDED["qwen3-8b"][1])
    command, excerpt, *_ = blocks(HOW_TO)
    ((words, shown),) = commands(command)
    answer = cli(*words.split()[1:])
    assert answer.stdout + answer.stderr == shown
    assert excerpt.body in Path("recipes/qwen3.yaml").read_text()


def test_the_hook_takes_recipes_alone() -> None:
    (hook,) = yaml.safe_load((HOW_TO.parents[2] / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "recipe-run validate"
    assert re.search(hook["files"], "recipes/a.yaml")
    assert re.search(hook["files"], "team/recipes/a.yaml")
    for other in ("recipes/results/a.yaml", "conf/hardware/a.yaml", "recipes/a.json", "myrecipes/a.yaml"):
        assert not re.search(hook["files"], other)


LONG = "this cannot be looked at: File name too long; check the path"
DO = "begin with a letter, go on with letters, digits, _, - and ., and leave .yaml away"
ELSEWHERE = "say --offline to do without the model's facts, or --model ./FOLDER to read them there"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a/b", "--model", "a/b"], f"a/b — this cannot be the name of a recipe; {DO}"),
        (["x.yaml", "--model", "a/b"], f"x.yaml — this cannot be the name of a recipe; {DO}"),
        (["null", "--model", "a/b"], f"null — this cannot be the name of a recipe; {DO}"),
        (["", "--model", "a/b"], f"NAME — this cannot be the name of a recipe; {DO}"),
        (
            ["mine", "--model", "a/b"],
            "mine — there is a recipe of that name: recipes/mine.yaml; choose another name",
        ),
        (
            ["internvl3", "--model", "a/b"],
            "internvl3 — there is a recipe of that name: recipes/internvl3.yaml; choose another name",
        ),
        (
            ["new", "--model", "../nowhere"],
            "--model — there is no folder ../nowhere; give the folder of a transformers model, with its config.json",
        ),
        (
            ["new", "--model", "~nosuchuser/m"],
            "--model — there is no folder ~nosuchuser/m; give the folder of a transformers model, with its config.json",
        ),
        (
            ["new", "--model", f"./{'x' * 5000}"],
            f"--model — there is no folder {'x' * 80}; give the folder of a transformers model, with its config.json",
        ),
        (["new", "--model", "a/b", "--to", "x" * 5000], f"{'x' * 80} — {LONG}"),
        (
            ["new", "--model", "recipes"],
            "--model — recipes has no config.json; give the folder of a transformers model, with its config.json",
        ),
        (["new", "--model", "a b"], "--model — 'a b' is not a name that a model can have; write it as owner/name"),
        (["new"], "recipe-run new — the following arguments are required: --model; see recipe-run new --help"),
    ],
)
def test_what_is_wrong_is_told_in_words(
    words: list[str], told: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("")
    before = Path("recipes/mine.yaml").read_text()
    assert cli("new", *words).refusal == [told]
    assert Path("recipes/mine.yaml").read_text() == before
    assert [file.name for file in Path("recipes").iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (Problem("gated", "a/b is gated", "accept its terms"), "--model — a/b is gated; accept its terms"),
        (
            Problem("missing", "there is no model a/b", "check the name"),
            "--model — there is no model a/b; check the name",
        ),
        (
            Problem("network", "the hub cannot be reached", network()),
            f"--model — the hub cannot be reached; {ELSEWHERE}",
        ),
        (Problem("offline", "asking is forbidden", "unset it"), f"--model — asking is forbidden; {ELSEWHERE}"),
    ],
)
def test_a_model_that_cannot_be_had_is_refused_with_the_cure(
    problem: Problem, told: str, hub: Callable[..., None], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    hub(problem)
    assert cli("new", "mine", "--model", "a/b").refusal == [told]
    assert list(tmp_path.iterdir()) == []


def test_hardware_that_there_is_not_is_refused(hub: Callable[..., None], cli: Callable[..., Answer]) -> None:
    hub(RECORDED["qwen3-8b"][1])
    (told,) = cli("new", "mine", "--model", "a/b", "--hardware", "a100x3").refusal
    assert told.startswith("hardware — there is no hardware a100x3; did you mean a100x")
    hub(RECORDED["mistral"][1])
    assert cli("new", "mine", "--model", "a/b", "--offline", "--hardware", "a100x3").refusal == [told]


def test_a_profile_of_ones_own_is_known(
    hub: Callable[..., None], cli: Callable[..., Answer], write: Callable[..., Path]
) -> None:
    write("my/hardware/lab.yaml", "defaults: [a100x2]\n")
    hub(RECORDED["qwen3-8b"][1])
    assert cli("new", "mine", "--model", "a/b", "--hardware", "lab", "--config-dir", "my").code == 0
    assert read(Path("recipes/mine.yaml"))[0]["profiles"]["lab"] == {"parallelism": {"tp": 1, "dp": 2}}


def test_a_folder_that_cannot_be_written_is_told(hub: Callable[..., None], cli: Callable[..., Answer]) -> None:
    hub(RECORDED["bert"][1])
    Path("file").touch()
    (told,) = cli("new", "mine", "--model", "a/b", "--to", "file").refusal
    assert told == "file — it cannot be written there: File exists; name another with --to"


def test_what_the_hub_says_stays_text(hub: Callable[..., None], cli: Callable[..., Answer]) -> None:
    config = {"architectures": ["${env:HOME}", "1e5", "on"], "dtype": "a: b # c\n"}
    hub(ModelFacts(source="made up", licence="null", config=config))
    assert cli("new", "mine", "--model", "a/1e5").code == 0
    facts = read(Path("recipes/mine.yaml"))[0]["model"]["facts"]
    assert (facts["licence"], facts["config"]) == ("null", config)
    compose._hydra.cache_clear()
    assert cli("plan", "recipe=mine", "hardware=cpu").code == 0
