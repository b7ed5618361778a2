"""`vllm_bench`: `vllm bench serve` against the server, read from the JSON that it saves."""

from typing import Any

from pydantic import Field

from recipe_runner.api import Bench, Benchmark, Outcome, Target, skipped
from recipe_runner.benchmarks.judging import measured
from recipe_runner.process import words


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
        return measured("vllm bench serve", argv, name, bench, self.num_prompts)
