"""What a run may be: the folded values, checked as a whole, every fault at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recipe_runner import registry
from recipe_runner.api import Benchmark, Check, Engine, Plugin, Report
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.layers import TYPED, Folded

ELSEWHERE: Final = {  # flags of vLLM that have a place of their own
    "tensor_parallel_size": "parallelism.tp",
    "data_parallel_size": "parallelism.dp",
    "pipeline_parallel_size": "parallelism.pp",
    "model": "model.id",
    "revision": "model.revision",
}
Flag = bool | int | float | str | list[Any] | dict[str, Any]
T = TypeVar("T", bound=BaseModel)


class Section(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(Section):
    """Which model: its id on the hub, or also a folder with its files; `vllm` states the versions that can serve it."""

    id: str = Field(min_length=1)
    path: str | None = None
    revision: str | None = None
    vllm: str | None = None


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


class Preflight(Section):
    """What is refused (strict) or only said (warn) before anything starts."""

    host: Literal["strict", "warn"]


class Timeouts(Section):
    """Seconds."""

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
    """Everything that was asked for, checked."""

    recipe: str
    recipe_file: Path
    summary: str
    hardware_name: str
    engine_name: str
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


def request(folded: Folded, choices: Mapping[str, str], recipe_file: Path) -> Request:
    """Check the folded values.

    Raises:
        RecipeError: with every fault there is.

    """
    reader = _Reader(folded)
    serve = reader.mapping("serve")
    reader.flags(serve)
    env = {key: reader.text(f"env.{key}", value) for key, value in reader.mapping("env").items()}
    reporting = reader.section("report", Reporting)
    formats = reporting.formats if reporting else []
    result = Request(
        recipe=choices["recipe"],
        recipe_file=recipe_file,
        summary=reader.text("summary", folded.values.get("summary", "")),
        hardware_name=choices["hardware"],
        engine_name=choices["engine"],
        model=reader.model(),
        hardware=reader.section("hardware", Hardware),
        parallelism=reader.section("parallelism", Parallelism),
        serve=serve,
        address=reader.section("serve", Address),
        env=env,
        engine=cast(Engine, reader.plugin("engine", "engines", folded.values.get("engine"))),
        checks=cast(dict[str, Check], reader.plugins("validation", "checks")),
        benchmarks=cast(dict[str, Benchmark], reader.plugins("benchmark", "benchmarks")),
        expected={name: reader.section(f"expected.{name}", Expected, v) for name, v in reader.mapping("expected").items()},
        preflight=reader.section("preflight", Preflight),
        timeouts=reader.section("timeouts", Timeouts),
        reporting=reporting,
        reports={name: cast(Report, reader.plugin("report.formats", "reports", {"uses": name})) for name in formats},
        folded=folded,
    )
    if reader.faults:
        raise RecipeError(*reader.faults)
    return result


class _Reader:
    """Reads sections and gathers faults; what is faulty is None, and never used: `request` raises at its end."""

    def __init__(self, folded: Folded) -> None:
        self.folded = folded
        self.faults: list[Fault] = []

    def section(self, key: str, cls: type[T], values: Any = None) -> T:
        given = self.mapping(key) if values is None else values
        return self.checked(key, cls, lambda: cls.model_validate(given))

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.folded.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.fault(key, f"{value!r} is not a mapping", f"give its keys: {key}.KEY=VALUE")
        return {}

    def text(self, key: str, value: Any) -> str:
        if isinstance(value, bool | dict | list):
            self.fault(key, f"{value!r} is not text", "put it in quotes")
        return str(value)

    def model(self) -> Model:
        values = dict(self.mapping("model"))
        if isinstance(values.get("path"), str):
            folder, inside = self.origin("model.path")
            path = (folder / values["path"]).resolve()
            if inside and not path.is_relative_to(folder.resolve()):
                self.fault("model.path", f"{values['path']} is outside the recipe's folder", "give it as model.path=…")
            values["path"] = str(path)
        return self.section("model", Model, values)

    def origin(self, key: str) -> tuple[Path, bool]:
        """The folder that a relative path is relative to, and whether the path must stay in it."""
        origin = self.folded.origins[key]
        return origin.folder, origin.layer != TYPED

    def flags(self, serve: Mapping[str, Any]) -> None:
        for key in serve:
            if key in ELSEWHERE:
                self.fault(f"serve.{key}", "this has a place of its own", f"write {ELSEWHERE[key]}={serve[key]}")
            elif not key.isidentifier() or key != key.lower():
                name = key.lstrip("-").replace("-", "_").lower()
                self.fault(f"serve.{key}", "this is not the name of a flag", f"write it with underscores: serve.{name}")

    def plugins(self, section: str, kind: str) -> dict[str, Plugin]:
        blocks = self.mapping(section)
        return {name: self.plugin(f"{section}.{name}", kind, blocks[name], blocks) for name in blocks}

    def plugin(self, key: str, kind: str, block: Any, siblings: Mapping[str, Any] | None = None) -> Plugin:
        if not isinstance(block, dict):
            self.fault(key, f"{block!r} is not a mapping", "give it as `NAME: {uses: …}`")
            return cast(Plugin, None)
        others = {k: v for k, v in (siblings or {}).items() if isinstance(v, dict) and "uses" in v}
        name = key.rpartition(".")[2]
        if "uses" not in block and siblings is not None and name not in others and others:
            self.fault(key, f"there is no {name} here, and a new one needs `uses`", choose(name, others))
            return cast(Plugin, None)
        try:
            cls = registry.load(kind, block.get("uses"), self.folded.where(key))
        except RecipeError as exc:
            self.faults += exc.faults
            return cast(Plugin, None)
        return self.checked(key, cls, lambda: cls.model_validate(block, context=lambda f: self.origin(f"{key}.{f}")))

    def checked(self, key: str, cls: type[T], make: Callable[[], T]) -> T:
        try:
            return make()
        except ValidationError as exc:
            self.faults += faults_of(exc, cls, key, self.folded)
            return cast(T, None)

    def fault(self, key: str, what: str, do: str) -> None:
        self.faults.append(Fault(self.folded.where(key), what, do))


def faults_of(exc: ValidationError, cls: type[BaseModel], key: str, folded: Folded) -> Iterator[Fault]:
    """Pydantic's errors in our words, one for each place."""
    seen = set()
    for error in exc.errors():
        at = ".".join([key, *(str(part) for part in error["loc"] if str(part) in _names(cls, error))])
        if at in seen:
            continue
        seen.add(at)
        fields = [name for name in cls.model_fields if name != "uses"]
        match error["type"]:
            case "extra_forbidden":
                what, do = f"unknown key {error['loc'][-1]}", choose(str(error["loc"][-1]), fields)
            case "missing":
                what, do = "this is missing", f"write {at}=… or put it into the recipe"
            case _:
                message = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
                what, do = f"{error['input']!r} does not fit here", message
        yield Fault(folded.where(at), what, do)


def _names(cls: type[BaseModel], error: Any) -> set[str]:
    """The parts of an error's place that a person wrote: not the names that pydantic gives to the arms of a union."""
    arms = {"float", "int", "str", "bool", "literal['auto']", "list[str]", "constrained-float"}
    return {str(part) for part in error["loc"] if str(part) not in arms or str(part) in cls.model_fields}
