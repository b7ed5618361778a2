"""This machine, looked at for what a run will find: each look is one line, with the cure."""

import contextlib
import os
import platform as this
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from recipe_runner import facts
from recipe_runner.errors import RecipeError
from recipe_runner.host import leases as leased
from recipe_runner.host.hardware import DEVICES, Host
from recipe_runner.host.versions import driver_needed, too_old
from recipe_runner.model import weights
from recipe_runner.model.serving import GIB
from recipe_runner.paths import there
from recipe_runner.process import port_free
from recipe_runner.secrets import TOKENS

PORT: Final = 8000
SHM: Final = Path("/dev/shm")  # noqa: S108 — looked at, not written
LOADED: Final = Path("/proc/driver/nvidia/version")
MIN_FILES: Final = 4096
MIN_SHM_GIB: Final = 1.0  # a container has 0.06 unless told otherwise
MIN_CACHE_GIB: Final = 20.0
WEIGH_S: Final = 0.2
Status = Literal["ok", "warning", "problem"]


class Check(NamedTuple):
    """One line: what was looked at, how it is, and what to do about it."""

    name: str
    status: Status
    detail: str
    do: str = ""


def platform(here: Host) -> Check:
    detail = f"{here.platform}, Python {this.python_version()}, {here.cores} cores, {here.memory_gib:.0f} GiB"
    if sys.platform == "linux" and this.machine() == "x86_64":
        return Check("platform", "ok", detail)
    return Check("platform", "warning", detail, "run and serve need Linux on x86-64: use WSL2, or engine=attach")


def driver(here: Host) -> Check:
    if here.driver is None:
        if LOADED.exists():
            do = "see what `nvidia-smi` says; after an update of the driver, restart"
            return Check("driver", "problem", "the NVIDIA driver is loaded, and does not answer", do)
        return Check("driver", "ok", "no NVIDIA GPU here: hardware=cpu, or engine=attach")
    if too_old(here.driver, driver_needed(None)):
        do = f"install {driver_needed(None)} or later"
        return Check("driver", "problem", f"{here.driver} is too old for vLLM", do)
    return Check("driver", "ok", here.driver)


def gpus(here: Host) -> Iterator[Check]:
    for gpu in here.gpus:
        whose = f" by {gpu.whose()}" if gpu.busy or gpu.users else ""
        detail = f"{gpu.name}, {gpu.used_gib:.1f} of {gpu.memory_gib:.1f} GiB in use{whose}"
        do = f"end that, or choose others with {DEVICES}" if gpu.busy else ""
        yield Check(f"GPU {gpu.id}", "warning" if gpu.busy else "ok", detail, do)
    for fault in here.lost:
        yield Check(fault.where, "problem", fault.what, fault.do)
    if here.link:
        yield Check("GPU links", "ok", here.link)
    if here.driver is not None and not here.gpus:
        yield Check("GPUs", "problem", "none is visible", f"see {DEVICES}, and what `nvidia-smi -L` lists")


def leases() -> Check:
    try:
        found = list(leased.survey())
    except RecipeError as exc:
        return Check("leases", "problem", exc.faults[0].what, exc.faults[0].do)
    if lost := [lease for lease in found if lease.state == "outlived"]:
        detail = ", ".join(f"{lease.holder.name} outlived pid {lease.holder.pid}" for lease in lost)
        return Check("leases", "warning", detail, f"end what holds it: `fuser -v {lost[0].file}`")
    held = [str(lease.holder) for lease in found if lease.state == "held"]
    return Check("leases", "ok", "; ".join(held) or "none")


def token() -> Check:
    file = weights.hub_token()
    variable = next((name for name in TOKENS if os.environ.get(name)), None)
    if variable or there(file):
        return Check("HF token", "ok", f"present, from {variable or file}")
    return Check("HF token", "ok", "none; gated models need one: `hf auth login`, or HF_TOKEN")


def hub_cache() -> Check:
    folder = weights.hub_cache()
    size, whole = _weight(folder)
    detail = f"{folder}, {'' if whole else 'at least '}{size / GIB:.1f} GiB"
    return room("HF cache", folder, detail, MIN_CACHE_GIB, "name a larger disk with HF_HOME")


def _weight(folder: Path) -> tuple[int, bool]:
    """The bytes of what was downloaded, and whether there was time to see all of it."""
    size, deadline = 0, time.monotonic() + WEIGH_S
    for blob in folder.glob("*--*/blobs/*"):
        with contextlib.suppress(OSError):
            size += blob.stat().st_size
        if time.monotonic() > deadline:
            return size, False
    return size, True


def room(name: str, folder: Path, detail: str, least_gib: float, do: str) -> Check:
    place = next(place for place in (folder, *folder.absolute().parents) if there(place, Path.exists))
    free_gib = shutil.disk_usage(place).free / GIB
    detail = f"{detail}, {free_gib:.0f} GiB free"
    if not os.access(place, os.W_OK):
        return Check(name, "problem", f"{detail}, not writable", do)
    return Check(name, "ok" if free_gib >= least_gib else "warning", detail, do if free_gib < least_gib else "")


def port() -> Check:
    if port_free(None, PORT):
        return Check(f"port {PORT}", "ok", "free")
    return Check(f"port {PORT}", "warning", f"in use{facts.holder(PORT)}", "serve.port=0 takes a free one")


def limits() -> Iterator[Check]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < MIN_FILES
    do = "`ulimit -n 65536`" if hard < 0 or hard >= MIN_FILES else "raise it in /etc/security/limits.conf"
    yield Check(
        "open files", "warning" if few else "ok", "without limit" if soft < 0 else f"{soft} at most", do if few else ""
    )
    if SHM.is_dir():
        size_gib = shutil.disk_usage(SHM).total / GIB
        small = size_gib < MIN_SHM_GIB
        do = "several processes share it: `docker run --ipc=host`, or --shm-size=8g" if small else ""
        yield Check(str(SHM), "warning" if small else "ok", f"{size_gib:.2f} GiB", do)
