"""What recipe-run adds to what vLLM takes: against a careful person's shell script, in alternating pairs.

    python benchmarks/overhead.py [PAIRS]

Both do the same steps on real vLLM for CPU (recipe internvl3-tiny): serve, wait, ask, measure, stop. The script's
commands come from the plan. Prints the seconds of each pair, their ratio, and the median ratio.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RECIPE = ["recipe=internvl3-tiny", "hardware=cpu"]


def timed(command: list[str], folder: Path) -> float:
    """Run a command that must succeed; its wall-clock seconds."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return seconds


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    run = [sys.executable, "-m", "recipe_runner"]
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = subprocess.run([*run, "plan", *RECIPE, "--json"], capture_output=True, text=True, check=True).stdout
        (folder / "plan.json").write_text(plan)
        print(" ".join(json.loads(plan)["processes"][0]["argv"]))
        by_hand = ["bash", str(HERE / "by_hand.sh"), "plan.json", "."]
        timed(by_hand, folder)  # once, so that both find warm caches
        print(f"{'pair':>4} {'by hand':>9} {'recipe-run':>11} {'ratio':>7}")
        for pair in range(pairs):
            sides = {"hand": by_hand, "ours": [*run, *RECIPE]}
            order = sides if pair % 2 == 0 else dict(reversed(sides.items()))
            taken = {side: timed(command, folder) for side, command in order.items()}
            ratios.append(taken["ours"] / taken["hand"])
            print(f"{pair + 1:>4} {taken['hand']:>7.1f} s {taken['ours']:>9.1f} s {ratios[-1]:>7.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
