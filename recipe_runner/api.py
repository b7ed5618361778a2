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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from recipe_runner.client import Answer, Client
from recipe_runner.errors import Fault
from recipe_runner.figures.best import Figure, best_of, better_of, figure, statement, usable
from recipe_runner.host.environments import program as environment
from recipe_runner.plugins.asset import Asset
from recipe_runner.plugins.outcome import Outcome, Verdict, failed, is_number, passed, skipped

__all__ = ["Benchmark", "Check", "Engine", "Plugin", "Report"]  # what plugins derive from
__all__ += ["Answer", "Asset", "Bench", "Client", "Fault", "Located", "Target"]  # what they have
__all__ += ["Outcome", "Verdict", "environment", "failed", "is_number", "passed", "skipped"]  # what they come to, use
__all__ += ["Figure", "best_of", "better_of", "figure", "statement", "usable"]  # what helps to tell figures apart


class Plugin(BaseModel):
    """A block of YAML with `uses:`; unknown fields and wrong types are refused. A text below a field is its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
    needs: ClassVar[tuple[str, ...]] = ()  # modules that come with the extra `analysis`

    uses: str


class Check(Plugin):
    """Asks the server something and judges the answer; `judges_content` says whether it needs real weights for that."""

    judges_content: ClassVar[bool] = True

    def run(self, server: Client) -> Outcome:
        """Judge; an exception is reported as `error`, and never stops the other checks."""
        raise NotImplementedError


@dataclass(frozen=True)
class Target:
    """The server as a command line has it; `base_url` is set where it was attached to, `client` where there is vLLM."""

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
    repeat: int | None = Field(default=None, ge=1, le=1000, description="How often it is measured.")

    def asked(self) -> dict[str, Any]:
        """Its fields, which say what is asked of the server, as documents keep them."""
        return self.model_dump(exclude_none=True, exclude={"uses", "repeat"})

    def unmeasured(self) -> int:
        """How many requests it makes of the server without counting them: tests and warm-ups."""
        return 0

    def shared_prefix(self) -> float | None:
        """The share of prompt tokens that its own prompts have in common by design; None where that is not known."""
        return None

    def longest(self) -> int | None:
        """How many tokens its requests take at least, prompt and answer; None where that is not known."""

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
    """What an engine found on this machine; `faults` is what would keep it from starting.

    `server` are the words before the model's name, empty if nothing is launched; `client` those before `bench`.
    """

    server: tuple[str, ...]
    client: tuple[str, ...] | None
    faults: tuple[Fault, ...] = ()


class Engine(Plugin):
    """How a server comes to be; one that launches nothing has a field `url`, at which a server runs."""

    simulated: ClassVar[bool] = False

    def locate(self) -> Located:
        """Look for what the engine needs on this machine; starts nothing."""
        raise NotImplementedError


class Report(Plugin):
    """Writes a finished run's report into its folder."""

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        """Write the document of `report.json`, which is not to be changed; returns the file."""
        raise NotImplementedError

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path | None:  # noqa: ARG002
        """Write what the points of a sweep come to together; None where this writer has nothing to say of that."""
        return None
