"""`recipe-run doctor`: what it says of machines of every kind, word for word."""

import argparse
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest

from recipe_runner import paths
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.host import environments, flags, leases, machine
from recipe_runner.host.leases import Found, Holder
from recipe_runner.host.machine import Check
from recipe_runner.verbs import doctor
from tests.nvml import A100, GIB, Nvml, NVMLError, gpu

SECRET = "hf_abcdefghijklmnopqrstuvwxyz"
NO_VLLM = "`pip install vllm` on a GPU host, `recipe-run setup cpu` without one, or set engine.command"


class Busy(Nvml):
    """A driver that also says which processes use a GPU; `used` is what, by index; None says nothing."""

    def __init__(self, *gpus: dict, used: dict[int, list[tuple[int, int | None]] | None] | None = None) -> None:
        super().__init__()
        self.has(*gpus)
        self.used = used or {}

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        running = self.used.get(handle, [])
        if running is None:
            raise NVMLError("Not Supported")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in running]


class Usage(NamedTuple):
    total: int = 100 * GIB
    used: int = 0
    free: int = 50 * GIB


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_vllm: None) -> None:
    """A machine on which all is well, without vLLM."""
    monkeypatch.setattr(leases, "FOLDER", tmp_path / "leases")
    monkeypatch.setattr(machine, "LOADED", tmp_path / "no-driver")
    monkeypatch.setattr(machine, "port_free", lambda host, port: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (65536, 65536))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Busy]:
    def driver(*gpus: dict, **used: Any) -> Busy:
        fake = Busy(*gpus, **used)
        monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
        return fake

    return driver


def all_checks(**options: bool) -> dict[str, Check]:
    return {check.name: check for check in doctor.checks(**options)}


def said(name: str) -> tuple[str, str, str]:
    """Status, detail and cure of one check."""
    return all_checks()[name][1:]


def screen(*words: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    parser.add_argument("--json", action="store_true")
    return doctor.run(parser.parse_args(words))


def cpu_vllm(version: str = "0.32.0+cpu", torch: str = "2.13.0") -> Path:
    """A finished environment for CPU, and its `vllm`."""
    home = environments.folder("cpu")
    for name in (f"vllm-{version}", f"torch-{torch}"):
        (home / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info").mkdir(parents=True)
    (home / "bin").mkdir()
    script = home / "bin" / "vllm"
    script.write_text(f"#!{home}/bin/python\n")
    script.chmod(0o755)
    (home / "finished").touch()
    return script


def defaults(text: str) -> Path:
    file = paths.personal_config()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_one_screen(capsys: pytest.CaptureFixture[str], nvml: Nvml, tmp_path: Path) -> None:
    assert screen() == 0
    cores, memory_gib = os.cpu_count(), psutil.virtual_memory().total / GIB
    home, cache = Path(os.environ["HOME"]), paths.cache().parent
    assert capsys.readouterr().out.splitlines() == [
        f"ok       platform         {platform.platform()}, Python {platform.python_version()}, "
        f"{cores} cores, {memory_gib:.0f} GiB",
        "ok       driver           no NVIDIA GPU here: hardware=cpu, or engine=attach",
        "ok       leases           none",
        "ok       left servers     none",
        "warning  vLLM             there is no vllm command here",
        f"                          → {NO_VLLM}",
        "warning  CPU environment  not built",
        "                          → `recipe-run setup cpu`: 6 GB",
        "ok       HF token         none; gated models need one: `hf auth login`, or HF_TOKEN",
        f"ok       HF cache         {cache}/huggingface/hub, 0.0 GiB, 50 GiB free",
        f"ok       runs             {tmp_path}/runs, 50 GiB free",
        "ok       port 8000        free",
        "ok       open files       65536 at most",
        "ok       /dev/shm         100.00 GiB",
        f"ok       own defaults     none in {home}/config/recipe-runner/config.yaml",
        "ok       environment      HF_HUB_OFFLINE=1",
    ]


def test_json_says_the_same(capsys: pytest.CaptureFixture[str], nvml: Nvml) -> None:
    assert screen("--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == 1
    assert document["checks"][1] == {
        "name": "driver",
        "status": "ok",
        "detail": "no NVIDIA GPU here: hardware=cpu, or engine=attach",
        "do": "",
    }
    assert [check["name"] for check in document["checks"]] == list(all_checks())


def test_it_takes_no_second_and_loads_neither_vllm_nor_torch() -> None:
    program = (
        "import sys\nfrom recipe_runner.verbs import doctor\nlist(doctor.checks())\n"
        "assert not {'vllm', 'torch', 'hydra', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 2, "1 s, and some for a busy machine"


def test_the_help_says_what_the_exit_code_is() -> None:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    assert "The exit code is 0 whatever is found" in parser.format_help()


@pytest.mark.parametrize(("system", "processor"), [("darwin", "x86_64"), ("linux", "aarch64")])
def test_other_platforms(system: str, processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    status, _, do = said("platform")
    assert (status, do) == ("warning", "run and serve need Linux on x86-64: use WSL2, or engine=attach")


def test_gpus_and_who_uses_them(driver: Callable[..., Busy]) -> None:
    me = psutil.Process()
    gpus = (gpu(), gpu(used_gib=9), gpu(used_gib=9), gpu(used_gib=9))
    used = {0: [(me.pid, None)], 1: [(me.pid, 8 * GIB), (2**22 + 1, GIB)], 2: None}
    fake = driver(*gpus, used=used)
    found = all_checks()
    mine = f"{me.name()} (pid {me.pid}) of {me.username()}"
    do = "end that, or choose others with CUDA_VISIBLE_DEVICES"
    assert found["driver"][1:] == ("ok", "580.105.08", "")
    assert found["GPU 0"][1:] == ("ok", f"{A100}, 0.5 of 39.4 GiB in use by {mine}", "")
    assert found["GPU 1"][1:] == (
        "warning",
        f"{A100}, 9.0 of 39.4 GiB in use by {mine} (8.0 GiB), pid {2**22 + 1} (1.0 GiB)",
        do,
    )
    hidden = ("warning", f"{A100}, 9.0 of 39.4 GiB in use by processes that cannot be seen from here", do)
    assert found["GPU 2"][1:] == found["GPU 3"][1:] == hidden
    assert fake.open == 0, "NVML was not shut down"


def test_a_gpu_that_is_lost(driver: Callable[..., Busy]) -> None:
    driver(gpu(), gpu(lost="GPU is lost"))
    assert said("GPU 0")[0] == "ok"
    do = "`nvidia-smi` says more, a restart may help"
    assert said("GPU 1") == ("problem", "the driver does not describe it: GPU is lost", do)


def test_gpus_that_are_hidden(driver: Callable[..., Busy], monkeypatch: pytest.MonkeyPatch) -> None:
    driver(gpu(), gpu())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a7b")
    assert said("GPU GPU-1a7b") == ("ok", f"{A100}, 0.5 of 39.4 GiB in use", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert said("GPUs") == ("problem", "none is visible", "see CUDA_VISIBLE_DEVICES, and what `nvidia-smi -L` lists")


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("470.82.01", ("problem", "470.82.01 is too old for vLLM", "install 525 or later")),
        ("525.60", ("ok", "525.60", "")),
        ("", ("problem", " is too old for vLLM", "install 525 or later")),
    ],
)
def test_old_drivers(version: str, told: tuple[str, ...], driver: Callable[..., Busy]) -> None:
    driver(gpu()).nvmlSystemGetDriverVersion = lambda: version  # type: ignore[method-assign]
    assert said("driver") == told


def test_a_driver_that_does_not_answer(nvml: Nvml, tmp_path: Path) -> None:
    (tmp_path / "no-driver").touch()
    do = "see what `nvidia-smi` says; after an update of the driver, restart"
    assert said("driver") == ("problem", "the NVIDIA driver is loaded, and does not answer", do)


def test_leases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with leases.lease(["port-8000"], "runs/a"):
        told = f"port 8000 is leased by pid {os.getpid()} of {psutil.Process().username()} (runs/a)"
        assert said("leases") == ("ok", told, "")
    file = tmp_path / "leases" / "gpu-GPU-1"
    file.write_text('{"pid": 4194999, "user": "bob", "run": "runs/b"}')
    assert said("leases") == ("ok", "none", "")
    lost = Found(Holder("gpu-GPU-1", 12, "bob"), "outlived", file)
    monkeypatch.setattr(leases, "survey", lambda: iter([lost]))
    assert said("leases") == ("warning", "gpu-GPU-1 outlived pid 12", f"end what holds it: `fuser -v {file}`")


def test_a_folder_for_leases_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "leases").touch()
    what = f"{tmp_path}/leases is not a folder"
    assert said("leases") == ("problem", what, "it is none of ours: have its owner, or root, remove it")


class Left:
    """A server that outlived its run."""

    def __init__(self, pid: int, *, stubborn: bool = False) -> None:
        self.pid, self.stubborn = pid, stubborn

    def __str__(self) -> str:
        return f"pid {self.pid}, VLLM::EngineCore, 7.6 GiB, run runs/x"

    def stop(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=self.pid)] if self.stubborn else []


def test_servers_that_outlived_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "survey", lambda: iter([Left(1), Left(2, stubborn=True)]))
    both = "pid 1, VLLM::EngineCore, 7.6 GiB, run runs/x; pid 2, VLLM::EngineCore, 7.6 GiB, run runs/x"
    assert said("left servers") == ("warning", both, "`recipe-run doctor --clean`")
    do = "what hangs in a driver goes only with a restart"
    assert all_checks(clean=True)["left servers"][1:] == ("problem", "not to be stopped: pid 2", do)
    monkeypatch.setattr(doctor, "survey", lambda: iter([Left(1)]))
    stopped = "stopped: pid 1, VLLM::EngineCore, 7.6 GiB, run runs/x"
    assert all_checks(clean=True)["left servers"][1:] == ("ok", stopped, "")


def test_they_are_stopped_before_anything_else_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or the port and the GPUs that they have would be told as in use."""
    stopped = []
    left = Left(1)
    monkeypatch.setattr(left, "stop", lambda: stopped.append(left) or [])
    monkeypatch.setattr(doctor, "survey", lambda: iter([] if stopped else [left]))
    monkeypatch.setattr(machine, "port_free", lambda host, port: bool(stopped))
    assert screen("--clean", "--json") == 0
    found = {check["name"]: check["status"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert (found["left servers"], found["port 8000"]) == ("ok", "ok")


def test_vllm_for_cpu(driver: Callable[..., Busy], nvml: Nvml) -> None:
    script = cpu_vllm()
    found = all_checks()
    assert found["vLLM"][1:] == ("ok", f"0.32.0+cpu for CPU, {script}", "")
    assert found["torch"][1:] == ("ok", "2.13.0", "")
    assert found["flags"][1:] == (
        "warning",
        "not read yet, so a plan does not check them",
        "`recipe-run doctor --flags`",
    )
    assert found["CPU environment"][1:] == ("ok", str(script.parent.parent), "")
    driver(gpu())
    do = "to use the GPUs: `pip install vllm`, or engine.command=…"
    assert said("vLLM") == ("warning", f"0.32.0+cpu for CPU, {script}", do)


@pytest.mark.parametrize(
    ("version", "torch", "built_for"),
    [("0.25.1", "2.11.0", "CUDA"), ("0.25.1", "2.11.0+rocm7", "ROCm"), ("0.25.1", "2.11.0+cpu", "CPU")],
)
def test_what_vllm_is_built_for(version: str, torch: str, built_for: str, nvml: Nvml) -> None:
    script = cpu_vllm(version, torch)
    assert said("vLLM") == ("ok", f"0.25.1 for {built_for}, {script}", "")
    assert said("torch") == ("ok", torch, "")


@pytest.mark.parametrize(
    ("torch", "old"), [("2.11.0+cu130", True), ("2.11.0+cu129", False), ("2.11.0", False), ("2.11.0+cpu", False)]
)
def test_a_driver_too_old_for_the_vllm_that_is_here(torch: str, old: bool, driver: Callable[..., Busy]) -> None:
    """As preflight has it; the driver's own line is judged by the oldest CUDA there is."""
    driver(gpu()).driver = "570.124.06"
    script = cpu_vllm("0.25.1", torch)
    status, detail, do = said("vLLM")
    assert (status == "problem") == old
    assert said("driver")[0] == "ok"
    if old:
        what = "the driver 570.124.06 is too old for this vLLM, which is built for CUDA 13"
        assert detail == f"0.25.1 for CUDA, {script}; {what}"
        assert do == "install driver 580 or later, or a vLLM for an older CUDA"


def test_vllm_as_the_person_set_it(nvml: Nvml, tmp_path: Path) -> None:
    script = tmp_path / "my-vllm"
    script.write_text("exec somewhere else\n")
    script.chmod(0o755)
    defaults(f"engine: {{vllm: {{command: [{script}, --quiet]}}}}\n")
    assert said("vLLM") == ("ok", f"of unknown version, {script} --quiet", "")
    assert said("torch") == ("ok", "of unknown version", "")
    cpu_vllm()
    defaults("engine: {vllm: {command: no-such-vllm}}\n")
    assert said("vLLM") == ("warning", "there is no command no-such-vllm", "check the path")


def test_settings_of_vllm_that_are_wrong(nvml: Nvml) -> None:
    file = defaults("engine: {vllm: {comand: x, environment: gpu}}\n")
    what = f"its settings in {file} are wrong: "
    status, detail, do = said("vLLM")
    assert (status, do) == ("problem", "correct them")
    assert detail == f"{what}environment: Input should be 'cpu'; comand: Extra inputs are not permitted"


def test_flags_are_read_when_asked_for(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = cpu_vllm()
    asked: list[tuple[str, ...]] = []

    def learn(program: tuple[str, ...], version: str | None) -> frozenset[str]:
        asked.append((*program, str(version)))
        return frozenset({"--port", "--host"})

    monkeypatch.setattr(flags, "learn", learn)
    assert screen("--flags") == 0
    assert "ok       flags            2 read\n" in capsys.readouterr().out
    assert asked == [(str(script), "0.32.0+cpu")]
    monkeypatch.setattr(flags, "options", lambda program, version: frozenset({"--port"}))
    assert all_checks(read_flags=True)["flags"][1:] == ("ok", "1 read", "")
    assert len(asked) == 1


def test_flags_that_cannot_be_read(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_vllm()

    def learn(program: tuple[str, ...], version: str | None) -> frozenset[str]:
        raise RecipeError(Fault("engine.command", "what", "do"))

    monkeypatch.setattr(flags, "learn", learn)
    assert all_checks(read_flags=True)["flags"][1:] == ("problem", "what", "do")


def test_gpus_need_no_environment_for_cpu(driver: Callable[..., Busy]) -> None:
    driver(gpu())
    assert said("CPU environment") == ("ok", "not built", "`recipe-run setup cpu`: 6 GB")


def test_the_token_is_found_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, nvml: Nvml, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET)
    monkeypatch.setenv("DISK", str(tmp_path))
    monkeypatch.setenv("HF_HOME", "$DISK")
    assert said("HF cache")[1].startswith(f"{tmp_path}/hub, 0.0 GiB, ")
    assert said("HF token") == ("ok", f"present, from {file}", "")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(file))
    assert said("HF token") == ("ok", f"present, from {file}", "")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", SECRET)
    assert said("HF token") == ("ok", "present, from HUGGING_FACE_HUB_TOKEN", "")
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("VLLM_API_KEY", "tell-nobody")
    defaults(f"engine: {{vllm: {{command: 'x {SECRET}'}}}}\n")
    for words in ([], ["--json"]):
        screen(*words)
        output = capsys.readouterr().out
        assert SECRET not in output
        assert "tell-nobody" not in output
        assert "HF_TOKEN=***" in output


def test_the_cache_is_weighed_for_a_moment(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, tmp_path: Path) -> None:
    for name in ("a", "b"):
        blob = tmp_path / "models--a--b" / "blobs" / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.touch()
        os.truncate(blob, GIB)
    (tmp_path / "models--a--b" / "blobs" / "gone").symlink_to("nowhere")
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", str(tmp_path))
    assert said("HF cache") == ("ok", f"{tmp_path}, 2.0 GiB, 50 GiB free", "")
    monkeypatch.setattr(machine, "WEIGH_S", -1)
    status, detail, _ = said("HF cache")
    assert (status, detail) in [("ok", f"{tmp_path}, at least {n} GiB, 50 GiB free") for n in ("0.0", "1.0")]


def test_disks_that_are_full_or_not_ours(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=GIB // 2))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    defaults("report: {folder: out}\n")
    hub = f"{tmp_path}/hub, 0.0 GiB, 0 GiB free"
    assert said("HF cache") == ("warning", hub, "name a larger disk with HF_HOME")
    assert said("runs") == ("warning", f"{tmp_path}/out, 0 GiB free", "name another place with report.folder=…")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert said("HF cache") == ("problem", f"{hub}, not writable", "name a larger disk with HF_HOME")


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, listener: int) -> None:
    monkeypatch.setattr(machine, "PORT", listener)
    monkeypatch.setattr(machine, "port_free", lambda host, port: False)
    holder = f"{psutil.Process().name()} (pid {os.getpid()})"
    assert said(f"port {listener}") == ("warning", f"in use by {holder}", "serve.port=0 takes a free one")
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [])
    assert said(f"port {listener}") == ("warning", "in use", "serve.port=0 takes a free one")


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((1024, 524288), ("warning", "1024 at most", "`ulimit -n 65536`")),
        ((1024, -1), ("warning", "1024 at most", "`ulimit -n 65536`")),
        ((1024, 1024), ("warning", "1024 at most", "raise it in /etc/security/limits.conf")),
        ((-1, -1), ("ok", "without limit", "")),
    ],
)
def test_open_files(
    limits: tuple[int, int], told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, nvml: Nvml
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    assert said("open files") == told


def test_shared_memory_of_a_container(
    monkeypatch: pytest.MonkeyPatch, driver: Callable[..., Busy], nvml: Nvml, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(total=GIB // 16))
    do = "several processes share it: `docker run --ipc=host`, or --shm-size=8g"
    assert said("/dev/shm") == ("warning", "0.06 GiB", do)
    monkeypatch.setattr(machine, "SHM", tmp_path / "none")
    assert not any("shm" in name for name in all_checks())


ENGINES = "attach, sim, vllm, vllm_cpu"


def test_own_defaults(nvml: Nvml) -> None:
    file = defaults("timeouts: {stop_s: 20}\nengine: {vllm: {command: sh}}\nreport:\n")
    keys = "timeouts.stop_s, engine.vllm.command, report"
    assert said("own defaults") == ("ok", f"{file}: {keys}", "")
    defaults("")
    assert said("own defaults") == ("ok", f"{file}: empty", "")
    defaults("recipe: x\ntimeouts: {}\n")
    do = "choose one of: engine, preflight, report, timeouts"
    assert said("own defaults") == ("problem", f"{file}:1: unknown section recipe", do)
    do = "give each engine's settings under its name: `engine: {vllm: {command: …}}`"
    for text in ("engine: [a]\n", "engine: {vllm: x}\n"):
        defaults(text)
        assert said("own defaults") == ("problem", f"{file}:1: this does not say whose settings these are", do)
    defaults("report: x\n")
    do = "it should be a mapping, `key: value` lines"
    assert said("own defaults") == ("problem", f"report ({file}:1): 'x' does not fit here", do)
    defaults("report:\n  foldr: x\ntimeouts: {stop_s: a}\n")
    told = f"timeouts.stop_s ({file}:3): 'a' does not fit here; report.foldr ({file}:2): unknown key foldr"
    do = "it should be a valid number; did you mean folder? There are: folder, formats, max_log_mib"
    assert said("own defaults") == ("problem", told, do)
    defaults("engine:\n  vlm: {command: sh}\n")
    told = f"{file}:2: there is no engine vlm that could have these settings; did you mean vllm? There are: {ENGINES}"
    assert said("own defaults") == ("warning", told, "")
    defaults("report: {folder: [a]\n")
    status, detail, do = said("own defaults")
    assert (status, do) == ("problem", "correct the line, or the one above")
    assert detail.startswith(f"{file}:")
    assert ": YAML error: " in detail


def test_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert said("environment") == ("ok", "no variables that a server would inherit", "")
