"""What goes wrong with the simulated server, on demand."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

MOMENTS: Final = ("dies", "hangs")
ANSWERS: Final = (
    *("error", "garbage", "empty", "truncated", "malformed_tool_call", "slow_first_token"),
    *("off_topic", "leaked_reasoning", "wavering", "flat_embeddings"),
)
STATES: Final = (
    *("never_binds", "unhealthy", "wrong_model"),
    *("ignores_sigterm", "orphan", "orphan_setsid", "fills_log"),
)
MESSAGES: Final = (
    *("out_of_memory", "kv_cache_too_small", "port_in_use", "gated_model"),
    *("unknown_flag", "unsupported_architecture", "data_dependent_branching"),
)
NAMES: Final = (*MOMENTS, *ANSWERS, *STATES, *MESSAGES)
STAGES: Final = ("start", "loading")

SLOW_S: Final = 10.0
ORPHAN_S: Final = 600.0  # nobody's child must end some day
LOG_BYTES: Final = 64 << 20
TEXTS: Final = Path(__file__).parent / "messages"


class Fault:
    """One fault, or none: what it does at each stage of the server's life, and to which requests.

    `at` is a stage or the number of a request, for what dies or hangs; `every` n-th answer is hit by the others.
    """

    def __init__(self, name: str | None = None, at: str = "loading", every: int = 1) -> None:
        self.name, self.at, self.every = name, at, every
        self.requests = 0  # that were made so far, and may have been hit
        self._lock = threading.Lock()

    def stage(self, stage: str) -> None:
        """What happens when the server comes to a stage: start, loading, binding, serving."""
        match self.name, stage:
            case ("dies", self.at):
                die()
            case ("hangs", self.at) | ("never_binds", "binding"):
                hang()
            case ("ignores_sigterm", "start"):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            case ("orphan" | "orphan_setsid", "serving"):
                orphan(own_session=self.name == "orphan_setsid")
            case ("fills_log", "serving"):
                threading.Thread(target=fill_log, daemon=True).start()
            case (str(name), "start") if name in MESSAGES:
                end_with((TEXTS / f"{name}.txt").read_text(encoding="utf-8"))

    def request(self) -> str | None:
        """What is wrong with the answer to the next request, if anything is."""
        with self._lock:
            self.requests += 1
            number = self.requests
        if self.name in MOMENTS and self.at not in STAGES and number >= int(self.at):
            die() if self.name == "dies" else hang()
        return self.name if self.name in ANSWERS and number % self.every == 0 else None


def die() -> None:
    end_with("vllm.v1.engine.exceptions.EngineDeadError: simulated: EngineCore encountered an issue.\n")


def end_with(text: str) -> None:
    """Print, and end at once, whatever else is going on."""
    sys.stdout.write(text)
    sys.stdout.flush()
    os._exit(1)


def hang() -> None:
    while True:
        time.sleep(60)


def orphan(*, own_session: bool) -> None:
    """Leave a grandchild behind that loses its parent at once, and holds what the server holds."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    if own_session:
        os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(ORPHAN_S)
    os._exit(0)


def fill_log() -> None:
    """Write as fast as it goes, up to a limit."""
    line = "(Simulated) WARNING 01-01 00:00:00 [sim_faults.py:1] simulated: there is nothing to say, again and again\n"
    lines = (line * (65536 // len(line))).encode()
    for _ in range(LOG_BYTES // len(lines)):
        os.write(1, lines)
