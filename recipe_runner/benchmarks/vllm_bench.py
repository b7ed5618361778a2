"""`vllm_bench`: `vllm bench serve` against the server, read from the JSON that it saves."""

import json
import math
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from recipe_runner.api import Bench, Benchmark, Outcome, Target, failed, skipped
from recipe_runner.process import words

METRICS: Final = (
    *("completed", "failed", "duration", "total_input_tokens", "total_output_tokens"),
    *("request_throughput", "output_throughput", "total_token_throughput"),
    *(f"{stat}_{of}_ms" for of in ("ttft", "tpot", "itl") for stat in ("mean", "median", "p99")),
)


class VllmBench(Benchmark):
    """Runs `vllm bench serve`; the fields are its flags, and what is not listed goes into `extra_args`."""

    backend: str | None = None
    endpoint: str | None = None
    dataset_name: str = "random"
    dataset_path: str | None = None
    random_input_len: int | None = Field(default=None, ge=1)
    random_output_len: int | None = Field(default=None, ge=1)
    random_prefix_len: int | None = Field(default=None, ge=0)
    random_range_ratio: float | None = Field(default=None, ge=0)
    max_concurrency: int | None = Field(default=None, ge=1)
    num_prompts: int = Field(default=1000, ge=1)
    num_warmups: int | None = Field(default=None, ge=0)
    request_rate: float | None = Field(default=None, gt=0)
    burstiness: float | None = Field(default=None, gt=0)
    seed: int | None = None
    temperature: float | None = Field(default=None, ge=0)
    ignore_eos: bool = False
    percentile_metrics: str | None = None
    metric_percentiles: str | None = None
    goodput: list[str] | None = None
    extra_args: dict[str, Any] = {}

    def argv(self, target: Target) -> tuple[str, ...]:
        given = self.model_dump(include=self.model_fields_set - {"uses", "extra_args"}, exclude_none=True)
        flags = {"dataset_name": self.dataset_name, **given, **self.extra_args}
        name = {"served_model_name": target.served_name} if target.served_name != target.model else {}
        place = {"base_url": target.base_url} if target.base_url else {"host": target.host, "port": target.port}
        everything = {**place, "model": target.model, **name, **flags}
        chosen = {key: value for key, value in everything.items() if value is not False}
        return (*(target.client or ("vllm",)), "bench", "serve", *words(chosen))

    def appended(self, name: str) -> tuple[str, ...]:
        return ("--save-result", "--result-dir", ".", "--result-filename", f"{name}.json")

    def run(self, name: str, bench: Bench) -> Outcome:
        if bench.target.client is None:
            return skipped("no vllm command here to measure with")
        argv = [*self.argv(bench.target), *self.appended(name)]
        argv[argv.index("--result-dir") + 1] = str(bench.folder)
        log = bench.folder / f"{name}.log"
        status = bench.run(argv, log)
        if status != 0:
            return failed(f"`vllm bench serve` exited with {status}; see {log.name}: {_last_line(log)!r}")
        try:
            result = json.loads((bench.folder / f"{name}.json").read_text())
        except (OSError, ValueError) as exc:
            return failed(f"`vllm bench serve` left no result: {exc}")
        if not isinstance(result, dict):
            return failed(f"`vllm bench serve` left no result: {name}.json holds no JSON object")
        return self.judge(result)

    def judge(self, result: dict[str, Any]) -> Outcome:
        """Refuse a result that measured something else than was asked for."""
        metrics = {key: result[key] for key in METRICS if _is_number(result.get(key))}
        completed = int(metrics.get("completed", 0))
        if metrics.get("failed"):
            return Outcome("failed", f"{metrics['failed']:.0f} of {self.num_prompts} requests failed", metrics)
        if completed < self.num_prompts:
            return Outcome("failed", f"only {completed} of {self.num_prompts} requests were completed", metrics)
        if not metrics.get("total_output_tokens"):
            return Outcome("failed", "no tokens were generated", metrics)
        rate, ttft = metrics.get("output_throughput", 0.0), metrics.get("median_ttft_ms", 0.0)
        return Outcome("measured", f"{completed} requests, {rate:.2f} tok/s out, median TTFT {ttft:.1f} ms", metrics)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line[:300] for line in reversed(lines) if line and "nanobind" not in line), "")
