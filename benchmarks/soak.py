"""Many runs in a row in one process: does anything grow?

    python benchmarks/soak.py [RUNS] [--real]

200 runs against the simulated server, or with --real 10 on real vLLM for CPU. Prints, as the runs go on, what this
process has open and what the machine holds; exits with 1 if there is more of anything after the last run than after
the first. Nothing else may run meanwhile.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from recipe_runner.cli import main as recipe_run

SIM = ("recipe=internvl3", "hardware=a100x2", "engine=sim", "benchmark=load", "benchmark.load.num_prompts=4")
REAL = ("recipe=internvl3-tiny", "hardware=cpu", "benchmark.small.num_prompts=4")


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd().startswith(str(folder))
    except psutil.Error:
        return False


def held(folder: Path) -> dict[str, int]:
    """What is open here, and what is on the machine because of us."""
    me = psutil.Process()
    ours = [process for process in psutil.process_iter() if works_in(process, folder)]
    listening = [at for process in ours for at in process.net_connections() if at.status == psutil.CONN_LISTEN]
    state = [file for file in (folder / "state").rglob("*") if file.is_file()]
    return {
        "processes": len(ours),
        "threads": threading.active_count(),
        "descriptors": me.num_fds(),
        "ports": len(listening),
        "temporary files": len(list((folder / "tmp").iterdir())),
        "shared memory": len(list(Path("/dev/shm").iterdir())),
        "traces": len(state),
        "leases": len(list(Path("/tmp/recipe-runner-leases").glob("*"))),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=int, help="how many; 200, or 10 with --real")
    parser.add_argument("--real", action="store_true", help="on real vLLM: `recipe-run setup cpu` first")
    args = parser.parse_args()
    words, runs = (REAL, args.runs or 10) if args.real else (SIM, args.runs or 200)
    with tempfile.TemporaryDirectory(prefix="soak-") as name, contextlib.chdir(name):
        folder = Path(name)
        (folder / "tmp").mkdir()
        os.environ.update(XDG_STATE_HOME=f"{name}/state", TMPDIR=f"{name}/tmp")
        start = time.monotonic()
        for number in range(1, runs + 1):
            told = io.StringIO()
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                code = recipe_run([*words, "serve.port=0"])
            if code:
                sys.exit(f"run {number} exited with {code}:\n{told.getvalue()}")
            now = held(folder)
            if number == 1:
                first = now
                print(f"{'run':>5} {'MiB':>6}  {'  '.join(now)}")
            if number == 1 or number % max(1, runs // 10) == 0:
                mib = psutil.Process().memory_info().rss / 2**20
                row = "  ".join(f"{value:>{len(key)}}" for key, value in now.items())
                print(f"{number:>5} {mib:>6.0f}  {row}", flush=True)
        print(f"{runs} runs in {time.monotonic() - start:.0f} s")
    more = {key: f"{first[key]} → {now[key]}" for key in now if now[key] > first[key]}
    print(f"more than after the first: {more or 'nothing'}")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
