"""What is asked of the machine: NVML, vLLM, ports, weights, a server to attach to."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner import facts, prepare
from recipe_runner.composition.schema import ModelFacts, Request
from recipe_runner.engines import sim_server
from recipe_runner.errors import RecipeError
from recipe_runner.facts import Attached, Facts, Machine, gather, host
from recipe_runner.plan import Plan
from tests.nvml import A100, Nvml, gpu

DO = "name the hardware that is here (hardware=auto finds it), or say preflight.host=warn"


def asked(*words: str) -> Request:
    return prepare.requested(["recipe=mine", *words], [])[1]


def launching(*words: str) -> Facts:
    return gather(asked("engine.command=sh", *words), Machine(), launching=True)


def refused(*words: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        prepare.plans(["recipe=mine", "engine.command=sh", *words], [], sweep=False, launching=True)
    return [str(fault) for fault in error.value.faults]


@pytest.fixture(autouse=True)
def mine(recipe: Callable[..., Path]) -> None:
    shutil.copytree(Path(__file__).parent / "data" / "small", "recipes/weights")
    recipe("model: {id: a/model, path: weights}\nserve: {port: 0, host: 127.0.0.1, served_model_name: a/model}\n")


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_no_driver_is_no_gpu(nvml: Nvml) -> None:
    here = host()
    assert (here.gpus, here.driver) == ((), None)
    assert here.cores == os.cpu_count()
    assert here.memory_gib > 0
    assert here.cpu
    assert here.platform.startswith("Linux")


def test_gpus_are_described_with_the_memory_that_is_usable(nvml: Nvml) -> None:
    nvml.has(gpu(memory_gib=39.39, reserved_gib=0.61), gpu(used_gib=3.5))
    here = host()
    assert here.driver == "580.105.08"
    assert [(g.id, g.uuid, g.name, g.compute_capability) for g in here.gpus] == [
        ("0", "GPU-0a7b", A100, "8.0"),
        ("1", "GPU-1a7b", A100, "8.0"),
    ]
    assert [(round(g.memory_gib, 2), g.used_gib) for g in here.gpus] == [(39.39, 0.5), (39.39, 3.5)]
    assert nvml.open == 0, "NVML was not shut down"


@pytest.mark.parametrize(
    ("named", "ids"),
    [
        ("0,2", ["0", "2"]),
        (" 2 , 0 ", ["2", "0"]),
        ("GPU-1a7b,GPU-0", ["GPU-1a7b", "GPU-0"]),
        ("1,7,0", ["1"]),
        ("-1", []),
        ("", []),
    ],
)
def test_cuda_visible_devices_is_respected(
    named: str, ids: list[str], nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.has(gpu(), gpu(), gpu())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [g.id for g in host().gpus] == ids


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor: 0\nmodel name\t: A CPU @ 3 GHz\n", "A CPU @ 3 GHz"),
        ("processor: 0\n", "machine"),
        (None, "machine"),
    ],
)
def test_the_name_of_the_cpu(text: str | None, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def path(_: str) -> Path:
        return tmp_path / "cpuinfo"

    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(facts, "Path", path)
    monkeypatch.setattr("platform.machine", lambda: "machine")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert facts._cpu_name() == name


def test_plans_ask_only_for_vllm_and_for_weights_that_are_named(nvml: Nvml, no_vllm: None, busy_port: int) -> None:
    found = gather(asked("hardware=a100x2", f"serve.port={busy_port}"), Machine(), launching=False)
    assert (found.devices, found.port, found.to_fetch) == (None, None, None)
    (plan,) = prepare.plans(["recipe=mine", "hardware=a100x2"], [], sweep=False, launching=False)
    assert plan.warnings[0] == (
        "there is no vllm command here; `pip install vllm` on a GPU host, "
        "`recipe-run setup cpu` without one, or set engine.command"
    )


def test_what_vllm_downloads_into_a_folder_of_its_own_is_not_fetched_before(
    nvml: Nvml, recipe: Callable[..., Path]
) -> None:
    nvml.has(gpu())
    recipe("model: {id: a/model, facts: {source: a test, bytes: 9}}\n")
    assert launching("hardware=a100x1").model_problem is not None
    found = launching("hardware=a100x1", "serve.download_dir=weights")
    assert (found.model_problem, found.to_fetch) == (None, None)


def test_free_devices_are_taken(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.has(gpu(used_gib=9), gpu(), gpu())
    assert launching("hardware=a100x1").devices == ("1", "2")
    assert launching("hardware=a100x2", "parallelism.tp=2").devices == ("1", "2")
    assert launching("hardware=a100x1", "env.CUDA_VISIBLE_DEVICES='0'").devices == ("0",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2a7b,GPU-0a7b")
    assert launching("hardware=a100x1").devices == ("GPU-2a7b", "GPU-0a7b")


def test_another_host_than_the_profile_says_is_refused_or_only_said(nvml: Nvml) -> None:
    nvml.has(gpu("NVIDIA L4", 21.96))
    what = "the profile says 2 × A100-SXM4-40GB, this host has 1 × NVIDIA L4"
    assert refused("hardware=a100x2") == [f"hardware — {what}; {DO}"]
    words = ["recipe=mine", "engine.command=sh", "hardware=a100x2", "parallelism.tp=2", "preflight.host=warn"]
    assert prepare.plans(words, [], sweep=False, launching=True)[0].warnings == (f"{what}; {DO}",)


def test_simulated_and_attached_servers_need_no_hardware(nvml: Nvml) -> None:
    found = gather(asked("hardware=a100x2", "engine=sim", "model.path=nowhere"), Machine(), launching=True)
    assert found.devices is None


def test_port_0_is_a_free_one(nvml: Nvml) -> None:
    port = launching("hardware=cpu").port
    assert port
    with socket.socket() as probe:
        probe.bind(("", port))
    request, machine = asked("hardware=cpu", "engine.command=sh"), Machine()
    machine.spare_port = lambda: 4711
    assert gather(request, machine, launching=True).port == 4711
    assert launching("hardware=cpu", f"serve.port={port}").port is None


def test_a_busy_port_is_refused_with_its_holder(nvml: Nvml, busy_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    do = "stop that, or take a free one with serve.port=0"
    holder = f"{psutil.Process().name()} (pid {os.getpid()})"
    words = ("hardware=cpu", f"serve.port={busy_port}")
    assert refused(*words) == [f"serve.port — port {busy_port} is in use by {holder}; {do}"]

    def denied(kind: str) -> list[Any]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    assert refused(*words) == [f"serve.port — port {busy_port} is in use; {do}"]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [])
    assert refused(*words) == [f"serve.port — port {busy_port} is in use; {do}"]


def test_missing_weights_are_refused(nvml: Nvml, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused("hardware=cpu", "model.path=nowhere") == [
        f"model.path — there is no folder {tmp_path}/nowhere; "
        "give the folder of a transformers model, with its config.json"
    ]
    assert refused("hardware=cpu", "model.path=empty") == [
        f"model.path — {tmp_path}/empty has no config.json; "
        "give the folder of a transformers model, with its config.json"
    ]


def test_everything_that_keeps_a_run_from_starting_is_told_at_once(nvml: Nvml, busy_port: int, tmp_path: Path) -> None:
    words = ["hardware=a100x2", "engine.command=no-such-vllm", "model.path=none", f"serve.port={busy_port}"]
    assert [line.split(";")[0] for line in refused(*words)] == [
        "engine.command — there is no command no-such-vllm",
        f"model.path — there is no folder {tmp_path}/none",
        f"serve.port — port {busy_port} is in use by {psutil.Process().name()} (pid {os.getpid()})",
        "hardware — the profile says 2 × A100-SXM4-40GB, this host has no NVIDIA GPU",
    ]


def test_the_model_is_described_by_its_files(nvml: Nvml) -> None:
    found = launching("hardware=cpu").model
    assert found is not None
    assert (found.parameters, found.config["model_type"]) == ({"F32": 1}, "small")


def test_what_is_recorded_is_taken_for_a_plan_and_the_hub_is_asked_for_a_run(nvml: Nvml) -> None:
    words = ("hardware=cpu", "~model.path", "model.facts={source: here, bytes: 7}")
    planned = gather(asked(*words), Machine(), launching=False)
    assert planned.model == ModelFacts(source="here", bytes=7)
    assert planned.model_problem is None
    problem = launching(*words).model_problem
    assert problem is not None
    assert problem.kind == "offline"


@pytest.fixture
def served() -> Iterator[Callable[[str], str]]:
    """Start a server that says it serves a model; its address."""
    running: list[sim_server.Server] = []

    def serve(model: str) -> str:
        server = sim_server.Server(("127.0.0.1", 0), model, [])
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


def attaching(url: str) -> Plan:
    return prepare.plans(["recipe=mine", "engine=attach", f"engine.url='{url}'"], [], sweep=False, launching=True)[0]


def test_attaching_finds_the_server_and_launches_nothing(served: Callable[[str], str], no_vllm: None) -> None:
    plan = attaching(served("a/model"))
    assert plan.commands == ()
    assert plan.facts.attached == Attached(("a/model",), "simulated")
    assert plan.simulated


def test_attaching_to_a_server_with_another_model_is_refused(served: Callable[[str], str], no_vllm: None) -> None:
    url = served("another")
    with pytest.raises(RecipeError) as error:
        attaching(url)
    assert str(error.value) == (
        f"engine.url — the server at {url} serves another, not a/model; "
        "attach to another server, or say serve.served_model_name=another"
    )


def test_attaching_to_nothing_is_refused(no_vllm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(RecipeError) as error:
            attaching(url)
    assert str(error.value) == (
        f"engine.url — no server answers at {url}: /v1/models cannot be reached: [Errno 111] Connection refused; "
        "start it, or correct the address"
    )


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("a..b", "encoding with 'idna' codec failed (UnicodeError: label empty or too long)"),
        ("[v1.x]", "Invalid IPv6 address: '[v1.x]'"),
        ("xn--a", "Codepoint U+0080 at position 1 of '\\x80' not allowed"),
    ],
)
def test_attaching_to_what_can_be_no_host_is_refused(host: str, why: str, no_vllm: None) -> None:
    with pytest.raises(RecipeError) as error:
        attaching(f"http://{host}")
    assert str(error.value) == (
        f"engine.url — no server answers at http://{host}: /v1/models cannot be reached: {why}; "
        "start it, or correct the address"
    )


def test_attaching_to_a_server_without_models_is_refused(
    served: Callable[[str], str], no_vllm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recipe_runner.client.Client.models", lambda self: [])
    with pytest.raises(RecipeError) as error:
        attaching("http://127.0.0.1:1")
    assert str(error.value) == (
        "engine.url — the server at http://127.0.0.1:1 serves nothing, not a/model; check the server"
    )
