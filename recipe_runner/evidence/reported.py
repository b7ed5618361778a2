"""What `report.json` holds, key by key: for those who read it, and for the reference.

Nothing is written through these classes; the tests hold every report that they see against them.
"""

from typing import Any, Literal

from recipe_runner.api import Verdict
from recipe_runner.composition.schema import Expected, Parallelism
from recipe_runner.evidence.planned import Memory, Origin, Part, Process
from recipe_runner.verdict import RunVerdict


class Phase(Part):
    """A part of the run's time."""

    name: str
    """`launch`, `fetch`, `ready`, `checks`, `benchmarks`, `serving` or `teardown`."""
    seconds: float
    """How long it took."""


class Environment(Part):
    """What the numbers depend on; null is what is not known."""

    recipe_runner: str
    """recipe-runner's version."""
    vllm: str | None
    """vLLM's version; `simulated` for the simulated server."""
    torch: str | None
    """torch's version."""
    driver: str | None
    """The NVIDIA driver's version."""
    gpus: list[str]
    """The names of the visible GPUs."""
    cpu: str
    """The CPU, and its cores."""
    memory_gib: float
    """RAM that may be used."""
    platform: str
    """The operating system."""
    python: str
    """Python's version."""
    packages: list[str]
    """The packages, besides recipe-runner, whose plugins or choices took part, with their versions."""
    recipe_sha256: str
    """The SHA-256 of the recipe's file."""
    git_commit: str | None
    """The commit of the repository in which the recipe lies."""


class Predicted(Part):
    """A device's memory."""

    predicted: Memory
    """As it was planned."""
    logged: dict[str, float]
    """As vLLM logged it: `weights_gib`, `kv_gib`, `kv_tokens`, as far as it did."""


class Check(Part):
    """What a check came to."""

    name: str
    """Its name in the recipe."""
    uses: str
    """The class that asked."""
    verdict: Verdict
    """The verdict."""
    detail: str
    """Why, in one line."""
    seconds: float
    """How long it took."""


class Measurement(Part):
    """One time that a benchmark was run."""

    name: str
    """The benchmark's name, with `.warmup`, `.1`, `.2` … where there are several."""
    counted: bool
    """Whether it counts; a warm-up does not."""
    seconds: float
    """How long it took."""
    seed: int | None
    """The seed of its prompts, which the server had not seen."""
    verdict: Verdict
    """What it came to by itself."""
    detail: str
    """Why, in one line."""
    metrics: dict[str, float]
    """What was measured, by name."""
    server: dict[str, float | None] | None
    """What the server counted meanwhile: `requests`, `prompt_tokens`, `generation_tokens`, `preemptions`,
    `prefix_hit_share`; null where it does not say."""
    client_cpu: float | None
    """The share of a core that the client's busiest thread took."""
    doubts: list[str]
    """Why it cannot be believed as it is."""


class FigureRow(Part):
    """An expected figure beside what was measured."""

    expected: str
    """The name under `expected` in the recipe."""
    metric: str
    """Which metric."""
    unit: str
    """Its unit."""
    per: Literal["total", "gpu"]
    """Of all devices together, or of each."""
    value: float
    """What was reported."""
    measured: float | None
    """The mean of what was measured; null where it was not."""
    tolerance_percent: float
    """How much worse it may be."""
    gate: bool
    """Whether it is a condition."""
    limit: float | None
    """The threshold; null where it is none on this hardware."""
    verdict: str | None
    """`passed`, `failed` or `inconclusive`; null without a threshold."""
    why: str
    """Why, in one line."""


class Benchmark(Check):
    """What a benchmark came to."""

    metrics: dict[str, float]
    """The means of the measurements that count."""
    fields: dict[str, Any]
    """Its fields, as in the plan."""
    argv: list[str]
    """Its command, as in the plan."""
    times: int
    """How often it was to be measured, the warm-up aside."""
    measurements: list[Measurement]
    """Each measurement, in order."""
    noise: dict[str, dict[str, float]]
    """By metric: `spread_percent`, `drift_percent`, `half_width_percent` (of the 99 % interval of the mean) and
    `smallest_difference_percent` (that would have been seen)."""
    figures: list[FigureRow]
    """The expected figures."""
    distributions: dict[str, list[float]]
    """By what was measured: percentiles 0 to 100 of every single value."""
    curve: list[dict[str, float]]
    """The loads that a search tried, each with its `load` and metrics."""


class Fault(Part):
    """Something that ended the run early, or was left behind."""

    where: str
    """Where it stands."""
    what: str
    """What is wrong."""
    do: str
    """What to do about it."""


class Diagnosis(Part):
    """What the server's log says of its end."""

    sentence: str
    """Cause and cure."""
    rule: str
    """The [rule](diagnosis.md) that matched."""
    cause: str
    """What happened."""
    cure: str
    """What to do."""
    line: str
    """The line that proves it."""


class Teardown(Part):
    """What was left when everything had been ended."""

    processes_left: int
    """Processes that could not be ended."""
    port_free: bool | None
    """Whether the port can be taken again; null for `attach`."""
    gpu_memory_left_mib: int | None
    """GPU memory that is still taken; null where it is not known."""
    files_left: int
    """Files that could not be removed: shared memory, sockets, rendezvous files."""
    files_removed: int
    """Files that the server had left, and that were removed."""


class Reported(Part):
    """`report.json`, and what `run --json` prints: what came of a run."""

    format: Literal[1]
    """The format of this document."""
    simulated: Literal[True] = True
    """Only there where the server was simulated."""
    verdict: RunVerdict
    """The verdict of the run."""
    recipe: dict[str, str]
    """`name` and `summary`."""
    hardware: str | None
    """The profile's name; null for `attach`."""
    engine: str
    """The engine's name."""
    parallelism: Parallelism
    """`tp`, `dp`, `pp`."""
    url: str
    """Where the server was."""
    choices: dict[str, str]
    """As in the plan."""
    overrides: dict[str, Any]
    """As in the plan."""
    processes: list[Process]
    """As in the plan."""
    provenance: dict[str, Origin]
    """As in the plan."""
    started: str
    """When, in UTC."""
    environment: Environment
    """What the numbers depend on."""
    memory: Predicted | None
    """A device's memory as predicted and as logged; null where nothing was launched."""
    phases: list[Phase]
    """What took how long."""
    checks: list[Check]
    """Each check."""
    benchmarks: list[Benchmark]
    """Each benchmark."""
    expected: dict[str, Expected]
    """The recipe's own `expected`."""
    errors: list[Fault]
    """Why the run ended early, and what could not be torn down."""
    diagnosis: Diagnosis | None
    """What the server's log says of its end; null where no rule matched."""
    log_excerpt: list[str]
    """The line that proves the diagnosis, or those that tell what went wrong."""
    log_tail: list[str]
    """The log's last lines, without those that say of a request that it was answered; none without a log."""
    server_log: str | None
    """Where the server's log is."""
    teardown: Teardown
    """What was left."""
    warnings: list[str]
    """As in the plan; and what could not be written."""
    folder: str
    """The run's folder."""
