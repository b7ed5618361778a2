"""`setup`: environments with real vLLM."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.host import environments, flags
from recipe_runner.host.versions import versions
from recipe_runner.serialize import json_document

SUMMARY = "build an environment with real vLLM for CPU, once; `hardware=cpu` uses it"

GPUS: Final = "for GPUs `pip install vllm` beside recipe-runner, or name another with engine.command=…"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help=f"which: {', '.join(environments.LOCKS)}")
    parser.add_argument("--list", action="store_true", help="the environments that are built")
    parser.add_argument("--remove", action="store_true", help="remove the named environment, or all without a name")


def names() -> Iterable[str]:
    return environments.LOCKS


def run(args: argparse.Namespace) -> int:
    names = environments.LOCKS
    if args.name is not None and args.name not in names:
        do = GPUS if args.name.lower() in ("gpu", "cuda", "nvidia") else choose(args.name, names)
        raise RecipeError(Fault("setup", f"there is no environment {args.name}", do))
    if args.list:
        found = [
            {"folder": str(home), "holds": (home / "finished").read_text().strip()} for home in environments.existing()
        ]
        lines = [f"{env['folder']}  {env['holds']}" for env in found]
        print(json_document({"format": 1, "environments": found}) if args.json else "\n".join(lines) or "none")
        return 0
    if args.remove:
        homes = [environments.folder(args.name)] if args.name else environments.existing()
        homes = [home for home in homes if home.is_dir()]
        for home in homes:
            shutil.rmtree(home)
        removed = [str(home) for home in homes]
        lines = [f"removed {home}" for home in removed] or ["nothing to remove"]
        print(json_document({"format": 1, "removed": removed}) if args.json else "\n".join(lines))
        return 0
    if args.name is None:
        raise RecipeError(Fault("setup", "no environment was named", choose("", names)))
    if sys.platform != "linux":
        raise RecipeError(Fault("setup", f"there is no vLLM for CPU for {sys.platform}", "use WSL2 or a Linux machine"))
    start = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {text}", file=sys.stderr)

    home = environments.build(args.name, tell)
    _learn_flags((str(home / "bin" / "vllm"),), tell)
    print(json_document({"format": 1, "folder": str(home)}) if args.json else home)
    return 0


def _learn_flags(program: tuple[str, ...], tell: Callable[[str], None]) -> None:
    """Have vLLM say once which flags it knows, so that plans can refuse those that it does not."""
    version = versions(program).get("vllm")
    if version is None or flags.options(program, version) is not None:
        return
    tell("asking it which flags it knows")
    try:
        tell(f"it knows {len(flags.learn(program, version))} flags")
    except RecipeError as exc:
        tell(str(exc))
