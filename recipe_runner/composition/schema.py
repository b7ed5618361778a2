"""What a run may be: the folded values, checked as a whole, every fault at once."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from recipe_runner.api import Benchmark, Check, Engine, Report
from recipe_runner.composition.kinds import Gib, Versions
from recipe_runner.composition.layers import Folded
from recipe_runner.errors import choose

if TYPE_CHECKING:
    from recipe_runner.composition.compose import Composed

MOST_DEVICES: Final = 1024  # every way to share them is weighed
Flag = bool | int | float | str | list[Any] | dict[str, Any]


class Section(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Size = Annotated[int, Field(ge=0, le=1 << 60)]


class ModelFacts(Section):
    """What planning needs to know of a model, and where that was found; what is not known is left out.

    `parameters` by dtype as safetensors names them; `bytes` of all weight files; `config` as in config.json.
    """

    source: str
    revision: str | None = None
    licence: str | None = None
    gated: bool | None = None
    parameters: dict[str, Size] | None = None
    bytes: Size | None = None
    config: dict[str, Any] = {}


class Model(Section):
    """Which model: its id on the hub, or also a folder with its files; `vllm` states the versions that can serve it."""

    id: str = Field(min_length=1)
    path: str | None = None
    revision: str | None = None
    vllm: Versions | None = None
    facts: ModelFacts | None = None


class Hardware(Section):
    """What a profile says: how many accelerators, and what each is. Memory in GiB, as torch sees it."""

    accelerator: str | None = None
    count: int | None = Field(default=None, ge=1, le=MOST_DEVICES)
    nodes: Literal[1] = 1
    memory_gib: Gib | None = Field(default=None, gt=0, allow_inf_nan=False)
    compute_capability: str | None = None
    interconnect: str | None = None
    nvml_names: list[str] = []
    sources: dict[str, str] = {}


class Parallelism(Section):
    """How many GPUs share one copy of the model (tp, pp), and how many copies there are (dp)."""

    tp: int = Field(default=1, ge=1, le=MOST_DEVICES)
    dp: int = Field(default=1, ge=1, le=MOST_DEVICES)
    pp: int = Field(default=1, ge=1, le=MOST_DEVICES)

    @property
    def world(self) -> int:
        """How many devices that takes."""
        return self.tp * self.dp * self.pp


class Address(Section):
    """The flags of `vllm serve` that we read ourselves."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    host: str | None = None
    port: int = Field(default=8000, ge=0, le=65535)
    served_model_name: str | list[str] | None = None


Level = Literal["strict", "warn"]


class Preflight(Section):
    """What is refused (strict) or only said (warn) before anything starts."""

    host: Level
    memory: Level
    flags: Level
    model: Level


Seconds = Annotated[float, Field(gt=0, le=31_536_000)]  # a year: no limit is without end


class Timeouts(Section):
    """Seconds."""

    connect_s: Seconds
    first_token_s: Seconds
    request_s: Seconds
    fetch_s: Seconds
    ready_s: Seconds | Literal["auto"]
    check_s: Seconds
    benchmark_s: Seconds
    stop_s: float = Field(ge=0, le=31_536_000)
    run_s: Seconds


class Reporting(Section):
    """Where the run folders go, what is written into them, and how large a log may get."""

    folder: str = Field(min_length=1)
    formats: list[str]
    max_log_mib: int = Field(ge=1)


class Figure(Section):
    """One number that somebody reported; of all devices together, or `per` device (`gpu`).

    A gate makes it a threshold: what is measured may be worse by at most `tolerance` percent. Which way is `better`
    follows from the metric's name where it says so: throughput is better higher, times (`_ms`, `_s`) lower. What says
    something else than the name, also by its unit, is refused.
    """

    value: float
    unit: str
    per: Literal["total", "gpu"] = "total"
    tolerance: float = Field(default=5, ge=0, lt=100)
    gate: bool = False
    better: Literal["higher", "lower"] | None = None


class Expected(Section):
    """What a workload showed elsewhere, and where that is from: who says so (`kind`), where, on what, with which vLLM.

    `workload` is a benchmark of the recipe, by default the one of this name. `hardware` is a profile's name, or words;
    only on that profile its gates are gates.
    """

    source: str = Field(min_length=1)
    kind: Literal["own", "paper", "vendor", "guide"] | None = None
    workload: str | None = None
    hardware: str
    vllm: str | None = None
    date: str | None = Field(default=None, pattern=r"^\d{4}(-\d\d){0,2}$")
    note: str = ""
    metrics: dict[str, Figure]


FIELD: Final = re.compile(r"\{(\w+)(?:-(\w+))?\}")


class Rule(Section):
    """What a line of a failed server's log means: its cause, and the cure.

    In both, `{name}` is what the pattern's group of that name matched, and `{a-b}` the difference of two numbers.
    """

    pattern: str = Field(min_length=1, max_length=1000)
    cause: str = Field(min_length=1)
    cure: str = Field(min_length=1)
    vllm: Versions | None = None

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            with warnings.catch_warnings(action="error"):
                matches_nothing = re.compile(value, re.MULTILINE).search("")
        except (re.error, ArithmeticError, RecursionError, Warning) as exc:
            raise ValueError(f"it is not a regular expression: {exc}") from exc
        if matches_nothing:
            raise ValueError("it should not match an empty line")
        return value

    @field_validator("cause", "cure")
    @classmethod
    def _has_its_fields(cls, value: str, info: ValidationInfo) -> str:
        if "pattern" in info.data:
            groups = re.compile(info.data["pattern"]).groupindex
            for name in (name for field in FIELD.findall(value) for name in field if name and name not in groups):
                raise ValueError(f"the pattern has no group {name}: {choose(name, groups)}")
        return value


@dataclass(frozen=True)
class Request:
    """Everything that was asked for, checked. `spread_by` is the choice of `parallelism=`: recipe or auto.

    `choices` are all that were made, by group; `typed` are the values of the command line, None for what it takes away,
    and of a lock, if it is one that is repeated.
    """

    recipe: str
    recipe_file: Path
    choices: Mapping[str, str]
    typed: Mapping[str, Any]
    composed: "Composed" = field(repr=False)
    summary: str
    hardware_name: str
    engine_name: str
    spread_by: str
    model: Model
    hardware: Hardware
    parallelism: Parallelism
    serve: Mapping[str, Flag]
    address: Address
    env: Mapping[str, str]
    engine: Engine
    checks: Mapping[str, Check]
    benchmarks: Mapping[str, Benchmark]
    expected: Mapping[str, Expected]
    diagnosis: Mapping[str, Rule]
    preflight: Preflight
    timeouts: Timeouts
    reporting: Reporting
    reports: Mapping[str, Report]
    folded: Folded

    @property
    def served_name(self) -> str:
        """The name under which the server knows the model."""
        name = self.address.served_model_name or self.model.path or self.model.id
        return name if isinstance(name, str) else name[0]
