"""The simulated server's log: vLLM's lines, each of which says that it is simulated."""

import os
import time
from collections.abc import Callable

from recipe_runner.engines.sim_metrics import KV_TOKENS


def say(text: str, place: str) -> None:
    """A line as vLLM's logger writes it."""
    print(f"(Simulated pid={os.getpid()}) INFO {time.strftime('%m-%d %H:%M:%S')} [{place}] {text}", flush=True)


def plain(text: str) -> None:
    """A line as uvicorn writes it."""
    print(f"(Simulated pid={os.getpid()}) INFO:     {text}", flush=True)


def loading(model: str, load_s: float, halfway: Callable[[], None]) -> None:
    """Take the time that loading takes; the size of the KV cache is not worded as vLLM's, which reports would read."""
    say(f"Starting to load model {model}...", "gpu_model_runner.py:1")
    time.sleep(load_s / 2)
    halfway()
    time.sleep(load_s / 2)
    say(f"Loading weights took {load_s:.2f} seconds", "default_loader.py:1")
    say(f"GPU KV cache size (simulated): {KV_TOKENS:,} tokens", "kv_cache_utils.py:1")
    say(f"init engine (profile, create kv cache, warmup model) took {load_s:.2f} s", "core.py:1")


def serving(host: str, port: int) -> None:
    """What is said once it listens."""
    say(f"Starting vLLM server on http://{host}:{port}", "entry.py:1")
    plain(f"Started server process [{os.getpid()}]")
    plain("Waiting for application startup.")
    plain("Application startup complete.")


def access(client: str, request: str) -> None:
    plain(f"{client} - {request}")
