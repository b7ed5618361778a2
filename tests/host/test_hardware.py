"""Which profile a host is, how it differs from the one that was named, and which devices a run takes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recipe_runner import prepare
from recipe_runner.composition.schema import Hardware
from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError
from recipe_runner.facts import host as ask_host
from recipe_runner.host import hardware
from recipe_runner.host.hardware import Gpu, Host, described, match, mismatch, profile_facts
from recipe_runner.paths import shipped
from tests.nvml import A100, Nvml, gpu

RECORDED = Path(__file__).parents[1] / "data" / "nvml"
PROFILES = sorted(file.stem for file in shipped("conf").glob("hardware/*.yaml"))
GPU_PROFILES = [name for name in PROFILES if name not in ("cpu", "host")]


def host(*gpus: tuple[str, float], used_gib: float = 0.0) -> Host:
    made = tuple(Gpu(str(i), f"GPU-{i}", name, gib, used_gib, "8.0") for i, (name, gib) in enumerate(gpus))
    return Host(made, "580" if gpus else None, "a CPU", 4, 16.0, "Linux")


def facts() -> dict[str, dict[str, Any]]:
    return {name: profile_facts(name, Space()) for name in PROFILES}


@pytest.mark.parametrize("name", GPU_PROFILES)
def test_a_host_with_what_a_profile_says_is_that_profile(name: str) -> None:
    profile = facts()[name]
    for nvml_name in profile["nvml_names"]:
        for share in (0.981, 1.0, 1.019):
            assert match(host(*[(nvml_name, profile["memory_gib"] * share)] * profile["count"]), facts()) == name


@pytest.mark.parametrize(
    ("gpus", "name"),
    [
        ([], "cpu"),
        ([(A100, 39.39)] * 2, "a100x2"),
        ([(A100, 39.39)] * 3, "host"),
        ([(A100, 38.5)] * 2, "host"),
        ([(A100, 40.3)] * 2, "host"),
        ([(A100, 39.39), (A100, 30.0)], "host"),
        ([("NVIDIA Unheard-of", 39.39)], "host"),
    ],
)
def test_name_count_and_memory_must_match(gpus: list[tuple[str, float]], name: str) -> None:
    assert match(host(*gpus), facts()) == name


def test_mixed_gpus_are_refused_with_the_cure() -> None:
    with pytest.raises(RecipeError) as error:
        match(host((A100, 39.39), ("NVIDIA L4", 21.96)), {})
    assert str(error.value) == (
        "hardware — the visible GPUs differ: NVIDIA A100-SXM4-40GB, NVIDIA L4; "
        "choose some that are alike with CUDA_VISIBLE_DEVICES"
    )


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_complete_and_says_where_each_figure_is_from(name: str) -> None:
    profile = prepare.requested(["recipe=internvl3-tiny", f"hardware={name}"], [])[1].hardware
    assert profile.nodes == 1
    matched = ("count", "memory_gib", "nvml_names")
    composed = profile.model_dump(exclude_none=True)
    assert [facts()[name].get(key) or None for key in matched] == [composed.get(key) or None for key in matched]
    if name in GPU_PROFILES:
        assert composed.keys() == Hardware.model_fields.keys()
        assert set(profile.sources) == {"memory_gib", "compute_capability", "interconnect", "nvml_names"}
        assert name.endswith(f"x{profile.count}")
        assert (profile.interconnect == "none") is (profile.count == 1)


def test_a_profile_has_what_it_inherits(write: Callable[..., Path]) -> None:
    write("my/hardware/lab.yaml", "defaults:\n  - a100x1\n  - _self_\n  - override /engine: sim\ncount: 3\n")
    found = profile_facts("lab", Space((Path("my"),)))
    assert (found["count"], found["accelerator"], "defaults" in found) == (3, "A100-SXM4-40GB", False)


def test_a_host_is_described_by_its_smallest_gpu() -> None:
    assert described(host((A100, 39.391), (A100, 39.004))) == Hardware(
        accelerator=A100, count=2, memory_gib=39.0, compute_capability="8.0", nvml_names=[A100]
    )
    assert described(host()) == Hardware(accelerator="none", count=None)


@pytest.mark.parametrize(
    ("gpus", "told"),
    [
        ([(A100, 39.39)] * 2, None),
        ([(A100, 39.39)] * 8, None),
        ([], "the profile says 2 × A100-SXM4-40GB, this host has no NVIDIA GPU"),
        ([(A100, 39.39)], f"the profile says 2 × A100-SXM4-40GB, this host has 1 × {A100}"),
        ([("NVIDIA L4", 22.0)] * 2, "the profile says 2 × A100-SXM4-40GB, this host has 2 × NVIDIA L4"),
        (
            [("NVIDIA L4", 22.0), (A100, 39.39)],
            f"the profile says 2 × A100-SXM4-40GB, this host has 2 × {A100}, NVIDIA L4",
        ),
    ],
)
def test_how_a_host_differs_from_a_profile(gpus: list[tuple[str, float]], told: str | None) -> None:
    wanted = Hardware(accelerator="A100-SXM4-40GB", count=2, nvml_names=[A100])
    assert mismatch(wanted, host(*gpus)) == told


def test_a_profile_that_says_little_fits_any_gpu_and_a_cpu_always_fits() -> None:
    assert mismatch(Hardware(), host((A100, 39.39))) is None
    assert mismatch(Hardware(), host()) == "the profile says 1 × GPU, this host has no NVIDIA GPU"
    assert mismatch(Hardware(accelerator="cpu", count=1), host()) is None


def test_devices_in_use_are_left_alone() -> None:
    busy = Gpu("0", "GPU-0", A100, 39.39, hardware.BUSY_GIB, "8.0")
    others = [Gpu(str(i), f"GPU-{i}", A100, 39.39, hardware.BUSY_GIB - 0.1, "8.0") for i in (1, 2)]
    here = Host((busy, *others), "580", "a CPU", 4, 16.0, "Linux")
    assert hardware.idle(here) == ("1", "2")


@pytest.mark.parametrize(("visible", "ids"), [(None, ["0", "2"]), ("1,2", ["2"]), ("1", []), ("0", ["0"])])
def test_a_gpu_that_the_driver_lost_is_left_out_and_told(
    visible: str | None, ids: list[str], nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.has(gpu(), gpu(lost="GPU is lost"), gpu())
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    here = ask_host()
    assert [found.id for found in here.gpus] == ids
    told = "GPU 1 — the driver does not describe it: GPU is lost; `nvidia-smi` says more, a restart may help"
    assert [str(fault) for fault in here.lost] == [told]
    assert nvml.open == 0


def test_a_gpu_that_says_nothing_of_its_memory_is_left_out(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, version: int | None = None) -> None:
        raise nvml.NVMLError("Not Supported")

    nvml.has(gpu())
    monkeypatch.setattr(nvml, "nvmlDeviceGetMemoryInfo", refuse)
    here = ask_host()
    assert (here.gpus, [fault.what for fault in here.lost]) == ((), ["the driver does not describe it: Not Supported"])


def test_a_driver_that_is_too_old_to_say_what_it_reserves(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_version(handle: int, version: int | None = None) -> SimpleNamespace:
        if version is not None:
            raise nvml.NVMLError("Function Not Found")
        return SimpleNamespace(total=40 << 30, used=1 << 30)

    def too_old(handle: int) -> None:
        raise nvml.NVMLLibraryMismatchError

    nvml.has(gpu())
    monkeypatch.setattr(nvml, "nvmlDeviceGetMemoryInfo", first_version)
    monkeypatch.setattr(nvml, "nvmlDeviceGetComputeRunningProcesses", too_old)
    here = ask_host()
    assert [(found.memory_gib, found.used_gib, found.users) for found in here.gpus] == [(40.0, 1.0, ())]
    assert here.lost == ()


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
def test_what_nvml_said_on_a_real_host_is_its_profile(file: Path, nvml: Nvml) -> None:
    said = json.loads(file.read_text())
    gib = 1 << 30
    nvml.has(
        *(
            gpu(
                g["name"],
                (g["total"] - g["reserved"]) / gib,
                used_gib=g["used"] / gib,
                reserved_gib=g["reserved"] / gib,
            )
            for g in said["gpus"]
        )
    )
    here = ask_host()
    assert match(here, facts()) == file.stem
    if "torch" in said:
        assert here.gpus[0].memory_gib == pytest.approx(said["torch"]["gib"])
    assert here.gpus[0].memory_gib == pytest.approx(facts()[file.stem]["memory_gib"], rel=0.001)
