"""What a number depends on, beside every number: versions, packages, devices, the recipe's file, the commit."""

import platform
import subprocess
from pathlib import Path
from typing import Any

from recipe_runner import __version__
from recipe_runner.host.versions import versions
from recipe_runner.plan import Plan
from recipe_runner.plugins import packages


def describe(plan: Plan) -> dict[str, Any]:
    """The environment of a run; what is not known is null. Imports nothing of vLLM: reads what is installed."""
    host = plan.facts.host
    attached = plan.facts.attached
    found = {"vllm": attached.version} if attached else versions(plan.target.client)
    return {
        "recipe_runner": __version__,
        "vllm": "simulated" if plan.simulated else found.get("vllm"),
        "torch": found.get("torch"),
        "driver": host.driver,
        "gpus": [gpu.name for gpu in host.gpus],
        "cpu": f"{host.cpu} ({host.cores} cores)",
        "memory_gib": host.memory_gib,
        "platform": host.platform,
        "python": platform.python_version(),
        "packages": used_packages(plan),
        "recipe_sha256": plan.request.composed.sha256,
        "git_commit": _commit(plan.request.recipe_file.parent),
    }


def used_packages(plan: Plan) -> list[str]:
    """Those whose plugins and choices take part, with their versions."""
    request = plan.request
    named = {
        "engines": [request.engine],
        "checks": request.checks.values(),
        "benchmarks": request.benchmarks.values(),
        "reports": request.reports.values(),
    }
    words = {kind: [plugin.uses for plugin in plugins] for kind, plugins in named.items()}
    return packages.used(words, request.composed.files)


def _commit(folder: Path) -> str | None:
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
