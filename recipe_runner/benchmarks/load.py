"""`load`: requests from our own client, for where there is no vLLM to measure with."""

import sys
from dataclasses import replace
from typing import ClassVar, Final, Literal

from pydantic import Field

from recipe_runner.api import Bench, Benchmark, Outcome, Target
from recipe_runner.benchmarks.judging import METRICS, measured
from recipe_runner.process import words

OURS: Final = "; measured by recipe-runner's own client"


class Load(Benchmark):
    """Keeps `max_concurrency` streamed requests going until `num_prompts` were made; needs no vLLM.

    A prompt is `input_len` random words, the same for the same `seed`; the server says how many tokens that was. On a
    server that has seen its prompts already, it runs with another `seed`. The metrics are those of `vllm_bench`, by the
    same definitions; the client is another, so compare like with like.
    A request that stays silent for `timeout_s` ends the benchmark.
    """

    metrics: ClassVar = METRICS

    endpoint: Literal["completions", "chat"] = "completions"
    """Which of the two is asked."""
    input_len: int = Field(default=128, ge=1)
    """Words of a prompt."""
    output_len: int = Field(default=64, ge=1)
    """Tokens that are asked for."""
    max_concurrency: int = Field(default=4, ge=1)
    """Requests that are under way at the same time."""
    num_prompts: int = Field(default=20, ge=1)
    """Requests that are counted."""
    num_warmups: int = Field(default=0, ge=0)
    """Requests before those that are counted."""
    ignore_eos: bool = True
    """Whether every answer is as long as was asked; vLLM knows this, others may not."""
    seed: int = 0
    """What the prompts follow from."""
    timeout_s: float = Field(default=600, gt=0)
    """How long a request may stay silent."""

    def unmeasured(self) -> int:
        return self.num_warmups

    def shared_prefix(self) -> float | None:
        return 0.0 if self.endpoint == "completions" else None  # a chat's template may begin with anything

    def longest(self) -> int | None:
        return self.input_len + self.output_len  # a word is a token or more

    def argv(self, target: Target) -> tuple[str, ...]:
        host = f"[{target.host}]" if ":" in target.host else target.host
        url = target.base_url or f"http://{host}:{target.port}"
        flags = words({"url": url, "model": target.served_name, **self.model_dump(exclude={"uses", "repeat"})})
        return (sys.executable, "-m", "recipe_runner.benchmarks.load_client", *flags)

    def appended(self, name: str) -> tuple[str, ...]:
        return ("--result", f"{name}.json")

    def run(self, name: str, bench: Bench) -> Outcome:
        asked = self.model_copy(update={"seed": bench.fresh_seed(self.seed)})
        argv = [*asked.argv(bench.target), "--result", str(bench.folder / f"{name}.json")]
        outcome = measured("load", argv, name, bench, self.num_prompts)
        return replace(outcome, detail=f"{outcome.detail}{OURS}")
