"""What a file of evidence holds."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from recipe_runner.composition.schema import Expected, Parallelism
from recipe_runner.evidence.planned import Part, Process
from recipe_runner.evidence.reported import Check, FigureRow, Phase

NAME: Final = r"^\w[\w.-]*$"  # of what is part of a file's name
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=NAME)]
Metrics = dict[str, float]


class Recipe(Part):
    """Which recipe; `inherits` are those it inherits from, with their SHA-256."""

    name: str
    """Its name."""
    sha256: Sha256
    """The SHA-256 of its file."""
    inherits: dict[str, Sha256]
    """The SHA-256 of each recipe that it inherits from."""


class Model(Part):
    """Which model, and where its files were if they are no hub's."""

    id: str
    """Its name on the hub."""
    path: str | None = None
    """The folder with its files."""
    revision: str | None = None
    """Its commit."""


class Run(Part):
    """Which run: its folder's name; of a sweep, the sweep's and the number of the point."""

    id: Name
    """The name of its folder, or of the sweep's."""
    point: int | None = None
    """The number of the point."""


class Measured(Part):
    """A measurement that counts."""

    name: str
    counted: Literal[True]
    seconds: float
    seed: int | None
    verdict: Literal["passed", "failed", "inconclusive", "measured"]
    detail: str
    metrics: Metrics
    server: dict[str, float | None] | None
    client_cpu: float | None
    doubts: list[str]


class Benchmarked(Check):
    """What a benchmark came to, each measurement that counts, and how they were judged."""

    metrics: Metrics
    fields: dict[str, Any]
    argv: list[str]
    times: int | None = None  # evidence of before has none
    measurements: list[Measured]
    noise: dict[str, Metrics]
    figures: list[FigureRow]


class Inherited(Part):
    """A variable that the server had from whoever started the run."""

    value: Any
    layer: Literal["environment"]
    source: str


class Teardown(Part):
    """What the teardown left: nothing, or it is no evidence."""

    processes_left: Literal[0]
    port_free: Literal[True] | None
    gpu_memory_left_mib: int | None
    files_left: Literal[0]
    files_removed: int


class Log(Part):
    """The server's log, which is kept elsewhere."""

    sha256: Sha256
    """Its SHA-256."""
    bytes: int
    """Its size."""


class Document(Part):
    """Evidence: that this command ran there, and what came of it."""

    format: Literal[1]
    """The format of this document."""
    kind: Literal["evidence"]
    """What it is."""
    digest: str
    """The SHA-256 of everything else in it."""
    note: str
    """What was given with `--note`."""
    verdict: Literal["passed", "failed", "inconclusive"]
    """The verdict of the run."""
    exit_code: int
    """The exit code of the run."""
    recipe: Recipe
    """Which recipe."""
    model: Model
    """Which model."""
    hardware: Name
    """The profile's name."""
    engine: str
    parallelism: Parallelism
    run: Run
    """Which run."""
    started: str
    choices: dict[str, str]
    overrides: dict[str, Any]
    as_typed: list[str]
    """What was typed or chosen that the recipe does not say; empty where it is a run of the recipe as it is."""
    processes: list[Process] = Field(min_length=1)
    provenance: dict[str, Inherited]
    """The variables that the server had from whoever started the run."""
    environment: dict[str, Any]
    memory: dict[str, Any] | None
    phases: list[Phase]
    checks: list[Check]
    benchmarks: list[Benchmarked]
    expected: dict[str, Expected]
    teardown: Teardown
    server_log: Log
    """The server's log."""
    warnings: list[str]

    @property
    def file_name(self) -> str:
        """What its file is called."""
        point = "" if self.run.point is None else f"-{self.run.point:03}"
        return f"{self.hardware}-{self.run.id}{point}.json"
