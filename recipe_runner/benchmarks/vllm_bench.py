"""`vllm_bench`: `vllm bench serve` against the server, read from the JSON that it saves."""

from typing import Any, ClassVar, Final, Self

from pydantic import Field, field_validator

from recipe_runner.api import Bench, Benchmark, Outcome, Target, skipped
from recipe_runner.benchmarks.judging import METRICS, measured
from recipe_runner.process import words

COMPLETIONS: Final = (None, "vllm", "openai")  # backends that send a prompt as it is
CHAT: Final = "openai-chat"
INPUT_LEN: Final = 1024  # vLLM's own defaults
OUTPUT_LEN: Final = 128


class VllmBench(Benchmark):
    """Runs `vllm bench serve`; the fields are its flags, and what is not listed goes into `extra_args`.

    On a server that has seen its prompts already, it runs with another `seed`.
    """

    metrics: ClassVar = METRICS

    backend: str | None = None
    """What kind of server and endpoint it is, as vLLM names them (`openai`, `openai-chat`, …)."""
    endpoint: str | None = None
    """The path that is asked, such as `/v1/chat/completions`."""
    dataset_name: str = "random"
    """Where the prompts are from: `random`, `sharegpt`, `hf`, …"""
    dataset_path: str | None = None
    """The data set's file, or its name on the hub."""
    random_input_len: int | None = Field(default=None, ge=1)
    """Tokens of a random prompt."""
    random_output_len: int | None = Field(default=None, ge=1)
    """Tokens that are asked for."""
    random_prefix_len: int | None = Field(default=None, ge=0)
    """Tokens that all random prompts begin with."""
    random_range_ratio: float | None = Field(default=None, ge=0)
    """By what share lengths vary, up and down; 0 is not at all."""
    max_concurrency: int | None = Field(default=None, ge=1)
    """Requests that are under way at the same time, at most."""
    num_prompts: int = Field(default=1000, ge=1)
    """Requests that are counted."""
    num_warmups: int | None = Field(default=None, ge=0)
    """Requests before those that are counted."""
    request_rate: float | None = Field(default=None, gt=0)
    """Requests per second; without it, all at once."""
    burstiness: float | None = Field(default=None, gt=0)
    """How evenly they come: 1 is a Poisson process, less has more bursts."""
    seed: int | None = None
    """What prompts and arrivals follow from."""
    temperature: float | None = Field(default=None, ge=0)
    """0 takes the likeliest token."""
    ignore_eos: bool = False
    """Whether every answer is as long as was asked."""
    percentile_metrics: str | None = None
    """The metrics that get percentiles, with commas: `ttft,tpot,itl,e2el`."""
    metric_percentiles: str | None = None
    """Which percentiles, with commas: `50,99`."""
    goodput: list[str] | None = None
    """What a request must meet to be counted as good, in ms: `ttft:200`."""
    extra_args: dict[str, Any] = {}
    """Any other flag of `vllm bench serve`, by its name."""

    @field_validator("extra_args")
    @classmethod
    def _are_no_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        own = VllmBench.model_fields.keys() - Benchmark.model_fields.keys()
        if twice := [name for key in value if (name := key.replace("-", "_")) in own]:
            raise ValueError(f"write {', '.join(twice)} beside extra_args, as a field")
        return value

    def unmeasured(self) -> int:
        """Warm-ups, and the request that tests whether the server is ready, which vLLM since 0.14 makes if told to."""
        return self._flag("num_warmups", 0) + (self._flag("ready_check_timeout_sec", 0) > 0)

    def shared_prefix(self) -> float | None:
        """Every prompt begins with the same prefix, and the first one is that of each unmeasured request, too."""
        if self.dataset_name != "random" or self.backend not in COMPLETIONS:
            return None
        prefix, extra = self._flag("random_prefix_len", 0), self.unmeasured()
        length = prefix + self._flag("input_len", self._flag("random_input_len", INPUT_LEN))
        if length < 1:  # which vLLM will refuse
            return None
        return (extra * length + (self.num_prompts - 1) * prefix) / ((extra + self.num_prompts) * length)

    def longest(self) -> int | None:
        """Random prompts with their prefix, and answers; where lengths vary, the shortest that there can be."""
        if self.dataset_name != "random" or self.backend not in (*COMPLETIONS, CHAT):
            return None
        varied = [
            self._flag("input_len", self._flag("random_input_len", INPUT_LEN)),
            self._flag("output_len", self._flag("random_output_len", OUTPUT_LEN)),
        ]
        least = 1 - min(1, self.random_range_ratio or 0)
        return self._flag("random_prefix_len", 0) + sum(int(tokens * least) for tokens in varied)

    def argv(self, target: Target) -> tuple[str, ...]:
        given = self.model_dump(include=self.model_fields_set - {"uses", "repeat", "extra_args"}, exclude_none=True)
        flags = {"dataset_name": self.dataset_name, **given, **self.extra_args}
        name = {"served_model_name": target.served_name} if target.served_name != target.model else {}
        place = {"base_url": target.base_url} if target.base_url else {"host": target.host, "port": target.port}
        everything = {**place, "model": target.model, **name, **flags}
        chosen = {key: value for key, value in everything.items() if value is not False}
        return (*(target.client or ("vllm",)), "bench", "serve", *words(chosen))

    def appended(self, name: str) -> tuple[str, ...]:
        return ("--save-result", "--save-detailed", "--result-dir", ".", "--result-filename", f"{name}.json")

    def run(self, name: str, bench: Bench) -> Outcome:
        if bench.target.client is None:
            return skipped("no vllm command here to measure with")
        argv = [*self._fresh(bench).argv(bench.target), *self.appended(name)]
        argv[argv.index("--result-dir") + 1] = str(bench.folder)
        return measured("vllm bench serve", argv, name, bench, self.num_prompts)

    def _fresh(self, bench: Bench) -> Self:
        """The same with prompts that the server has not seen; the very same, where that is so anyway."""
        seed = self.seed or 0
        fresh = bench.fresh_seed(seed)
        return self if fresh == seed else self.model_copy(update={"seed": fresh})

    def _flag(self, name: str, default: int) -> int:
        """A flag's value, wherever it was given: in a field, or among the others."""
        given = {key.replace("-", "_"): value for key, value in self.extra_args.items()}
        value = given.get(name, getattr(self, name, None))
        return value if isinstance(value, int) else default
