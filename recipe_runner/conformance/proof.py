"""What is proven of every plugin: it loads, its fields are a schema, and what does not fit them is refused in words."""

import functools
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest.mock import patch

from jsonschema import Draft202012Validator
from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from recipe_runner import prepare, registry
from recipe_runner.api import Plugin
from recipe_runner.composition.compose import Composed
from recipe_runner.composition.reading import request
from recipe_runner.conformance.simulated import recipe
from recipe_runner.errors import RecipeError, choose
from recipe_runner.serialize import to_json

UNKNOWN: Final = "no_such_field"
ODD: Final[tuple[Any, ...]] = ("odd", -1.5, True, ["odd"], {"odd": "odd"}, -7, "", 1e300)  # none of which fits all


class Proof:
    """A plugin is proven by a test class that is derived from the proof of its kind, and says this:

    `block` is one that works, as in a recipe, with its `uses`; `refuses` are changes of it that do not, each with the
    error that they get, word for word. `serve` are flags of `vllm serve` that it needs, `engine` settings of the
    simulated server, such as `replies`.
    """

    kind: ClassVar[str]
    key: ClassVar[str]  # where its block stands
    block: ClassVar[Mapping[str, Any]]
    refuses: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()
    serve: ClassVar[Mapping[str, Any]] = {}
    engine: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def uses(cls) -> str:
        """The plugin that is to be proven; nothing where `block` was forgotten, or is another word."""
        block = getattr(cls, "block", None)
        return str(block.get("uses", "")) if isinstance(block, Mapping) else ""

    @classmethod
    def plugin(cls) -> type[Plugin]:
        do = 'set `block` to one that works, as in a recipe: block = {"uses": …}'
        assert cls.uses(), f"{cls.__name__} — it does not say what it proves; {do}"
        return registry.load(cls.kind, cls.uses(), "uses", [Path()])

    @classmethod
    def made(cls) -> Plugin:
        return cls.plugin().model_validate(dict(cls.block))

    @classmethod
    def fields(cls) -> list[str]:
        return [name for name in cls.plugin().model_fields if name != "uses"]

    @classmethod
    def faults(cls, **changes: Any) -> list[str]:
        """What is said of the block with some changes; None takes a key away."""
        block = {key: value for key, value in {**cls.block, **changes}.items() if value is not None}
        try:
            request(_composed(), {cls.key: block}, trust=True)
        except RecipeError as exc:
            return [re.sub(r"^(\S+) \(\S+\) — ", r"\1 — ", str(fault)) for fault in exc.faults]  # without its file
        return []

    def test_it_loads_and_says_what_it_is(self) -> None:
        found = self.plugin()
        assert (found.__doc__ or "").strip(), f"{found.__name__} has no docstring; its first line is what `list` shows"

    def test_its_fields_come_through_json_unchanged(self) -> None:
        made = self.made()
        again = json.loads(to_json(made.model_dump(mode="json", exclude_unset=True)))
        assert self.plugin().model_validate(again) == made

    def test_its_schema_takes_what_it_takes(self) -> None:
        schema = self.plugin().model_json_schema()
        Draft202012Validator.check_schema(schema)
        takes = Draft202012Validator(schema)
        takes.validate(dict(self.block))
        assert not takes.is_valid({**self.block, UNKNOWN: 1})


class BlockProof(Proof):
    """What is proven of plugins whose block a recipe, or a person, writes."""

    def test_the_block_is_taken(self) -> None:
        assert self.faults() == []

    def test_an_unknown_field_is_refused(self) -> None:
        told = f"{self.key}.{UNKNOWN} — unknown key {UNKNOWN}; {choose(UNKNOWN, self.fields())}"
        assert self.faults(**{UNKNOWN: 1}) == [told]

    def test_a_field_that_is_missing_is_told(self) -> None:
        where = " or put it into the recipe" if self.kind != "engines" else ""
        for name, field in self.plugin().model_fields.items():
            if field.is_required() and name != "uses":
                at = f"{self.key}.{name}"
                assert self.faults(**{name: None}) == [f"{at} — this is missing; write {at}=…{where}"]

    def test_a_value_that_does_not_fit_its_field_is_refused_there(self) -> None:
        fields = {name: field for name, field in self.plugin().model_fields.items() if name != "uses"}
        for name, odd in ((name, odd) for name, field in fields.items() for odd in ODD if _refuses(field, odd)):
            at, faults = f"{self.key}.{name}", self.faults(**{name: odd})
            assert any(one.startswith((f"{at} — {odd!r} does not fit here; ", f"{at}.")) for one in faults), faults

    def test_what_it_refuses_is_told_word_for_word(self) -> None:
        for changes, error in self.refuses:
            assert self.faults(**changes) == [error]


def _refuses(field: FieldInfo, value: Any) -> bool:
    """Whether a field by itself, without what its class knows of others, does not take a value."""
    fields: dict[str, Any] = {"field": (field.annotation, field)}
    try:
        create_model("Alone", __config__=Plugin.model_config, **fields).model_validate({"field": value})
    except ValidationError:
        return True
    return False


@functools.cache
def _composed() -> Composed:
    """A recipe without checks and benchmarks, composed without anybody's own defaults."""
    here = tempfile.TemporaryDirectory(prefix="recipe-runner-proof-")
    with here as name, patch.dict(os.environ, XDG_CONFIG_HOME=name):
        recipe(Path(name))
        file = Path(name) / "recipes" / "proof.yaml"
        composed, _ = prepare.requested([f"recipe='{file}'", "hardware=cpu", "engine=vllm"], [], trust=True)
    return composed
