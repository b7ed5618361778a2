"""From folded values to a `Request`: every section and plugin block checked, every fault at once."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError

from recipe_runner import registry, secrets
from recipe_runner.api import Benchmark, Check, Engine, Plugin, Report
from recipe_runner.composition import trust as trusting
from recipe_runner.composition import words
from recipe_runner.composition.compose import Composed
from recipe_runner.composition.faults import faults_of
from recipe_runner.composition.layers import Folded
from recipe_runner.composition.meant import OF_THEIR_OWN
from recipe_runner.composition.places import Places
from recipe_runner.composition.schema import (
    Address,
    Expected,
    Hardware,
    Model,
    Parallelism,
    Preflight,
    Reporting,
    Request,
    Rule,
    Timeouts,
)
from recipe_runner.composition.stack import typed as last
from recipe_runner.composition.whose import own
from recipe_runner.errors import Fault, RecipeError, choose
from recipe_runner.process import is_host
from recipe_runner.serialize import to_json

SEEN: Final = (
    *("env", "benchmark", "expected"),
    *("engine", "hardware", "preflight", "timeouts", "report"),
)
OWN_FILES: Final = ("events", "plan", "report", "server")
T = TypeVar("T", bound=BaseModel)


def request(composed: Composed, typed: Mapping[str, Any], *, trust: bool = False) -> Request:
    """Check all values; without `trust` no code is loaded for a file that is not the person's own.

    Raises:
        RecipeError: with every fault there is.

    """
    choices, folded = composed.choices, composed.below.under(last(typed))
    reader = _Reader(folded, {} if trust else trusting.refused(folded), Places(folded, composed.lock, trust))
    serve = reader.mapping("serve")
    reader.flags(serve)
    env = {key: reader.variable(key, value) for key, value in reader.mapping("env").items()}
    reader.words()
    for fault in secrets.refused(serve, env, {name: reader.mapping(name) for name in ("validation", "benchmark")}):
        reader.fault(fault.where, fault.what, fault.do)
    reporting = reader.section("report", Reporting)
    formats = reporting.formats if reporting else []
    result = Request(
        recipe=choices["recipe"],
        recipe_file=composed.recipe_file,
        choices=choices,
        typed=composed.overrides(typed),
        composed=composed,
        summary=reader.text("summary", folded.values.get("summary", "")),
        hardware_name=choices["hardware"],
        engine_name=choices["engine"],
        spread_by=choices["parallelism"],
        model=reader.model(own(reader.mapping("model"), folded, composed.below, composed.family)),
        hardware=reader.section("hardware", Hardware),
        parallelism=reader.section("parallelism", Parallelism),
        serve=serve,
        address=reader.section("serve", Address),
        env=env,
        engine=cast(Engine, reader.plugin("engine", "engines", folded.values.get("engine"))),
        checks=cast(dict[str, Check], reader.plugins("validation", "checks")),
        benchmarks=cast(dict[str, Benchmark], reader.plugins("benchmark", "benchmarks")),
        expected={
            name: reader.section(f"expected.{name}", Expected, v) for name, v in reader.mapping("expected").items()
        },
        diagnosis={
            name: reader.section(f"diagnosis.{name}", Rule, v) for name, v in reader.mapping("diagnosis").items()
        },
        preflight=reader.section("preflight", Preflight),
        timeouts=reader.section("timeouts", Timeouts),
        reporting=reporting,
        reports={name: cast(Report, reader.plugin("report.formats", "reports", {"uses": name})) for name in formats},
        folded=folded,
    )
    if reader.faults:
        raise RecipeError(*dict.fromkeys(reader.faults))
    return result


class _Reader:
    """Reads sections and gathers faults; what is faulty is None, and never used: `request` raises at its end."""

    def __init__(self, folded: Folded, barred: Mapping[str, Fault], places: Places) -> None:
        self.folded = folded
        self.barred = barred
        self.places = places
        self.faults: list[Fault] = list(barred.values())

    def section(self, key: str, cls: type[T], values: Any = None) -> T:
        given = self.mapping(key) if values is None else values
        if values is None and given is not self.folded.values.get(key, given):
            return cast(T, None)  # not a mapping, which `mapping` has told; what misses in it does not matter
        return self.checked(key, cls, lambda: cls.model_validate(given))

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.folded.values.get(key, {})
        if isinstance(value, dict):
            return value
        do = f"write model.id={value}" if key == "model" else f"give its keys: {key}.KEY=VALUE"
        self.fault(key, f"{value!r} is not a mapping", do)
        return {}

    def text(self, key: str, value: Any) -> str:
        if isinstance(value, bool | dict | list):
            self.fault(key, f"{value!r} is not text", "put it in quotes")
        return str(value)

    def variable(self, name: str, value: Any) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            self.fault(f"env.{name}", "this is not the name of an environment variable", "use letters, digits and _")
        return self.text(f"env.{name}", value)

    def model(self, values: dict[str, Any]) -> Model:
        if not isinstance(self.folded.values.get("model", {}), dict):
            return cast(Model, None)  # which `mapping` has told
        if isinstance(values.get("path"), str):
            folder, inside = self.places.whence("model.path", values["path"])
            try:
                path = (folder / values["path"]).resolve()
                path.is_dir()
            except (OSError, RuntimeError, ValueError):  # a name that is too long, links in a circle
                self.fault("model.path", f"there cannot be a folder {values['path'][:80]}", "correct the path")
                path = folder.resolve()
            if inside and not path.is_relative_to(folder.resolve()):
                self.fault("model.path", f"{values['path']} is outside the recipe's folder", "give it as model.path=…")
            values["path"] = str(path)
        return self.section("model", Model, values)

    def flags(self, serve: Mapping[str, Any]) -> None:
        if isinstance(host := serve.get("host"), str) and not is_host(host):
            do = "write an address, such as 127.0.0.1 or ::1, or a name"
            self.fault("serve.host", f"no host can be called {host[:80]!r}", do)
        for key in serve:
            name = key.lstrip("-").replace("-", "_").lower()
            if name in OF_THEIR_OWN:
                self.fault(f"serve.{key}", "this has a place of its own", f"write {OF_THEIR_OWN[name]}={serve[key]}")
            elif not key.isidentifier() or key != key.lower():
                self.fault(f"serve.{key}", "this is not the name of a flag", f"write it with underscores: serve.{name}")

    def words(self) -> None:
        """Check what becomes words of command lines, or variables of the environment."""
        found = list(words.seen({section: self.folded.values.get(section) for section in SEEN}, ""))
        benchmarks = {f"benchmark.{name}": block for name, block in self.mapping("benchmark").items()}
        for at, block in {"serve": self.mapping("serve"), "model": self.mapping("model"), **benchmarks}.items():
            found += words.of_flags(block, at)
        for key, what, do in dict.fromkeys(found):
            self.fault(key.removeprefix("."), what, do)

    def plugins(self, section: str, kind: str) -> dict[str, Plugin]:
        blocks = self.mapping(section)
        return {name: self.plugin(f"{section}.{name}", kind, blocks[name], blocks) for name in blocks}

    def plugin(self, key: str, kind: str, block: Any, siblings: Mapping[str, Any] | None = None) -> Plugin:
        section, _, name = key.rpartition(".")
        others = {k: v for k, v in (siblings or {}).items() if isinstance(v, dict) and "uses" in v}
        if not isinstance(block, dict):
            written = " or ".join(f"{section}.{other}.{name}={to_json(block)}" for other in others)
            do = f"write {written}" if written else "give it as `NAME: {uses: …}`"
            self.fault(key, f"{block!r} is not a mapping", do)
            return cast(Plugin, None)
        if not re.fullmatch(r"\w[\w-]*", name):
            self.fault(key, "this cannot be a name", "use letters, digits, _ and -")
        if kind == "benchmarks" and name in OWN_FILES:
            self.fault(key, f"{name} is the name of a file of our own in the run folder", "choose another name")
        if {f"{key}.uses", key} & self.barred.keys():
            return cast(Plugin, None)
        if "uses" not in block and siblings is not None and name not in others and others:
            self.fault(key, f"there is no {name} here, and a new one needs `uses`", choose(name, others))
            return cast(Plugin, None)
        try:
            uses = block.get("uses")
            beside = self.places.folders(key if siblings is None and kind == "reports" else f"{key}.uses")
            cls = registry.load(kind, uses, self.folded.where(key), beside)
        except RecipeError as exc:
            self.faults += exc.faults
            return cast(Plugin, None)

        def whence(name: str) -> tuple[Path, bool]:
            return self.places.whence(f"{key}.{name}", block[name])

        return self.checked(key, cls, lambda: cls.model_validate(block, context=whence))

    def checked(self, key: str, cls: type[T], make: Callable[[], T]) -> T:
        try:
            return make()
        except ValidationError as exc:
            self.faults += faults_of(exc, cls, key, self.folded)
        except RecipeError as exc:
            self.faults += exc.faults
        except (RecursionError, OverflowError) as exc:  # of a regular expression, say
            self.fault(key, f"this cannot be read: {exc}", "write it more simply")
        return cast(T, None)

    def fault(self, key: str, what: str, do: str) -> None:
        self.faults.append(Fault(self.folded.where(key), what, do))
