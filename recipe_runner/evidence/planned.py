"""What `plan.json` holds, key by key: for those who read it, and for the reference.

Nothing is written through these classes; the tests hold every plan that they see against them.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from recipe_runner.composition.schema import Parallelism


class Part(BaseModel):
    """A part of a document; there is no key besides those named."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Process(Part):
    """A process as it is launched."""

    role: str
    """What it is: `server`."""
    argv: list[str]
    """The words of its command."""
    env: dict[str, str]
    """What is added to its environment; secrets are masked."""


class Origin(Part):
    """Where the value of a flag or a variable came from."""

    value: Any
    """The value."""
    layer: str
    """The layer that had the last word: `engine`, `recipe`, `profile`, `command line`, `environment` …"""
    source: str
    """The file and the line, or the words."""


class Memory(Part):
    """What a device is predicted to hold; what is not known is null."""

    weights_gib_per_gpu: float | None
    """Weights, in GiB."""
    kv_bytes_per_token_per_gpu: int | None
    """KV cache of one token, in bytes."""
    kv_gib_per_gpu: float | None
    """What is left for the KV cache, in GiB."""
    kv_tokens: int | None
    """How many tokens of requests of full length fit into that."""
    verdict: Literal["fits", "does_not_fit", "unknown"]
    """Whether weights and one request of full length fit."""
    assumptions: list[str]
    """What the numbers rest on, a sentence each."""


class Alternative(Part):
    """Another way to spread the model over these devices."""

    tp: int
    """GPUs that share one copy."""
    dp: int
    """Copies."""
    pp: int
    """Stages of a copy."""
    kv_tokens: int | None
    """Tokens of KV cache that one copy has room for."""
    verdict: Literal["fits", "does_not_fit", "unknown", "illegal"]
    """Whether it fits; `illegal` where vLLM would refuse it."""
    why_not: str | None
    """What speaks against it."""


class PlannedBenchmark(Part):
    """A benchmark as it will be run."""

    name: str
    """Its name in the recipe."""
    uses: str
    """The class that measures."""
    times: int
    """How often it is measured, a warm-up aside."""
    fields: dict[str, Any]
    """Its fields, defaults too."""
    argv: list[str]
    """The command that a person could type instead; empty where there is none."""
    appended: list[str]
    """What is added to that to keep the result."""


class Planned(Part):
    """`plan.json`, and what `plan --json` prints: what a run is going to do."""

    format: Literal[1]
    """The format of this document."""
    simulated: Literal[True] = True
    """Only there where the server is simulated."""
    recipe: dict[str, Any]
    """`name`, `file`, `sha256`, `summary`, `model`."""
    choices: dict[str, str]
    """What was chosen, by group."""
    overrides: dict[str, Any]
    """What was typed, by dotted key; null for what it takes away."""
    engine: str
    """The engine's name."""
    hardware: dict[str, Any] | None
    """The profile's name and facts; null for `attach`."""
    parallelism: Parallelism
    """`tp`, `dp`, `pp`."""
    memory: Memory | None
    """What each device would hold; null for `attach`."""
    alternatives: list[Alternative]
    """The other ways to spread the model that were weighed."""
    url: str
    """Where the server will be."""
    processes: list[Process]
    """What would be started; empty for `attach`."""
    checks: list[dict[str, Any]]
    """`name`, `uses` and the fields of each check."""
    benchmarks: list[PlannedBenchmark]
    """Each benchmark."""
    timeouts: dict[str, float]
    """The limits, with `ready_s` as a number."""
    provenance: dict[str, Origin]
    """Where each flag and variable came from."""
    warnings: list[str]
    """What a person should know, a sentence each."""
