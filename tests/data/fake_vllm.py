"""A `vllm` that misbehaves as its first words say: `fake_vllm.py [HOW …] serve MODEL …` or `… bench serve …`.

Each process that it starts adds its pid to the file `pids` in the current folder.
"""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from recipe_runner.engines import sim_server

REPLIES = (("capital of France", "The capital of France is Paris."), ("capital of Japan", "Tokyo."))
RESULT = {
    **{"completed": 5, "failed": 0, "duration": 2.0, "total_input_tokens": 40, "total_output_tokens": 20},
    **{"request_throughput": 2.5, "output_throughput": 10.0, "total_token_throughput": 30.0, "max_concurrency": None},
    **{f"{stat}_{of}_ms": 12.25 for of in ("ttft", "tpot", "itl") for stat in ("mean", "median", "std", "p99")},
    **{"date": "20260101-000000", "backend": "openai", "request_rate": "inf", "burstiness": 1.0},
}
WRONG = {"bench-failed": {"completed": 3, "failed": 2}, "bench-fewer": {"completed": 3}}
WRONG |= {"bench-zero": {"total_output_tokens": 0}, "bench-nan": {"mean_tpot_ms": float("nan"), "p99_itl_ms": True}}
GENERATES: dict[str, tuple[int, bytes]] = {
    "generates-400": (400, json.dumps({"error": {"message": "this model does not support\x1b[2J it"}}).encode()),
    "generates-garbage": (200, b"<html>"),
    "generates-nothing": (200, b'{"choices": []}'),
    "generates-no-text": (200, b'{"choices": [{}]}'),
}


def note(name: str, text: object) -> None:
    with Path(name).open("a") as file:
        file.write(f"{text}\n")


class Handler(sim_server.Handler):
    """The simulated server's, until it is told otherwise."""

    how: frozenset[str]
    generated = 0

    def do_GET(self) -> None:
        if self.path == "/health" and "unhealthy" in self.how:
            note("waited", "")
            self._answer(503, {})
        elif self.path == "/metrics":  # its benchmark asks nothing, which the counters would tell
            self._refuse(404, "no such page")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        Handler.generated += 1
        fault = next((GENERATES[word] for word in self.how if word in GENERATES), None)
        if Handler.generated == 2 and "dies-in-a-check" in self.how:
            print("RuntimeError: the engine is dead", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if Handler.generated == 2 and "slow-check" in self.how:
            note("in-check", "")
            time.sleep(60)
        if fault:
            self.send_response(fault[0])
            self.send_header("Content-Length", str(len(fault[1])))
            self.end_headers()
            self.wfile.write(fault[1])
        else:
            super().do_POST()


def orphan(how: set[str]) -> None:
    """A grandchild that loses its parent at once."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    if "orphan-setsid" in how:
        os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("pids", os.getpid())
    time.sleep(120)
    os._exit(0)


def serve(how: set[str], words: list[str]) -> int:
    port = int(words[words.index("--port") + 1])
    model = words[words.index("--served-model-name") + 1] if "--served-model-name" in words else words[0]
    if "ignores-sigterm" in how:
        signal.signal(signal.SIGTERM, lambda *_: note("terminated", "ignored"))
    if "ends" in how:
        print("INFO loading\n\x1b[31mValueError: no such architecture\x1b[0m\nINFO bye", flush=True)
        return 7
    if "deaf" in how:
        print("INFO loading weights", flush=True)
        note("waited", "")
        while True:
            time.sleep(60)
    Handler.how = frozenset(how)
    with sim_server.Server(("127.0.0.1", port), model, REPLIES) as server:
        server.RequestHandlerClass = Handler
        server.socket.set_inheritable(True)
        if how & {"orphan", "orphan-setsid"}:
            orphan(how)
        print("INFO ready", flush=True)
        server.serve_forever(poll_interval=0.05)
    return 0


def bench(how: set[str], words: list[str]) -> int:
    given = dict(itertools.pairwise(words))
    print("INFO measuring", flush=True)
    if "bench-exit" in how:
        sys.stdout.buffer.write(b"Traceback:\n  \xff\nValueError: no tokenizer\nnanobind: leaked 3 instances!\n")
        return 5
    if "bench-stubborn" in how:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how & {"bench-hangs", "bench-stubborn"}:
        note("in-bench", "")
        time.sleep(120)
    if "bench-kills-server" in how:
        os.kill(int(Path("pids").read_text().split()[0]), signal.SIGKILL)
        time.sleep(120)
    result: Any = RESULT
    for word in how & WRONG.keys():
        result = RESULT | WRONG[word]
    texts = {"bench-broken": "{", "bench-list": "[]"}
    if "bench-nothing" not in how:
        text = next((texts[word] for word in how if word in texts), json.dumps(result))
        Path(given["--result-dir"], given["--result-filename"]).write_text(text)
    return 0


if __name__ == "__main__":
    at = next(place for place, word in enumerate(sys.argv) if word in ("serve", "bench"))
    note("pids", os.getpid())
    manner, rest = set(sys.argv[1:at]), sys.argv[at + 1 :]
    sys.exit(serve(manner, rest) if sys.argv[at] == "serve" else bench(manner, rest[1:]))
