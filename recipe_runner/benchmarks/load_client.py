"""The client of `load`: `python -m recipe_runner.benchmarks.load_client --url URL --model NAME …`."""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from recipe_runner.benchmarks.load_figures import Stream, arrays, figures
from recipe_runner.client import KEY
from recipe_runner.serialize import safe_line, to_json

CLIENT: Final = "recipe-runner load"
CONNECT_S: Final = 10.0
WORDS: Final = (  # a token each in most vocabularies
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work number night point home water room mother area money "
    "story fact month lot right study book eye job word business issue side kind head house service friend father power"
)


class Load:
    """A closed loop: so many workers, each with one request at a time; a server that is silent ends it."""

    def __init__(self, asked: argparse.Namespace, http: httpx.AsyncClient) -> None:
        self.asked, self.http = asked, http
        self.streams: list[Stream] = []
        self.errors: list[str] = []
        self.silent = False

    async def run(self, prompts: Sequence[str]) -> float:
        """Make every request; how long that took, in seconds."""
        waiting, start = iter(prompts), time.perf_counter()
        await asyncio.gather(*(self._work(waiting) for _ in range(self.asked.max_concurrency)))
        return time.perf_counter() - start

    async def _work(self, waiting: Iterator[str]) -> None:
        while not self.silent and (prompt := next(waiting, None)) is not None:
            try:
                self.streams.append(await self._ask(prompt))
                print(f"{len(self.streams)} requests completed", flush=True)
            except (httpx.HTTPError, ValueError, TypeError, AttributeError) as exc:
                silent = isinstance(exc, httpx.ReadTimeout)
                self.silent |= silent
                why = f"the server was silent for {self.asked.timeout_s:g} s" if silent else str(exc)
                self.errors.append(safe_line(f"{type(exc).__name__}: {why}", 300))
                print(f"a request failed: {self.errors[-1]}", flush=True)

    async def _ask(self, prompt: str) -> Stream:
        asked, rest = self.asked, b""
        chat = asked.endpoint == "chat"
        said = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        body = {"model": asked.model, **said, "max_tokens": asked.output_len, "stream": True}
        body |= {"stream_options": {"include_usage": True}} | ({"ignore_eos": True} if asked.ignore_eos else {})
        stream = Stream(time.perf_counter())
        async with self.http.stream("POST", "/v1/chat/completions" if chat else "/v1/completions", json=body) as answer:
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}: {(await answer.aread()).decode(errors='replace')}")
            async for read in answer.aiter_bytes():  # not aiter_lines: text that was generated may hold other line ends
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    stream.take(line, time.perf_counter() - stream.started)
        if not (stream.ended and stream.times):
            raise ValueError(f"the stream ended after {len(stream.times)} events, without its end")
        return stream


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    chance = random.Random(asked.seed)  # noqa: S311 — the same prompts each time are what is wanted
    words, count = WORDS.split(), asked.num_prompts + asked.num_warmups
    prompts = [" ".join(chance.choices(words, k=asked.input_len)) for _ in range(count)]
    key = os.environ.get(KEY)
    how: dict[str, Any] = {"timeout": httpx.Timeout(asked.timeout_s, connect=CONNECT_S, pool=None)}
    how |= {"limits": httpx.Limits(max_connections=None), "trust_env": False}
    how |= {"headers": {"Authorization": f"Bearer {key}"}} if key else {}
    async with httpx.AsyncClient(base_url=asked.url, **how) as http:
        with contextlib.suppress(httpx.HTTPError):
            await http.get("/health")  # has everything imported that the first request would wait for
        await Load(asked, http).run(prompts[asked.num_prompts :])
        load = Load(asked, http)
        seconds = await load.run(prompts[: asked.num_prompts])
    workload = {name: value for name, value in vars(asked).items() if name not in ("url", "result")}
    each = {**arrays(load.streams), "errors": load.errors} if asked.result else {}
    return {"client": CLIENT, **workload, **figures(load.streams, len(load.errors), seconds), **each}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="load_client", allow_abbrev=False)
    counts = ("input-len", "output-len", "max-concurrency", "num-prompts", "num-warmups", "seed")
    kinds = dict.fromkeys(("url", "model", "endpoint"), str) | dict.fromkeys(counts, int)
    for name, kind in {**kinds, "timeout-s": float}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--ignore-eos", action=argparse.BooleanOptionalAction)
    parser.add_argument("--result", type=Path, help="where to save it, instead of printing it")
    asked = parser.parse_args(argv)
    result = asyncio.run(measure(asked))
    if asked.result:
        asked.result.write_text(to_json(result) + "\n", encoding="utf-8")
    else:
        print(to_json(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
