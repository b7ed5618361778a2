"""How fast the command line answers, and refuses: best and median of N runs, beside `python -c pass`.

A refusal must exit with 2. `recipe-run setup cpu` comes before: its vLLM is the one that is here, and the flag is one
that it does not know. The silent hub accepts and never answers.

python benchmarks/cli.py [N]
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = ("recipe=internvl3", "hardware=a100x2", "--json")
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "recipe-run --help": ["-m", "recipe_runner", "--help"],
    "recipe-run --version": ["-m", "recipe_runner", "--version"],
    "recipe-run list": ["-m", "recipe_runner", "list"],
    "recipe-run plan": ["-m", "recipe_runner", "plan", "recipe=internvl3", "hardware=a100x2"],
    "plan 1,000 points": ["-m", "recipe_runner", "plan", "-m", *SWEEP, "benchmark.guide.max_concurrency=range(1,1001)"],
    "1,000 points, vLLM here": [
        *("-m", "recipe_runner", "plan", "-m", "recipe=internvl3-tiny", "hardware=cpu", "--json"),
        "benchmark.small.max_concurrency=range(1,1001)",
    ],
    "plan 2 × 500 points": [
        *("-m", "recipe_runner", "plan", "-m", *SWEEP, "benchmark.guide.max_concurrency=range(1,501)"),
        "parallelism.tp=1,2",
    ],
}
REFUSALS = {
    "a typo": ["recipe=internvl4", "hardware=a100x2"],
    "an illegal TP": ["plan", "recipe=internvl3", "hardware=a100x8", "parallelism.tp=3"],
    "too few devices": ["plan", "recipe=internvl3", "hardware=a100x2", "parallelism.tp=4"],
    "does not fit": ["plan", "recipe=qwen3-8b", "hardware=l4x1"],
    "another host": ["recipe=internvl3-tiny", "hardware=a100x2"],
    "an unknown flag": ["recipe=internvl3-tiny", "hardware=cpu", "serve.enforce_eagre=true"],
    "a busy port": ["recipe=internvl3-tiny", "hardware=cpu", "serve.port=PORT"],
    "vLLM too old": ["recipe=internvl3-tiny", "hardware=cpu", "model.vllm='>=99'"],
    "a secret": ["plan", "recipe=internvl3", "hardware=a100x2", "serve.api_key=abc"],
    "a silent hub": ["recipe=qwen3-8b", "hardware=cpu", "~model.facts"],
}


def seconds(words: list[str], folder: str, code: int = 0) -> float:
    """The wall-clock time of one command that ends with `code`."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=folder)
    taken = time.perf_counter() - start
    if done.returncode != code:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
    return taken


def measure(commands: dict[str, list[str]], times: int, code: int = 0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands.items():
            seconds(words, folder, code)  # once to write bytecode and fill caches
            taken = [seconds(words, folder, code) for _ in range(times)]
            print(f"{name:<24} {min(taken):7.3f} {statistics.median(taken):7.3f}")


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {times} runs each, seconds")
    print(f"{'command':<24} {'best':>7} {'median':>7}")
    measure(COMMANDS, times)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        os.environ.update(HF_ENDPOINT=f"http://127.0.0.1:{port}", HF_HUB_OFFLINE="0")
        prefix = ["-m", "recipe_runner"]
        words = {name: [word.replace("PORT", str(port)) for word in given] for name, given in REFUSALS.items()}
        measure({name: [*prefix, *given] for name, given in words.items()}, times, code=2)
    site = Path(sys.prefix)
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{site}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
