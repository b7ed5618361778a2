"""What speaks against a plan on this host: every refusal word for word, from what NVML and the installation say."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from recipe_runner import facts, prepare
from recipe_runner.errors import RecipeError
from recipe_runner.host.flags import Flags
from recipe_runner.host.versions import Architectures, cuda, driver_needed
from tests.nvml import A100, Nvml, gpu

HERE = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"
ANYWAY = "preflight.model=warn tries all the same"
REGISTRY = """
_TEXT = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM"), "Qwen3ForCausalLM": ("qwen3", "Qwen3ForCausalLM")}
_PREVIOUSLY_SUPPORTED_MODELS = {"MotifForCausalLM": "0.10.2"}
_ALL = {**_TEXT}
"""
Installed = Callable[..., str]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """A vLLM as pip lays it out; the word that names its command."""

    def install(version: str = "0.30.0", *distributions: str, plugins: str = "") -> str:
        packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
        for name in (f"vllm-{version}", *distributions):
            (packages / f"{name}.dist-info").mkdir(parents=True)
        (packages / f"vllm-{version}.dist-info" / "entry_points.txt").write_text("[vllm.general_plugins]\nown = a:b\n")
        if plugins:
            (packages / "more-1.dist-info").mkdir()
            (packages / "more-1.dist-info" / "entry_points.txt").write_text(plugins)
        for file, text in {
            "vllm/model_executor/models/registry.py": REGISTRY,
            "transformers/models/auto/modeling_auto.py": '("odd", "OddForCausalLM")',
        }.items():
            (packages / file).parent.mkdir(parents=True)
            (packages / file).write_text(text)
        command = tmp_path / "env" / "bin" / "vllm"
        command.parent.mkdir()
        command.write_text(f"#!{tmp_path}/env/bin/python\n")
        command.chmod(0o755)
        return f"engine.command={command}"

    return install


@pytest.fixture(autouse=True)
def mine(recipe: Callable[..., Path]) -> None:
    recipe("model: {id: a/model, facts: {source: here}}\nserve: {port: 0, host: 127.0.0.1}\n")


@pytest.fixture(autouse=True)
def weights_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "cached", lambda *_: Path())


def warnings(*words: str, launching: bool = True) -> tuple[str, ...]:
    return prepare.plans(["recipe=mine", "engine.command=sh", *words], [], sweep=False, launching=launching)[0].warnings


def refused(*words: str, launching: bool = True) -> list[str]:
    with pytest.raises(RecipeError) as error:
        warnings(*words, launching=launching)
    return [str(fault) for fault in error.value.faults]


def me(gib: float) -> str:
    process = psutil.Process()
    return f"{process.name()} (pid {os.getpid()}) of {process.username()} ({gib:.1f} GiB)"


def test_gpus_in_use_are_refused_with_who_uses_them(nvml: Nvml) -> None:
    nvml.has(gpu(used_gib=9, pids=(os.getpid(),)), gpu(used_gib=1.25))
    assert refused("hardware=a100x2", "parallelism.tp=2") == [
        f"hardware — 2 free GPUs are needed, and in use are GPU 0 by {me(9)}, "
        "GPU 1 by processes that cannot be seen from here; wait for them, or choose others with CUDA_VISIBLE_DEVICES"
    ]
    nvml.has(gpu(used_gib=9, pids=(2**22 + 1, 2**22 + 2)))
    assert refused("hardware=a100x1") == [
        "hardware — a free GPU is needed, and in use are GPU 0 by pid 4194305 (4.5 GiB), pid 4194306 (4.5 GiB); "
        "wait for them, or choose others with CUDA_VISIBLE_DEVICES"
    ]


def test_a_gpu_that_was_chosen_must_have_what_vllm_takes(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.has(gpu(), gpu(used_gib=9, pids=(os.getpid(),)))
    do = "wait for it, choose another with CUDA_VISIBLE_DEVICES, or lower serve.gpu_memory_utilization"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert refused("hardware=a100x1") == [
        f"hardware — vLLM would take 36.2 GiB of GPU 1, 30.4 are free; in use by {me(9)}; {do}"
    ]
    assert warnings("hardware=a100x1", "serve.gpu_memory_utilization=0.7") == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert refused("hardware=a100x1", "serve.gpu_memory_utilization=0.99") == [
        f"hardware — vLLM would take 39.0 GiB of GPU 0, 38.9 are free; {do}"
    ]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert refused("hardware=a100x1", "env.CUDA_VISIBLE_DEVICES=GPU-1a")[0].startswith(
        "hardware — vLLM would take 36.2 GiB of GPU 1"
    )


def test_less_memory_than_the_profile_says(nvml: Nvml) -> None:
    nvml.has(gpu(A100, 39.39), gpu(A100, 30.0))
    what = "the profile says 39.39 GiB a GPU, GPU 1 has 30.00"
    assert refused("hardware=a100x2", "parallelism.tp=2") == [f"hardware — {what}; {HERE}"]


def test_a_plan_only_says_what_the_host_lacks(nvml: Nvml) -> None:
    nvml.has(gpu("NVIDIA L4", 21.96))
    what = "the profile says 2 × A100-SXM4-40GB, this host has 1 × NVIDIA L4"
    assert refused("hardware=a100x2", "parallelism.tp=2") == [f"hardware — {what}; {HERE}"]
    said = warnings("hardware=a100x2", "parallelism.tp=2", launching=False)
    assert f"{what}: a run here would be refused" in said


@pytest.mark.parametrize(
    ("distribution", "driver", "told"),
    [
        ("nvidia_cuda_runtime-13.0.96", "570.124.06", (13, 580)),
        ("nvidia_cuda_runtime_cu12-12.8.90", "470.82.01", (12, 525)),
        ("torch-2.9.0+cu129", "520", (12, 525)),
        ("nvidia_cuda_runtime-13.0.96", "580.65.06", None),
        ("nvidia_cuda_runtime_cu12-12.8.90", "525.60.13", None),
        ("numpy-2.0", "100", None),
    ],
)
def test_a_driver_that_is_too_old(
    distribution: str, driver: str, told: tuple[int, int] | None, nvml: Nvml, installed: Installed
) -> None:
    nvml.has(gpu())
    nvml.driver = driver
    words = ("hardware=a100x1", installed("0.30.0", distribution), "preflight.flags=warn")
    if told is None:
        assert not [line for line in warnings(*words) if "driver" in line]
        return
    assert refused(*words) == [
        f"hardware — the driver {driver} is too old for this vLLM, which is built for CUDA {told[0]}; "
        f"install driver {told[1]} or later, or a vLLM for an older CUDA"
    ]


def test_a_cuda_that_is_newer_than_we_are() -> None:
    assert cuda({"torch": "3.0+cu150"}) == 15
    assert driver_needed(15) == driver_needed(13)
    assert driver_needed(None) == 525
    assert cuda({"torch": "2.9.0"}) is None


def test_links_between_gpus_that_are_not_what_the_profile_says(nvml: Nvml) -> None:
    nvml.has(gpu(), gpu())
    words = ("hardware=a100x2", "parallelism.tp=2")
    assert warnings(*words) == ()
    nvml.linked = False
    assert warnings(*words) == ("the profile says NVLink 600 GB/s between GPUs, and here they are linked by PCIe",)
    assert warnings("hardware=a100x2", "parallelism.tp=1") == (
        "only 1 of 2 devices would be used; parallelism.dp=2 takes 2",
    )
    nvml.linked = None
    assert facts.host().link is None
    assert warnings(*words) == ()


def test_a_cpu_without_the_memory(nvml: Nvml, recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_memory_bytes", lambda: 8 << 30)
    words = ("recipe=qwen3-8b", "hardware=cpu", "engine=vllm", "env.VLLM_CPU_KVCACHE_SPACE=16")
    assert refused(*words) == [
        "hardware — weights and KV cache take 31.3 GiB of RAM, and this host has 8.0; "
        "take a smaller model, or lower env.VLLM_CPU_KVCACHE_SPACE; preflight.host=warn tries all the same"
    ]
    monkeypatch.setattr(facts, "_memory_bytes", lambda: 32 << 30)
    assert not [line for line in warnings(*words) if "RAM" in line]


def test_a_limit_on_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = psutil.virtual_memory().total
    for text, seen in (("1073741824\n", 1 << 30), ("max\n", total), (f"{total * 2}\n", total), (None, total)):
        file = tmp_path / "memory.max"
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(facts, "MEMORY_LIMIT", file)
        assert facts._memory_bytes() == seen


@pytest.mark.parametrize(
    ("version", "wanted", "needed"),
    [
        ("0.30.0", ">=0.31", ">=0.31"),
        ("0.30.0", "==0.25.*", "==0.25.*"),
        ("0.19.1", None, ">=0.20"),
        ("0.30.0", ">=0.20,<0.31", None),
        ("0.31.0rc2.dev3+g1a2b3c", ">=0.30", None),
        ("dev", ">=0.31", None),
    ],
)
def test_the_version_of_vllm(
    version: str, wanted: str | None, needed: str | None, nvml: Nvml, installed: Installed
) -> None:
    words = [installed(version), "hardware=a100x2", "parallelism.tp=2", *([f"model.vllm='{wanted}'"] if wanted else [])]
    if needed is None:
        assert not [line for line in warnings(*words, launching=False) if "needed" in line]
        return
    do = f"install one that fits, or name another with engine.command; {ANYWAY}"
    where = "model.vllm" if wanted else "model.vllm (recipes/mine.yaml:1)"
    what = f"vLLM {needed} is needed, and {version} is installed here"
    assert refused(*words, launching=False) == [f"{where} — {what}; {do}"]
    assert f"{what}; {do}" in warnings(*words, "preflight.model=warn", launching=False)


def test_versions_that_are_none() -> None:
    assert refused("model.vllm=new", "hardware=a100x1") == [
        "model.vllm — 'new' does not fit here; write versions as Python packages do, such as >=0.20,<0.40"
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LlamaForCausalLM", None),
        ("LlamaForSequenceClassification", None),
        ("Qwen9ForCausalLM", "vLLM 0.30.0 does not list the architecture Qwen9ForCausalLM (but Qwen3ForCausalLM); "),
        ("Strange", "vLLM 0.30.0 does not list the architecture Strange; "),
        ("MotifForCausalLM", "vLLM served MotifForCausalLM until version 0.10.2; "),
    ],
)
def test_architectures(name: str, told: str | None, nvml: Nvml, installed: Installed) -> None:
    words = ["hardware=a100x1", f"model.facts.config.architectures=[{name}]", installed()]
    if told is None:
        assert not [line for line in warnings(*words, launching=False) if name in line]
        return
    do = "install vLLM 0.10.2, or take another model" if "Motif" in name else "take a newer vLLM, or another model"
    what = f"{told}{do}; {ANYWAY}"
    (line,) = refused(*words, launching=False)
    assert line.partition(" — ")[2] == what
    assert what in warnings(*words, "preflight.model=warn", launching=False)
    assert not [line for line in warnings(*words, "serve.trust_remote_code=true", launching=False) if name in line]


def test_an_architecture_that_transformers_serves(nvml: Nvml, installed: Installed) -> None:
    said = warnings(
        "hardware=a100x1", "model.facts.config.architectures=[OddForCausalLM]", installed(), launching=False
    )
    assert "vLLM 0.30.0 has no OddForCausalLM of its own; it would run that of transformers" in said


def test_plugins_may_bring_any_architecture(nvml: Nvml, installed: Installed) -> None:
    command = installed(plugins="[vllm.general_plugins]\nmine = a:b\n")
    said = warnings("hardware=a100x1", "model.facts.config.architectures=[Strange]", command, launching=False)
    assert not [line for line in said if "Strange" in line]


def test_whose_code_serves() -> None:
    known = Architectures(frozenset({"LlamaForCausalLM"}), frozenset({"OddForCausalLM"}))
    assert known.whose(["X", "LlamaModel"]) == "vllm"
    assert known.whose(["X", "OddForCausalLM"]) == "transformers"
    assert known.whose(["X"]) is None


def test_the_first_run_asks_vllm_for_its_flags_once_and_only_if_all_else_is_well(
    nvml: Nvml, installed: Installed, capfd: pytest.CaptureFixture[str]
) -> None:
    command = installed()
    program = Path(command.partition("=")[2])
    python = program.parent / "python"
    python.write_text(f'#!/bin/sh\necho asked >> "{program}.asked"\nprintf "  --port PORT\\n  --host HOST\\n"\n')
    python.chmod(0o755)
    asked = Path(f"{program}.asked")
    said: list[str] = []

    def plan(*words: str) -> None:
        found = ["recipe=mine", "hardware=a100x1", command, *words]
        prepare.plans(found, [], sweep=False, launching=True, tell=said.append)

    with pytest.raises(RecipeError, match="the profile says"):
        plan("serve.modle=x")
    assert not asked.exists()
    nvml.has(gpu())
    with pytest.raises(RecipeError) as error:
        plan("serve.modle=x")
    assert [fault.what for fault in error.value.faults] == ["the vLLM that is installed here has no flag modle"]
    plan()
    assert asked.read_text() == "asked\n"
    assert said == ["asking vLLM 0.30.0 once which flags it knows: 10 to 25 s"]


def test_a_value_that_its_flag_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Flags(("--dtype", "--host", "--port"), {"--dtype": ["auto", "float16"]})
    monkeypatch.setattr(facts, "options", lambda program, version: known)
    what = "'fp16' is none of the values that this vLLM takes; choose one of: auto, float16"
    told = f"{what}; preflight.flags=warn passes it on all the same"
    assert refused("hardware=a100x1", "serve.dtype=fp16", launching=False) == [f"serve.dtype — {told}"]
    assert told in warnings("hardware=a100x1", "serve.dtype=fp16", "preflight.flags=warn", launching=False)


def test_a_vllm_that_does_not_say_its_flags_is_started_all_the_same(nvml: Nvml, installed: Installed) -> None:
    nvml.has(gpu())
    said: list[str] = []
    words = ["recipe=mine", "hardware=a100x1", installed()]
    assert prepare.plans(words, [], sweep=False, launching=True, tell=said.append)
    assert said[1].startswith("flags are not checked: engine.command — `")
    assert len(said) == 2


def test_what_an_earlier_run_left_is_stopped_by_doctor(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that listens, and is on the GPU, is this one; a server of an earlier run is what it is taken for."""
    orphan = SimpleNamespace(processes=(psutil.Process(),))
    monkeypatch.setattr(facts, "survey", lambda: [orphan])
    nvml.has(gpu(used_gib=9, pids=(os.getpid(),)))
    clean = "`recipe-run doctor --clean` stops it"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        told = refused("hardware=a100x1", f"serve.port={port}")
        assert told == [
            f"serve.port — port {port} is in use by {psutil.Process().name()} (pid {os.getpid()}); "
            f"{clean}, or take a free one with serve.port=0",
            f"hardware — a free GPU is needed, and in use are GPU 0 by {me(9)}; "
            f"{clean}, or choose others with CUDA_VISIBLE_DEVICES",
        ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert refused("hardware=a100x1")[0].endswith(
        f"{clean}, choose another with CUDA_VISIBLE_DEVICES, or lower serve.gpu_memory_utilization"
    )


def test_what_yaml_once_read_as_true_is_refused_before_vllm_refuses_it(recipe: Callable[..., Path]) -> None:
    """vLLM says `unrecognized arguments: yes` after 7 s of imports."""
    recipe("serve:\n  enforce_eager: yes\n  enable_prefix_caching: off\nmodel: {id: a/model, facts: {source: here}}\n")
    takes = "is a value, and a flag that is only switched on or off takes none"
    do = "preflight.flags=warn passes it on all the same"
    words = ("hardware=a100x1", "serve.disable_log_stats=on")
    told = [
        f"serve.enforce_eager (recipes/mine.yaml:2) — 'yes' {takes}; write true; {do}",
        f"serve.enable_prefix_caching (recipes/mine.yaml:3) — 'off' {takes}; write false; {do}",
        f"serve.disable_log_stats — 'on' {takes}; write true; {do}",
    ]
    assert refused(*words, launching=False) == told
    assert f"'yes' {takes}; write true; {do}" in warnings(*words, "preflight.flags=warn", launching=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("serve.max_model_len=-5", "-5 {count}"),
        ("serve.max_model_len='2 k'", "'2 k' {count}"),
        ("serve.max_model_len=4096.5", "4096.5 {count}"),
        ("serve.max_model_len=1.5K", "'1.5K' {count}"),
        ("serve.max_num_seqs=0", "0 {count}"),
        ("serve.max_num_batched_tokens=[1]", "[1] {count}"),
        ("serve.block_size=true", "True {count}"),
        (f"serve.kv_cache_memory_bytes='{'9' * 400}'", f"'{'9' * 400}' {{count}}"),
        ("serve.gpu_memory_utilization=0", "0 {share}"),
        ("serve.gpu_memory_utilization=92", "92 {share}"),
        ("serve.gpu_memory_utilization='nan'", "'nan' {share}"),
    ],
)
def test_numbers_that_decide_memory_are_refused_where_they_are_none(words: str, told: str) -> None:
    count = "is not a whole number above 0, or too large to be meant; write one, such as 32768 or 32k"
    share = "is not a share of the memory; write a number above 0, and at most 1"
    told = f"{told.format(count=count, share=share)}; preflight.flags=warn passes it on all the same"
    assert refused("hardware=a100x1", words, launching=False) == [f"{words.partition('=')[0]} — {told}"]
    assert told in warnings("hardware=a100x1", words, "preflight.flags=warn", launching=False)


def test_fewer_devices_are_named_than_are_needed(nvml: Nvml) -> None:
    nvml.has(gpu(), gpu())
    assert refused("hardware=a100x2", "parallelism.tp=2", "env.CUDA_VISIBLE_DEVICES='0'") == [
        "env.CUDA_VISIBLE_DEVICES — CUDA_VISIBLE_DEVICES names 1 device, and 2 are needed; "
        "name more, or take less with parallelism"
    ]


def test_devices_may_be_named_with_spaces(nvml: Nvml) -> None:
    nvml.has(gpu(), gpu())
    words = [
        "recipe=mine",
        "engine.command=sh",
        "hardware=a100x2",
        "parallelism.tp=2",
        "env.CUDA_VISIBLE_DEVICES='0, 1'",
    ]
    (plan,) = prepare.plans(words, [], sweep=False, launching=True)
    assert [name for name in plan.leases() if name.startswith("gpu-")] == ["gpu-GPU-0a7b", "gpu-GPU-1a7b"]
