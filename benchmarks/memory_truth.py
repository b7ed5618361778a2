"""What recipe-runner predicts of memory, against what vLLM logged.

    python benchmarks/memory_truth.py [FOLDER]

Reads every YAML file of tests/data/vllm_logs/: configuration, flags, hardware, and the figures of a real log.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recipe_runner.model.architecture import Architecture
from recipe_runner.model.memory import Memory
from recipe_runner.model.parallel import judged
from recipe_runner.model.serving import Device, Serving

LOGS = Path(__file__).parents[1] / "tests" / "data" / "vllm_logs"


def predicted(log: Mapping[str, Any]) -> Memory:
    """What is predicted for the run that a log is from."""
    kv = log["env"].get("VLLM_CPU_KVCACHE_SPACE")
    hardware, spread = log["hardware"], log["parallelism"]
    device = Device(hardware.get("memory_gib"), hardware["accelerator"], float(kv) if kv else None)
    architecture, serving = Architecture.of(log["config"]), Serving.of(log["serve"])
    return judged(architecture, serving, device, 1, **spread, parameter_bytes=log.get("bytes")).memory


def error(guess: float | None, truth: float | None) -> str:
    """Predicted, logged and the difference, as columns."""
    if truth is None or guess is None:
        return f"{'–':>12} {'–':>12} {'–':>8}"
    return f"{guess:>12,.10g} {truth:>12,.10g} {100 * (guess / truth - 1):>+7.2f}%"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LOGS
    columns = f"{'predicted':>12} {'logged':>12} {'error':>8}"
    print(f"{'':32} {'weights, GiB a GPU':^34}   {'KV, tokens':^34}\n{'log':32} {columns}   {columns}")
    for file in sorted(folder.glob("*.yaml")):
        log = yaml.safe_load(file.read_text(encoding="utf-8"))
        found, logged = predicted(log), log["logged"]
        weights = round(found.weights_gib_per_gpu, 3) if found.weights_gib_per_gpu else None
        told = f"  {found.verdict}" + (", as vLLM did: refused" if "refused" in logged else "")
        tokens = logged["kv_tokens"] or logged["refused"]["longest"]
        errors = error(weights, logged["weights_gib"]), error(found.kv_tokens, tokens)
        print(f"{file.stem:32} {'   '.join(errors)}{told}")


if __name__ == "__main__":
    main()
