"""What a plan judges from a model's facts: parallelism, memory, flags, the model itself; each refusal word for word."""

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import facts, prepare, runner
from recipe_runner.console import Screen
from recipe_runner.errors import RecipeError
from recipe_runner.host import leases
from recipe_runner.host.flags import Flags
from recipe_runner.model import fetch
from recipe_runner.model.serving import COUNTS
from recipe_runner.model.weights import Problem
from recipe_runner.plan import Plan
from tests.conftest import Answer
from tests.nvml import Nvml, gpu
from tests.running import SMALL, fake, run_here

TRY = "preflight.memory=warn tries all the same"


def drawn(*words: str) -> Plan:
    return prepare.plans([*words], [], sweep=False, launching=False)[0]


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("recipe=internvl3", "hardware=a100x8", "parallelism.tp=8"),
            "parallelism (recipes/internvl3.yaml:67) — 28 attention heads are not divisible by tp=8; "
            "tp can be 1, 2, 4 here, or say parallelism=auto",
        ),
        (
            ("recipe=qwen3-8b", "hardware=l4x1"),
            "memory — Qwen/Qwen3-8B on l4x1 does not fit: one request of max_model_len=40960 needs 5.62 GiB of KV on "
            f"each GPU, and there are 3.47 GiB, 2.16 GiB too few; serve.max_model_len=23552 would make it fit; {TRY}",
        ),
        (
            ("recipe=qwen3-8b", "hardware=l4x1", "parallelism=auto"),
            "parallelism — auto finds nothing that fits Qwen/Qwen3-8B on l4x1: one request of max_model_len=40960 "
            "needs 5.62 GiB of KV on each GPU, and there are 3.47 GiB, 2.16 GiB too few; "
            "name larger hardware, or tp, dp and pp yourself",
        ),
        (
            ("recipe=qwen3-8b", "hardware=h100x2", "serve.api_key=x"),
            "serve.api_key — a secret does not belong here: plans and reports would show it; "
            "set VLLM_API_KEY in the environment",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    words: tuple[str, ...], told: str, cli: Callable[..., Answer]
) -> None:
    assert cli("plan", *words).refusal == [told]
    assert cli("run", "engine=sim", *words).refusal == [told]


READ = (
    *(f"serve.{key}" for key in (*COUNTS, "gpu_memory_utilization", "dtype", "kv_cache_dtype", "quantization")),
    *("serve.enforce_eager", "serve.trust_remote_code", "serve.load_format", "serve.served_model_name"),
    *("serve.host", "serve.port", "env.VLLM_CPU_KVCACHE_SPACE", "env.CUDA_VISIBLE_DEVICES"),
    *("parallelism.tp", "parallelism.dp", "parallelism.pp", "hardware.count", "hardware.memory_gib"),
    *("model.path", "model.revision", "model.facts.bytes", "model.facts.parameters", "model.facts.config"),
)
ODD = (
    *("-5", "0", "0.5", "9" * 400, f"'{'9' * 400}'", "1000000000", "-1e300", "nan", "inf", "true", "false"),
    *("''", "some", "'²'", "[]", "[1,-1]", "{}", "{a: [1]}", "{BF16: -1}", "{architectures: 5}"),
)


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize("key", READ)
def test_whatever_a_value_is_a_plan_is_made_or_refused(key: str) -> None:
    for hardware, value in itertools.product(("l4x1", "cpu"), ODD):
        words = ("recipe=qwen3-8b", f"hardware={hardware}", "benchmark=none", f"{key}={value}")
        for more in ((), ("preflight.flags=warn", "preflight.memory=warn", "preflight.model=warn")):
            with contextlib.suppress(RecipeError):
                drawn(*words, *more).as_dict()


def test_what_does_not_fit_can_be_tried_all_the_same() -> None:
    plan = drawn("recipe=qwen3-8b", "hardware=l4x1", "preflight.memory=warn")
    assert plan.spread is not None
    assert plan.spread.chosen.verdict == "does_not_fit"
    assert any(note.endswith(TRY) for note in plan.warnings)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("hardware=h100x8",), (1, 8, 1)),
        (("hardware=h100x8", "parallelism.tp=4"), (4, 2, 1)),
        (("hardware=h100x1",), (1, 1, 1)),
    ],
)
def test_auto_chooses_what_fits_and_says_that_it_chose(words: tuple[str, ...], chosen: tuple[int, int, int]) -> None:
    plan = drawn("recipe=qwen3-8b", "parallelism=auto", *words)
    asked = plan.request.parallelism
    assert (asked.tp, asked.dp, asked.pp) == chosen
    assert plan.commands[0].env["CUDA_VISIBLE_DEVICES"] == ",".join(map(str, range(asked.world)))
    layers = {name: origin.layer for name, (_, origin) in plan.provenance.items() if "parallel" in name}
    assert layers.get("--data-parallel-size") == ("recipe-runner" if asked.dp > 1 else None)


def test_without_facts_nothing_is_claimed(recipe: Callable[..., Path]) -> None:
    recipe("model: {id: a/model, facts: {source: here}}\nenv: {VLLM_CPU_KVCACHE_SPACE: lots}\n")
    document = drawn("recipe=mine", "hardware=a100x2").as_dict()
    assert document["memory"] == {
        **dict.fromkeys(("weights_gib_per_gpu", "kv_bytes_per_token_per_gpu", "kv_gib_per_gpu", "kv_tokens")),
        **{"verdict": "unknown", "assumptions": []},
    }


def test_a_flag_that_the_installed_vllm_does_not_know_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Answer]
) -> None:
    monkeypatch.setattr(facts, "options", lambda program, version: Flags(("--max-model-len", "--host", "--port")))
    words = ("plan", "recipe=qwen3-8b", "hardware=h100x1", "engine.command=sh", "serve.max_model_lenn=3")
    assert cli(*words).refusal == [
        "serve.max_model_lenn — the vLLM that is installed here has no flag max_model_lenn; "
        "did you mean max_model_len? Otherwise take it away, or use a vLLM that has it"
    ]
    assert cli(*words, "preflight.flags=warn").code == 0


@pytest.mark.parametrize(("kind", "code"), [("gated", 2), ("network", 0)])
def test_a_model_that_cannot_be_had_is_refused_where_that_is_known(
    kind: str, code: int, monkeypatch: pytest.MonkeyPatch, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("model: {id: a/model}\n")
    monkeypatch.setattr("recipe_runner.model.hub.ask", lambda *_: Problem(kind, "it cannot be had", "do this"))  # type: ignore[arg-type]
    answer = cli("plan", "recipe=mine", "hardware=a100x2")
    assert answer.code == code
    if code:
        assert answer.refusal == ["model.id (recipes/mine.yaml:1) — it cannot be had; do this"]
    else:
        assert "# note: it cannot be had; do this\n" in answer.stdout


def test_a_key_is_not_sent_where_others_could_read_it(
    monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Answer]
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "abc123secret")
    words = ("recipe=qwen3-8b", "engine=attach", "engine.url=http://198.51.100.7:1")
    assert cli("run", *words).refusal == [
        "engine.url — the key would go over the network readable, to http://198.51.100.7:1; "
        "use https://, or a tunnel to 127.0.0.1; --trust sends it all the same"
    ]


def test_the_port_of_another_run_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leases, "FOLDER", tmp_path / "leases")
    monkeypatch.setattr(facts, "free_port", lambda: 45671)
    held = leases.lease(["port-45671"], "elsewhere")
    assert isinstance(held, leases.Lease)
    words = ["recipe=qwen3-8b", "hardware=h100x1", "engine=sim", "serve.port=0"]
    (plan,) = prepare.plans(words, [], sweep=False, launching=True)
    with held, pytest.raises(RecipeError) as error:
        runner.run(plan, Screen())
    assert str(error.value).startswith("leases — port 45671 is leased by pid ")
    assert str(error.value).endswith("; wait for it, or take a free one with serve.port=0")


def test_the_gpu_of_another_run_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nvml: Nvml, recipe: Callable[..., Path]
) -> None:
    monkeypatch.setattr(leases, "FOLDER", tmp_path / "leases")
    monkeypatch.setattr(facts, "cached", lambda *_: Path())
    recipe("model: {id: a/model, facts: {source: here}}\nserve: {port: 0}\n")
    nvml.has(gpu())
    words = ["recipe=mine", "hardware=a100x1", "engine.command=sh"]
    (plan,) = prepare.plans(words, [], sweep=False, launching=True)
    held = leases.lease(["gpu-GPU-0a7b"], "elsewhere")
    assert isinstance(held, leases.Lease)
    with held, pytest.raises(RecipeError) as error:
        runner.run(plan, Screen())
    (fault,) = error.value.faults
    assert fault.what.startswith("GPU GPU-0a7b is leased by pid ")
    assert fault.do == "wait for it, or choose others with CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(("problem", "code"), [(None, 0), (Problem("download", "it broke off", "run it again"), 3)])
def test_weights_are_fetched_in_a_phase_of_their_own(
    problem: Problem | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = facts.gather
    monkeypatch.setattr(
        prepare, "gather", lambda *a, **k: facts.replace(real(*a, **k), to_fetch=3 << 30, model_problem=None)
    )

    def fetched(model: str, revision: str | None, tell: Callable[[int, int], None], stop: Callable[[], bool]) -> object:
        for done in (0, 1, 2, 3):
            tell(done << 30, 3 << 30)
        assert not stop()
        return problem or tmp_path

    monkeypatch.setattr(runner, "fetch", fetched)
    ended, folder = run_here(tmp_path, *SMALL, *fake(), "benchmark=none")
    assert ended == code
    assert folder.report["phases"][0]["name"] == "fetch"
    if problem:
        assert folder.report["errors"] == [{"where": "model.id", "what": "it broke off", "do": "run it again"}]
    assert fetch.fetch is not fetched
