"""From words to plans: hardware=auto, sweeps, and the faults of all points at once."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import facts, prepare
from recipe_runner.composition.misread import quoted
from recipe_runner.composition.schema import Timeouts
from recipe_runner.errors import RecipeError
from tests.conftest import Answer
from tests.nvml import Nvml, gpu


def planned(*words: str, sweep: bool = False, launching: bool = False) -> list[prepare.Plan]:
    return prepare.plans(list(words), [], sweep=sweep, launching=launching)


@pytest.fixture(autouse=True)
def mine(recipe: Callable[..., Path]) -> None:
    shutil.copytree(Path(__file__).parent / "data" / "small", "recipes/weights")
    recipe("model: {id: a/model, path: weights}\nserve: {port: 0}\n")


@pytest.mark.parametrize("words", [[], ["hardware=auto"], ["hardware=null"]])
@pytest.mark.parametrize(
    ("gpus", "name"),
    [(None, "cpu"), ([], "cpu"), ([gpu()], "a100x1"), ([gpu()] * 2, "a100x2"), ([gpu("NVIDIA Unheard-of")], "host")],
)
def test_auto_is_the_profile_that_this_host_is(
    gpus: list[dict] | None, name: str, words: list[str], nvml: Nvml, no_vllm: None
) -> None:
    nvml.gpus = gpus
    (plan,) = planned("recipe=mine", *words)
    assert plan.request.hardware_name == name
    assert plan.warnings[0] == f"hardware=auto is {name} here"


def test_a_named_profile_needs_no_note(nvml: Nvml, no_vllm: None) -> None:
    assert not any("auto" in warning for warning in planned("recipe=mine", "hardware=a100x2")[0].warnings)


@pytest.mark.parametrize(
    ("gpus", "name", "count"), [([], "cpu", 1), ([gpu()] * 2, "a100x2", 2), ([gpu("NVIDIA Unheard-of")], "host", 1)]
)
def test_what_does_not_fit_hardware_that_nobody_named_says_whence_it_is(
    gpus: list[dict], name: str, count: int, nvml: Nvml, no_vllm: None, cli: Callable[..., Answer]
) -> None:
    nvml.has(*gpus)
    what = f"tp=4 takes 4 devices, {name} has {count}"
    do = f"make tp × dp × pp at most {count}, or name larger hardware"
    words = ("plan", "recipe=mine", "parallelism.tp=4")
    assert cli(*words).refusal == [f"parallelism — {what} (hardware=auto is {name} here); {do}"]
    assert cli(*words, f"hardware={name}").refusal == [f"parallelism — {what}; {do}"]


def test_memory_that_is_not_enough_says_whence_the_hardware_is(
    nvml: Nvml, no_vllm: None, cli: Callable[..., Answer]
) -> None:
    nvml.has(gpu("NVIDIA L4", 21.96))
    (told,) = cli("plan", "recipe=qwen3-8b").refusal
    assert told.startswith("memory — Qwen/Qwen3-8B on l4x1 does not fit: ")
    assert " too few (hardware=auto is l4x1 here); serve.max_model_len=" in told


def test_what_has_nothing_to_do_with_the_hardware_does_not_speak_of_it(
    nvml: Nvml, no_vllm: None, cli: Callable[..., Answer]
) -> None:
    nvml.has(*[gpu()] * 8)
    assert "auto is" not in "".join(cli("plan", "recipe=mine", "parallelism=four", "serve.port=x").refusal)


def test_auto_sees_only_visible_gpus(nvml: Nvml, no_vllm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.has(gpu(), gpu("NVIDIA L4", 21.96))
    with pytest.raises(RecipeError, match="the visible GPUs differ"):
        planned("recipe=mine")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert planned("recipe=mine")[0].request.hardware_name == "l4x1"


def test_auto_considers_the_profiles_of_a_person(write: Callable[..., Path], nvml: Nvml, no_vllm: None) -> None:
    write("my/hardware/lab.yaml", "accelerator: Lab\ncount: 1\nmemory_gib: 10\nnvml_names: [Lab GPU]\n")
    nvml.has(gpu("Lab GPU", 10.0))
    (plan,) = prepare.plans(["recipe=mine"], [Path("my")], sweep=False, launching=False)
    assert plan.request.hardware_name == "lab"


def test_attaching_needs_no_hardware(nvml: Nvml, no_vllm: None) -> None:
    nvml.has(gpu(), gpu("NVIDIA L4"))
    (plan,) = planned("recipe=mine", "engine=attach", "engine.url=http://host:1", "parallelism.tp=8")
    assert plan.attached
    assert plan.as_dict()["hardware"] is None


def test_points_of_a_sweep_are_planned_in_order(no_vllm: None) -> None:
    plans = planned("recipe=mine", "hardware=a100x1,a100x2", "serve.x=1,2", sweep=True)
    assert [(p.request.hardware_name, p.request.serve["x"]) for p in plans] == [
        (hardware, x) for hardware in ("a100x1", "a100x2") for x in (1, 2)
    ]


def test_points_that_can_share_a_server_are_given_the_same_port(nvml: Nvml) -> None:
    words = ("recipe=mine", "hardware=cpu", "engine.command=sh", "timeouts.request_s=1,2")
    one, other = planned(*words, sweep=True, launching=True)
    assert one.server_key() == other.server_key()


def test_faults_of_all_points_are_told_once(cli: Callable[..., Answer]) -> None:
    words = ["recipe=mine", "hardware=a100x2", "parallelism.tp=0,2,4", "serve.x=1,2", "timeouts.stop=1,2"]
    known = f"did you mean stop_s? There are: {', '.join(sorted(Timeouts.model_fields))}"
    assert cli("plan", "-m", *words).refusal == [
        "parallelism.tp — 0 does not fit here; it should be greater than or equal to 1",
        f"timeouts.stop — unknown key stop; {known}",
    ]
    assert cli("plan", "-m", *words[:-1], "timeouts.stop_s=1").refusal == [
        "parallelism.tp — 0 does not fit here; it should be greater than or equal to 1",
        "parallelism — tp=4 takes 4 devices, a100x2 has 2; make tp × dp × pp at most 2, or name larger hardware",
    ]


def test_what_the_machine_lacks_and_what_does_not_fit_are_told_at_once(cli: Callable[..., Answer], nvml: Nvml) -> None:
    nvml.has(gpu(), gpu())
    assert cli("run", "recipe=mine", "hardware=a100x2", "parallelism.tp=4", "engine.command=no-such-vllm").refusal == [
        "engine.command — there is no command no-such-vllm; check the path",
        "parallelism — tp=4 takes 4 devices, a100x2 has 2; make tp × dp × pp at most 2, or name larger hardware",
    ]


def test_what_an_unreadable_word_would_have_changed_is_not_judged(cli: Callable[..., Answer]) -> None:
    name, why = "it's", "there is no = in it; write hardware=VALUE"
    reason = f"the quote ' is not closed; put all of the value in quotes: {quoted('recipe', name)}"
    assert cli("plan", "recipe=internvl3", "hardware").refusal == [f"hardware — {why}"]
    assert cli("plan", "recipe=it's", "hardware").refusal == [f"recipe=it's — {reason}", f"hardware — {why}"]


def test_one_request_is_judged_as_a_whole_too(cli: Callable[..., Answer]) -> None:
    assert cli("show", "mine", "hardware=a100x2", "serve.port=x", "nonsense").refusal == [
        "nonsense — there is no = in it; write nonsense=VALUE",
        "serve.port — 'x' does not fit here; it should be a valid integer",
    ]


def test_an_unread_word_alone_is_enough_to_refuse_a_request(cli: Callable[..., Answer]) -> None:
    assert cli("show", "mine", "hardware=a100x2", "nonsense").refusal == [
        "nonsense — there is no = in it; write nonsense=VALUE"
    ]


def test_a_sweep_asks_this_machine_each_thing_once(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    for name in ("versions", "options", "architectures", "of_folder", "survey", "port_free"):
        real = getattr(facts, name)
        monkeypatch.setattr(facts, name, lambda *given, name=name, real=real: asked.update([name]) or real(*given))
    words = ("recipe=mine", "hardware=cpu", "engine.command=sh", "serve.port=4711", "serve.max_num_seqs=1,2,3")
    assert len(planned(*words, sweep=True, launching=True)) == 3
    assert set(asked.values()) == {1}
    assert len(asked) == 6
