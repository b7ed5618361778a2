"""What a run may be: the folded values, checked as a whole, every fault at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recipe_runner.api import Benchmark, Check, Engine, Report
from recipe_runner.composition.layers import Folded

Flag = bool | int | float | str | list[Any] | dict[str, Any]


class Section(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelFacts(Section):
    """What planning needs to know of a model, and where that was found; what is not known is left out.

    `parameters` by dtype as safetensors names them; `bytes` of all weight files; `config` as in config.json.
    """

    source: str
    revision: str | None = None
    licence: str | None = None
    gated: bool | None = None
    parameters: dict[str, int] | None = None
    bytes: int | None = None
    config: dict[str, Any] = {}


class Model(Section):
    """Which model: its id on the hub, or also a folder with its files; `vllm` states the versions that can serve it."""

    id: str = Field(min_length=1)
    path: str | None = None
    revision: str | None = None
    vllm: str | None = None
    facts: ModelFacts | None = None

    @field_validator("vllm")
    @classmethod
    def _is_specifier(cls, value: str | None) -> str | None:
        try:
            SpecifierSet(value or "")
        except InvalidSpecifier as exc:
            raise ValueError("write versions as Python packages do, such as >=0.20,<0.40") from exc
        return value


class Hardware(Section):
    """What a profile says: how many accelerators, and what each is. Memory in GiB, as torch sees it."""

    accelerator: str | None = None
    count: int | None = Field(default=None, ge=1)
    nodes: Literal[1] = 1
    memory_gib: float | None = Field(default=None, gt=0)
    compute_capability: str | None = None
    interconnect: str | None = None
    nvml_names: list[str] = []
    sources: dict[str, str] = {}


class Parallelism(Section):
    """How many GPUs share one copy of the model (tp, pp), and how many copies there are (dp)."""

    tp: int = Field(default=1, ge=1)
    dp: int = Field(default=1, ge=1)
    pp: int = Field(default=1, ge=1)

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


class Timeouts(Section):
    """Seconds."""

    fetch_s: float = Field(gt=0)
    ready_s: Annotated[float, Field(gt=0)] | Literal["auto"]
    request_s: float = Field(gt=0)
    stop_s: float = Field(ge=0)
    run_s: float = Field(gt=0)


class Reporting(Section):
    """Where the run folders go, and what is written into them."""

    folder: str = Field(min_length=1)
    formats: list[str]


class Figure(Section):
    """One number that somebody reported."""

    value: float
    unit: str


class Expected(Section):
    """What a benchmark showed elsewhere. Recorded beside what is measured; it gates nothing."""

    source: str
    hardware: str
    note: str = ""
    metrics: dict[str, Figure]


@dataclass(frozen=True)
class Request:
    """Everything that was asked for, checked. `spread_by` is the choice of `parallelism=`: recipe or auto."""

    recipe: str
    recipe_file: Path
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
