"""Whether what would be measured now can be compared with what was: the same versions, devices, files and commands."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from recipe_runner.figures.commands import COMMAND, flags, served
from recipe_runner.host.environment import describe, used_packages
from recipe_runner.host.hardware import DEVICES
from recipe_runner.plan import Plan
from recipe_runner.serialize import one_line, to_json

SAME: Final = {
    **{"vllm": "vLLM", "torch": "torch", "driver": "the driver", "gpus": "the GPUs", "cpu": "the CPU"},
    "packages": "the packages in use",
}


def differences(runs: Iterable[tuple[Plan, Path, Mapping[str, Any]]]) -> dict[str, str]:
    """What would be otherwise, if these were run again as planned now, each once; and where it was as it was.

    A run that has ended is its plan now, the folder that it was in, and its report.
    """
    found: dict[str, str] = {}
    environments: dict[Any, dict[str, Any]] = {}
    for plan, folder, report in runs:
        key = plan.target.client, plan.request.recipe_file, plan.simulated
        if key not in environments:
            environments[key] = describe(plan)
        now = environments[key] | {"packages": used_packages(plan)}
        for what in (*_of_environment(report["environment"], now, plan), *_of_plan(folder, plan)):
            found.setdefault(what, str(folder))
    return found


def _of_environment(before: Mapping[str, Any], now: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    for key, name in SAME.items():
        if (was := before.get(key, [] if key == "packages" else None)) != now[key]:  # older reports name no packages
            yield f"{name} was {_told(was)}, and is {_told(now[key])} now"
    if before.get("recipe_sha256") != now["recipe_sha256"]:
        yield f"{plan.request.recipe_file.name} has changed since"


def _of_plan(folder: Path, plan: Plan) -> Iterator[str]:
    try:
        was = list(_done(json.loads((folder / "plan.json").read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, KeyError):
        yield "its plan.json cannot be read"
        return
    will = list(_done(json.loads(to_json(plan.as_dict()))))
    gone, come = ([part[1] for part in one if part not in other] for one, other in ((was, will), (will, was)))
    if gone or come:
        yield f"it ran with {_told(gone)}, and would run with {_told(come)} now"


def _done(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a plan would do, each with whose it is: hardware, environment, checks, commands by flag, benchmarks."""
    yield "hardware", f"hardware={plan['hardware'] and plan['hardware']['name']}"
    for name, one in plan["provenance"].items():
        if one["layer"] == "environment" and name != DEVICES:
            yield "environment", f"{name}={one['value']}"
    model = served(plan["recipe"]["model"], ())
    for process in plan["processes"]:
        yield from ((process["role"], flag) for flag in _flags(process["argv"], model, plan["url"].rpartition(":")[2]))
        yield from ((process["role"], f"{name}={value}") for name, value in process["env"].items() if name != DEVICES)
    for check in plan["checks"]:
        yield "check", to_json(check)
    for benchmark in plan["benchmarks"]:
        asked = {"uses": benchmark["uses"], "times": benchmark["times"], **benchmark["fields"]}
        yield from (("benchmark", f"{benchmark['name']}.{key}={_plain(value)}") for key, value in asked.items())


def _flags(argv: Iterable[str], model: str, port: str) -> Iterator[str]:
    """Each flag of a command with its values; with any port, as it may be a free one."""
    words = ("PORT" if word == port else word.replace(f":{port}", ":PORT") for word in argv)
    for flag, values in flags(words, model).items():
        yield shlex.join(values if flag == COMMAND else [flag, *values])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)


def _told(value: Any) -> str:
    words = value if isinstance(value, list) else ["unknown" if value is None else str(value)]
    return one_line(", ".join(words) or "nothing")
