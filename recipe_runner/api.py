"""What a plugin is: one small pydantic class whose fields are its YAML schema.

    class Contains(Check):
        \"\"\"The answer to a prompt contains a word.\"\"\"

        prompt: str
        word: str

        def run(self, server):
            answer = server.complete(self.prompt)
            return passed(answer.text) if self.word in answer.text else failed(f"no {self.word} in {answer.text!r}")

A recipe names it by its entry point (`uses: contains`) or by its place (`uses: my_checks:Contains`).
Fields are checked when the recipe is read, so `run` never sees a wrong one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from recipe_runner.client import Answer as Answer
from recipe_runner.client import Client as Client
from recipe_runner.errors import Fault as Fault
from recipe_runner.figures.best import Figure as Figure
from recipe_runner.figures.best import best_of as best_of
from recipe_runner.figures.best import better_of as better_of
from recipe_runner.figures.best import figure as figure
from recipe_runner.figures.best import statement as statement
from recipe_runner.host import environments

environment: Final = environments.program
Verdict = Literal["passed", "failed", "inconclusive", "measured", "skipped", "error"]


@dataclass(frozen=True)
class Outcome:
    """What a check or a benchmark came to: a verdict, one line that says why, and metrics by name.

    A benchmark may add `samples`, every single value by what was measured (`ttft_ms`), for distributions; `curve`,
    metrics at several loads, each point with its `load`; and `spans`, of each part when its first request began and its
    last one ended, by `time.perf_counter` of this machine.

    Raises:
        TypeError: it is something else, which no report could tell.

    """

    verdict: Verdict
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()
    spans: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise TypeError(f"the verdict is {self.verdict!r}, not one of {', '.join(get_args(Verdict))}")
        if not isinstance(self.detail, str):
            raise TypeError(f"the detail is {self.detail!r}, not a text")
        for metrics in (self.metrics, *self.curve):
            if not isinstance(metrics, Mapping):
                raise TypeError(f"the metrics are {metrics!r}, not numbers by name")
            for name, value in metrics.items():
                if not (isinstance(name, str) and is_number(value)):
                    raise TypeError(f"the metric {name!r} is {value!r}, not a finite number by a name")
        if not all("load" in point for point in self.curve):
            raise TypeError("a point of the curve does not say its `load`")
        for name, values in self.samples.items():
            if not all(map(is_number, values)):
                raise TypeError(f"the samples of {name} are not all finite numbers")


def is_number(value: Any) -> bool:
    """Whether a metric may have this value: what is true or false, not finite, or a text is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def passed(detail: str = "") -> Outcome:
    return Outcome("passed", detail)


def failed(detail: str) -> Outcome:
    return Outcome("failed", detail)


def skipped(detail: str) -> Outcome:
    return Outcome("skipped", detail)


class Plugin(BaseModel):
    """A block of YAML with `uses:`; unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    needs: ClassVar[tuple[str, ...]] = ()  # modules that come with the extra `analysis`

    uses: str


def _asset(value: str, info: ValidationInfo) -> str:
    folder, inside = info.context(info.field_name) if info.context else (Path(), False)
    try:
        path = (folder / value).resolve()
        there = path.is_file()
    except (OSError, RuntimeError) as exc:  # a name that is too long, links in a circle
        raise ValueError("there cannot be such a file; a path is relative to the file that it stands in") from exc
    if inside and not path.is_relative_to(folder.resolve()):
        raise ValueError("the file must be in the recipe's folder; a recipe brings its own files")
    if not there:
        raise ValueError("there is no such file; a path is relative to the file that it stands in")
    return str(path)


Asset = Annotated[str, AfterValidator(_asset)]
"""A file that a recipe brings along; relative to the file in which it is written."""


class Check(Plugin):
    """Asks the server something and judges the answer.

    One that judges what the model says is skipped where the weights are not real; `judges_content` says if it does.
    """

    judges_content: ClassVar[bool] = True

    def run(self, server: Client) -> Outcome:
        """Judge; an exception is reported as `error`, and never stops the other checks."""
        raise NotImplementedError


@dataclass(frozen=True)
class Target:
    """The server as a benchmark's command line needs it; `base_url` is set where it was attached to.

    `client` is how vLLM's own commands begin on this machine, or None where there is no vLLM.
    """

    host: str
    port: int
    base_url: str | None
    model: str
    served_name: str
    client: tuple[str, ...] | None


@dataclass(frozen=True)
class Bench:
    """What a running benchmark has: the target, a folder for its files, and a way to run a command.

    `run(argv, log)` returns the exit status; it ends the command when the server dies or the run is interrupted.
    `last_line(log)` is what the command said last, fit to be shown: without secrets. `fresh_seed(seed)` is one whose
    prompts this server has not seen yet: the given one first, others later.
    """

    target: Target
    server: Client
    folder: Path
    run: Callable[[Sequence[str], Path], int]
    last_line: Callable[[Path], str]
    fresh_seed: Callable[[int], int]


class Benchmark(Plugin):
    """Measures the server; `repeat` times, or as often as its verdict takes."""

    metrics: ClassVar[tuple[str, ...]] = ()  # the names of those that it gives, where they are known beforehand

    repeat: int | None = Field(default=None, ge=1, le=1000)

    def asked(self) -> dict[str, Any]:
        """Its fields, which say what is asked of the server, as documents keep them."""
        return self.model_dump(exclude_none=True, exclude={"uses", "repeat"})

    def unmeasured(self) -> int:
        """How many requests it makes of the server without counting them: tests and warm-ups."""
        return 0

    def shared_prefix(self) -> float | None:
        """The share of prompt tokens that its own prompts have in common by design; None where that is not known."""
        return None

    def argv(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 — for those that override it
        """The command line that a person could type instead; empty where there is none."""
        return ()

    def appended(self, name: str) -> tuple[str, ...]:  # noqa: ARG002
        """What the runner adds to `argv` to keep the result."""
        return ()

    def run(self, name: str, bench: Bench) -> Outcome:
        """Measure; without a threshold the verdict is `measured`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Located:
    """What an engine found on this machine.

    `server` are the words before the model's name, empty if nothing is launched; `client` those before `bench`;
    `faults` is what would keep it from starting.
    """

    server: tuple[str, ...]
    client: tuple[str, ...] | None
    faults: tuple[Fault, ...] = ()


class Engine(Plugin):
    """How a server comes to be."""

    simulated: ClassVar[bool] = False

    def locate(self) -> Located:
        """Look for what the engine needs on this machine; starts nothing."""
        raise NotImplementedError


class Report(Plugin):
    """Writes a finished run's report into its folder."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        raise NotImplementedError

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path | None:  # noqa: ARG002
        """Write what the points of a sweep come to together; None where this writer has nothing to say of that."""
        return None
