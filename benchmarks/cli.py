"""How fast the command line answers: best and median of N runs of each verb, beside `python -c pass`.

python benchmarks/cli.py [N]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "recipe-run --help": ["-m", "recipe_runner", "--help"],
    "recipe-run --version": ["-m", "recipe_runner", "--version"],
    "recipe-run list": ["-m", "recipe_runner", "list"],
    "recipe-run plan": ["-m", "recipe_runner", "plan", "recipe=internvl3", "hardware=a100x2"],
    "a typo": ["-m", "recipe_runner", "recipe=internvl4", "hardware=a100x2"],
}


def seconds(words: list[str], folder: str) -> float:
    """The wall-clock time of one command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=False, cwd=folder)
    return time.perf_counter() - start


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {times} runs each, seconds")
    print(f"{'command':<22} {'best':>7} {'median':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, words in COMMANDS.items():
            seconds(words, folder)  # once to write bytecode and fill caches
            taken = [seconds(words, folder) for _ in range(times)]
            print(f"{name:<22} {min(taken):7.3f} {statistics.median(taken):7.3f}")
    site = Path(sys.prefix)
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{site}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
