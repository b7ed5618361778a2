"""A lock repeats its run: what is written of it reads back equal, and says what is different."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recipe_runner import paths, prepare
from recipe_runner.composition import compose, library, yamlfile
from recipe_runner.composition.layers import Layer, fold
from recipe_runner.composition.lock import dotted, merged
from recipe_runner.composition.space import Space
from recipe_runner.composition.stack import nested
from recipe_runner.errors import RecipeError
from recipe_runner.evidence import lock
from recipe_runner.host.environment import describe
from recipe_runner.plan import Plan
from tests.conftest import Answer
from tests.nvml import Nvml, gpu
from tests.running import run_here

SHIPPED = sorted(library.names([paths.shipped("recipes")]))
SIM = ("hardware=a100x2", "engine=sim", "benchmark=none", "serve.port=0", "timeouts.stop_s=1")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    compose._hydra.cache_clear()
    yield
    compose._hydra.cache_clear()


def planned(*words: str, trust: bool = True) -> Plan:
    (plan,) = prepare.plans(list(words), [], sweep=False, launching=False, trust=trust)
    return plan


def locked(plan: Plan, folder: Path = Path("run")) -> str:
    """The word that names the lock of a plan."""
    folder.mkdir(exist_ok=True)
    lock.write(plan, describe(plan), folder)
    compose._hydra.cache_clear()
    return f"recipe={folder / lock.FILE}"


def told(plan: Plan) -> dict[str, Any]:
    """Everything that a plan says, but where its values stand."""
    document = json.loads(json.dumps(plan.as_dict(), default=str))
    document |= {"recipe": document["recipe"] | {"file": "", "sha256": ""}, "warnings": []}
    document["provenance"] = {name: found["value"] for name, found in document["provenance"].items()}
    expected = {name: one.model_dump() for name, one in plan.request.expected.items()}
    return {
        **document,
        "expected": expected,
        "diagnosis": plan.request.diagnosis,
        "limits": plan.request.timeouts,
        "hardware": plan.request.hardware,
        "engine": plan.request.engine,
        "formats": [*plan.request.reports],
        "preflight": plan.request.preflight,
    }


def same(plan: Plan, again: Plan) -> None:
    assert told(again) == told(plan)


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize("hardware", ["cpu", "a100x2", "auto"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_lock_of_a_shipped_recipe_is_the_same_plan(name: str, hardware: str, nvml: Nvml) -> None:
    if hardware == "auto":
        nvml.has(gpu(), gpu())
    words = (f"recipe={name}", f"hardware={hardware}", *(f"preflight.{level}=warn" for level in ("host", "memory")))
    try:
        plan = planned(*words)
    except RecipeError:
        pytest.skip("it does not run there")
    again = planned(locked(plan))
    same(plan, again)
    assert list(again.warnings) == [one for one in plan.warnings if not one.startswith("hardware=auto")]


TYPED = [
    ("serve.enforce_eager=null",),
    ("~serve.enforce_eager", "~validation.capital"),
    ("validation=null",),
    ("~benchmark",),
    ("serve.x={a: {b: [1, {c: null}], 1: 2}, yes: no}",),
    ("serve={max_num_seqs: 3, port: null}", "serve.port=8001"),
    ("serve.x=[a,b,1,2.5,true,null]", "serve.y=[]", "serve.z={}"),
    ("serve.x='${oc.env:HOME}'", "serve.y='\\\\${a}'", "serve.w='a$\\{b}'"),
    ("serve.a='yes'", "serve.b='012'", "serve.c='2026-01-01'", "serve.d='1e5'", "serve.e='.5'", "serve.f=''"),
    ("serve.a='null'", "serve.b='~'", "serve.c='0x1f'", "serve.d='12:30'", "serve.e=' a '", "serve.f='a: b #c'"),
    ("serve.a=1e22", "serve.b=1e-7", "serve.c=123456789012345678901234567890", "serve.d=1.0"),
    ("parallelism=auto",),
    ("parallelism=auto", "parallelism.pp=2"),
    ("parallelism.tp=1", "parallelism.dp=2"),
    ("validation=smoke", "validation.answers.max_tokens=3"),
    ("benchmark=load", "benchmark.load.num_prompts=7"),
    ("validation=none", "benchmark=smoke", "validation.mine={uses: chat, prompt: p, expect: {contains: x}}"),
    ("model.revision=abc", "model.facts=null"),
    ("env.OMP_NUM_THREADS='3'", "env.VLLM_X=on"),
    ("engine=sim", "engine.replies={France: Rome, capital of France: null}", "engine.load_s=0.5"),
    ("timeouts.ready_s=5", "report.formats=[json]", "report.folder=elsewhere", "report.max_log_mib=3"),
    ("hardware.memory_gib=60", "hardware.interconnect=PCIe"),
]


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_what_was_typed_is_repeated(words: tuple[str, ...]) -> None:
    plan = planned("recipe=internvl3", "hardware=a100x2", "preflight.memory=warn", "preflight.flags=warn", *words)
    again = planned(locked(plan))
    same(plan, again)
    assert again.request.typed == lock._plain(plan.request.typed)
    assert again.request.choices == plan.request.choices


NAMES = st.sampled_from(["a", "b", "max_len"])
TEXTS = st.text(max_size=12).filter(lambda text: "\0" not in text) | st.sampled_from(
    [
        "yes",
        "on",
        "NO",
        "012",
        "1_000",
        "0o7",
        "1e5",
        "+.5",
        "2026-01-01",
        "190:20:30",
        "=",
        "<<",
        "a\nb\n",
        "\n a",
        "#",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def written(value: Any) -> Any:
    text = yaml.dump(lock._plain({"at": value}), Dumper=lock.Dumper, sort_keys=False, allow_unicode=True, width=120)
    Path("value.yaml").write_text(text, encoding="utf-8")
    assert yaml.safe_load(text) == {"at": value}, text
    return yamlfile.read(Path("value.yaml"))[0]["at"]


@given(VALUES | st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_equal_by_both_versions_of_yaml(value: Any) -> None:
    again = written(value)
    assert again == value
    assert repr(again) == repr(value)


def test_what_is_no_text_keeps_nobody_from_running() -> None:
    assert yaml.safe_load(yaml.dump("a\udc80b", Dumper=lock.Dumper)) == "a?b"


BELOW = {"serve": {"a": {"a": 1, "b": None}, "b": [1]}, "env": {"b": "x"}}
PAIRS = st.dictionaries(st.sampled_from(["serve", "serve.a", "serve.a.b", "serve.a.max_len", "env", "env.b"]), VALUES)


def laid(*typed: Mapping[str, Any]) -> dict[str, Any]:
    return fold([Layer("below", BELOW, ""), *(Layer("above", nested(each), "") for each in typed)]).values


@given(PAIRS)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_are_repeated(typed: dict[str, Any]) -> None:
    try:
        expected = laid(typed)
    except RecipeError:
        return  # two words that contradict each other
    assert laid(written(typed)) == expected


@given(PAIRS, PAIRS)
@settings(deadline=None, max_examples=300)
@example({"serve.a": None}, {"serve.a": {"b": 2}})
@example({"serve.a": 5}, {"serve.a.b": 2})
@example({"serve": {"a": 5}}, {"serve.a.b": {}})
@example({"serve.a.a": 5}, {"serve.a": None})
@example({"serve.a": {}}, {"serve.a": {"b": {}}})
def test_two_layers_can_be_written_as_one(first: dict[str, Any], then: dict[str, Any]) -> None:
    try:
        expected = laid(first, then)
    except RecipeError:
        return
    assert laid(dotted(merged(laid(), nested(first), nested(then)))) == expected


def test_a_lock_of_a_lock_is_that_lock(cli: Callable[..., Answer], no_vllm: None) -> None:
    first = planned("recipe=internvl3", "hardware=a100x2", "serve.max_model_len=4096")
    again = planned(locked(first), trust=False)
    one, other = (lock.document(plan, {}) for plan in (first, again))
    assert one == other


def test_a_run_from_its_lock(tmp_path: Path) -> None:
    code, folder = run_here(tmp_path, "run", "recipe=internvl3", *SIM)
    assert code == 0
    first, report = folder.run, folder.report
    kept = tmp_path / "kept.lock.yaml"
    shutil.copy(first / lock.FILE, kept)
    shutil.rmtree(tmp_path / "runs")
    compose._hydra.cache_clear()
    code, folder = run_here(tmp_path, "run", "recipe=./kept.lock.yaml")
    assert code == 0
    assert folder.run.parts[-3:-1] == ("internvl3", "a100x2")
    assert folder.report["warnings"] == report["warnings"]
    assert folder.verdicts == {"capital": "passed"}
    assert (folder.plan["choices"], folder.plan["overrides"]) == (report["choices"], report["overrides"])


def test_plan_and_show_take_a_lock(cli: Callable[..., Answer], no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "serve.max_model_len=4096"))
    page = cli("plan", where).page
    assert "# internvl3 on a100x2 (2 × A100-SXM4-40GB)" in page
    assert "lock: run/recipe.lock.yaml:" in page
    shown = cli("show", "run/recipe.lock.yaml").page
    assert shown.startswith("internvl3 — InternVL3-8B as the vLLM guide runs it on two A100-SXM4-40GB\nrun/recipe.lock")
    assert "max_model_len: 4096" in shown


def test_other_hardware_takes_its_own_profile_and_engine(recipe: Callable[..., Path], no_vllm: None) -> None:
    recipe("model: {id: a/model}\nserve: {x: 1}\nprofiles: {cpu: {serve: {x: 2}}, h200x1: {serve: {x: 3}}}\n")
    where = locked(planned("recipe=mine", "hardware=cpu"))
    assert planned(where).request.serve["x"] == 2
    other = planned(where, "hardware=h200x1")
    assert (other.request.engine_name, other.request.serve["x"]) == ("vllm", 3)
    assert planned(where, "hardware=h200x1", "engine=sim").request.engine_name == "sim"
    chosen = locked(planned("recipe=mine", "hardware=cpu", "engine=sim"))
    assert planned(chosen, "hardware=h200x1").request.engine_name == "sim"


def test_what_is_typed_wins_over_the_lock(no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "serve.max_model_len=4096", "benchmark=load"))
    plan = planned(where, "serve.max_model_len=null", "benchmark=none", "serve.x=1")
    assert "max_model_len" not in plan.request.serve
    assert plan.benchmarks == {}
    assert plan.request.typed == {"serve.max_model_len": None, "serve.x": 1}
    assert plan.request.choices["benchmark"] == "none"
    assert plan.request.choices["recipe"] == "internvl3"


def test_inheritance_and_presets_are_merged(recipe: Callable[..., Path], no_vllm: None) -> None:
    recipe("model: {id: a/model}\nserve: {a: 1, b: 2}\n", "parent")
    recipe("defaults: [parent, {/validation@validation: smoke}, _self_]\nserve: {a: null}\n", "mine")
    plan = planned("recipe=mine", "hardware=cpu")
    where = locked(plan)
    for file in Path("recipes").glob("*.yaml"):
        file.unlink()
    again = planned(where)
    assert again.commands[0].argv == plan.commands[0].argv
    assert [*again.checks] == ["models", "answers"]
    assert set(lock.document(again, {})["lock"]["files"]) >= {"recipes/mine.yaml", "recipes/parent.yaml"}
    assert [warning for warning in again.warnings if "recipes/" in warning] == [
        "recipes/mine.yaml is not there any more",
        "recipes/parent.yaml is not there any more",
    ]


def changed(where: str, *swaps: tuple[str, str]) -> str:
    file = Path(where.removeprefix("recipe="))
    text = file.read_text()
    for old, new in swaps:
        assert old in text, text
        text = text.replace(old, new)
    file.write_text(text)
    return where


def test_what_differs_is_told_in_one_line_each(
    recipe: Callable[..., Path], no_vllm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe("model: {id: a/model}\nserve: {x: 1}\n")
    monkeypatch.setenv("VLLM_A", "1")
    monkeypatch.setenv("VLLM_TOKEN", "secret")
    where = locked(planned("recipe=mine", "hardware=cpu", "engine=sim"))
    assert "secret" not in Path("run/recipe.lock.yaml").read_text()
    assert planned(where).warnings == ()
    recipe("model: {id: a/model}\nserve: {x: 2}\n")
    monkeypatch.setenv("VLLM_B", "2")
    monkeypatch.delenv("VLLM_A")
    changed(
        where,
        ("vllm: simulated", "vllm: 0.32.0"),
        ("gpus: []", "gpus: [A, B]"),
        ("VLLM_A: '1'", "VLLM_A: '7'"),
        ("- --x\n    - '1'", "- --x\n    - '7'"),
    )
    assert planned(where).warnings == (
        "vLLM was 0.32.0, here is simulated",
        "GPUs was A, B, here is none",
        "VLLM_A was 7, here is not set",
        "VLLM_B was not set, here is 2",
        "recipes/mine.yaml has changed since",
        "--x was 7, here is 1",
    )


def test_other_choices_are_no_difference(no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "engine=sim"))
    assert planned(where, "engine=attach", "engine.url=http://localhost:1").warnings == ()
    assert planned(where, "validation=smoke", "benchmark=load", "timeouts.request_s=5").warnings == ()


def test_a_server_that_was_attached_to(no_vllm: None) -> None:
    plan = planned("recipe=internvl3", "engine=attach", "engine.url=http://localhost:1")
    again = planned(locked(plan))
    same(plan, again)
    assert again.warnings == ()


def test_a_file_that_cannot_be_read_is_left_out(recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe("")
    plan = planned("recipe=mine", "hardware=cpu", "engine=sim")

    def refuse(path: Path) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(lock, "sha256", refuse)
    assert lock.document(plan, {})["lock"]["files"] == {}


def test_a_sweep_over_a_lock(no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "serve.max_model_len=4096"))
    plans = prepare.plans([where, "serve.x=1,2"], [], sweep=True, launching=False)
    assert [plan.request.typed for plan in plans] == [{"serve.max_model_len": 4096, "serve.x": x} for x in (1, 2)]


def test_the_model_is_none_of_the_engines_flags(no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "engine=sim", "engine.tpot_ms=4"))
    assert planned(where, "engine.tpot_ms=40").warnings == ("--tpot-ms was 4.0, here is 40.0",)
    changed(where, ("- --tpot-ms\n    - '4.0'", "- --tpot-ms=4.0"))
    assert planned(where).warnings == ()


def test_a_free_port_is_no_difference(no_vllm: None) -> None:
    where = locked(planned("recipe=internvl3", "hardware=a100x2", "engine=sim", "serve.port=0"))
    changed(where, ("'0'", "'51234'"))
    assert planned(where).warnings == ()


def test_a_persons_own_defaults_count(recipe: Callable[..., Path], no_vllm: None) -> None:
    recipe("")
    plain = locked(planned("recipe=mine", "hardware=cpu", "engine=sim"))
    file = paths.personal_config()
    file.parent.mkdir(parents=True)
    file.write_text("timeouts: {request_s: 7}\n")
    assert planned(plain).warnings == ("~/config/recipe-runner/config.yaml was not there",)
    with_own = locked(planned("recipe=mine", "hardware=cpu", "engine=sim"))
    assert planned(with_own).warnings == ()
    file.write_text("timeouts: {request_s: 8}\n")
    assert planned(with_own).warnings == ("~/config/recipe-runner/config.yaml has changed since",)
    file.unlink()
    assert planned(with_own).warnings == ("~/config/recipe-runner/config.yaml is not there any more",)


def test_assets_and_modules_are_among_the_files(recipe: Callable[..., Path], write: Callable[..., Path]) -> None:
    write("recipes/assets/x.png", "an image")
    write("recipes/weights/config.json", "{}")
    write(
        "recipes/my_own.py", "from recipe_runner.api import Check\nclass Mine(Check):\n    def run(self, server): ...\n"
    )
    image = "{uses: image, image: assets/x.png, prompt: p, expect: {contains: x}}"
    recipe(f"model: {{id: a/model, path: weights}}\nvalidation: {{i: {image}, m: {{uses: 'my_own:Mine'}}}}\n")
    plan = planned("recipe=mine", "hardware=cpu", "engine=sim")
    files = lock.document(plan, {})["lock"]["files"]
    assert [name for name in files if not name.startswith("conf/")] == [
        "recipes/assets/x.png",
        "recipes/mine.yaml",
        "recipes/my_own.py",
        "recipes/weights/config.json",
    ]
    where = locked(plan)
    same(plan, planned(where))
    write("recipes/assets/x.png", "another image")
    assert planned(where).warnings == ("recipes/assets/x.png has changed since",)


@pytest.mark.parametrize(
    "name", ["/dev/zero", "../outside.txt", "recipes/../../outside.txt", "~/secret", "a\0b", "x" * 5000]
)
def test_files_elsewhere_are_not_looked_at(
    name: str, tmp_path: Path, recipe: Callable[..., Path], no_vllm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe("")
    (Path.home() / "secret").write_text("x")

    def refuse(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(lock, "sha256", refuse)
    assert list(lock._changed({name: "1"}, {}, Space())) == []
