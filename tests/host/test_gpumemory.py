"""The memory of GPUs before and after a server, on drivers that tell all, some, or nothing."""

from types import SimpleNamespace
from typing import Any

import pytest

from recipe_runner.host.gpumemory import GpuMemory, by_pid, usage
from tests.nvml import Nvml, gpu

ONE, TWO = "GPU-0a7b", "GPU-1a7b"
OURS = {100, 101}


def mib(size: float) -> float:
    return size / 1024


def after(nvml: Nvml, *gpus: dict, look: dict | None = None) -> int | None:
    """What is left on the first GPU, idle before, with two processes of ours seen there meanwhile."""
    nvml.has(gpu(used_gib=0))
    memory = GpuMemory([ONE])
    nvml.has(look or gpu(used_gib=30, pids=(100, 101)))
    memory.look(OURS)
    nvml.has(*gpus)
    return memory.left_mib(OURS)


def test_all_is_back(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=0)) == 0
    assert after(nvml, gpu(used_gib=mib(150))) == 150
    assert nvml.open == 0


def test_what_a_process_of_ours_keeps_is_left(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=15, pids=(101,))) == 15 * 1024


def test_what_nobody_has_is_left_too(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=2)) == 2048


def test_what_others_took_meanwhile_is_not_ours(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=20, pids=(7,))) == 0
    assert after(nvml, gpu(used_gib=20, pids=(7, 101))) == 10 * 1024


def test_what_draws_on_the_gpu_of_a_workstation_is_not_ours(nvml: Nvml) -> None:
    """Xorg and browsers are in a list of their own."""
    nvml.has(gpu(used_gib=mib(900), drawing={7: mib(500)}))
    memory = GpuMemory([ONE])
    nvml.has(gpu(used_gib=30, pids=(100,), drawing={7: mib(500)}))
    memory.look(OURS)
    nvml.has(gpu(used_gib=mib(1300), drawing={7: mib(600), 8: mib(300)}))
    assert memory.left_mib(OURS) == 0


def test_a_process_that_computes_and_draws_counts_once(nvml: Nvml) -> None:
    nvml.has(gpu(used_gib=2, pids=(7,), drawing={7: 1}), gpu(used_gib=1, pids=(8,), drawing={8: 2}))
    assert by_pid() == {7: 2048, 8: 2048}


def test_a_driver_that_does_not_say_who_draws_says_who_computes(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise nvml.NVMLError("Not Supported")

    monkeypatch.setattr(nvml, "nvmlDeviceGetGraphicsRunningProcesses", refuse)
    nvml.has(gpu(used_gib=2, pids=(7,)))
    assert by_pid() == {7: 2048}


def test_that_another_gpu_is_lost_does_not_matter(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=0.5), gpu(lost="GPU is lost")) == 512


def test_others_that_were_there_before_or_went(nvml: Nvml) -> None:
    nvml.has(gpu(used_gib=10, pids=(7,)), gpu(used_gib=1))
    memory = GpuMemory([ONE, TWO])
    nvml.has(gpu(used_gib=30, pids=(7, 100)), gpu(used_gib=1))
    memory.look(OURS)
    nvml.has(gpu(used_gib=12, pids=(7,)), gpu(used_gib=1.5))
    assert memory.left_mib(OURS) == 512
    nvml.has(gpu(used_gib=5, pids=(100,)), gpu(used_gib=1))
    assert memory.left_mib(OURS) == 5 * 1024


def test_a_driver_that_does_not_name_our_processes_cannot_tell_whose_it_is(nvml: Nvml) -> None:
    """As in a container: another one may have come to the same GPU."""
    assert after(nvml, gpu(used_gib=20), look=gpu(used_gib=30)) is None
    assert after(nvml, gpu(used_gib=mib(150)), look=gpu(used_gib=30)) == 150


def test_of_several_gpus_the_one_with_the_most_counts(nvml: Nvml) -> None:
    """A driver may keep a little of each."""
    nvml.has(gpu(used_gib=0), gpu(used_gib=0))
    memory = GpuMemory([ONE, TWO])
    nvml.has(gpu(used_gib=mib(150)), gpu(used_gib=mib(100)))
    assert memory.left_mib(OURS) == 150


def test_other_gpus_are_not_looked_at(nvml: Nvml) -> None:
    assert after(nvml, gpu(used_gib=0), gpu(used_gib=70)) == 0


def test_without_gpus_there_is_nothing_to_know(nvml: Nvml) -> None:
    assert GpuMemory([]).left_mib(OURS) is None
    assert GpuMemory([ONE]).left_mib(OURS) is None
    assert after(nvml) is None, "the driver lost it"
    nvml.gpus = None
    assert by_pid() == {}


def test_a_driver_that_says_no_memory_of_processes(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.has(gpu(used_gib=1))
    running: list[Any] = [SimpleNamespace(pid=100, usedGpuMemory=None)]
    monkeypatch.setattr(nvml, "nvmlDeviceGetComputeRunningProcesses", lambda handle: running)
    assert usage([ONE]) == {}

    def refuse(handle: int) -> None:
        raise nvml.NVMLError("Not Supported")

    monkeypatch.setattr(nvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    assert usage([ONE]) == {}

    def too_old(handle: int) -> None:
        raise nvml.NVMLLibraryMismatchError

    monkeypatch.setattr(nvml, "nvmlDeviceGetComputeRunningProcesses", too_old)
    assert usage([ONE]) == {}
    assert nvml.open == 0


def test_a_process_on_two_gpus(nvml: Nvml) -> None:
    nvml.has(gpu(used_gib=4, pids=(100,)), gpu(used_gib=3, pids=(100,)))
    assert by_pid() == {100: 7 * 1024}
