"""The proof of an engine: it looks without starting anything, its server becomes ready, and nothing is left of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from recipe_runner.api import Engine, Located
from recipe_runner.conformance.behind import STARTS, heard, nothing_left
from recipe_runner.conformance.proof import BlockProof
from recipe_runner.conformance.simulated import answering, left, recipe, run

READY_S: Final = 900.0  # a real server takes minutes


class EngineProof(BlockProof):
    """Derive from it, and give `block`, and what the server is launched for: `model`, `serve`, `env` and `hardware`.

    One that launches nothing finds a simulated server at its `url`.
    """

    kind = "engines"
    key = "engine"
    model: ClassVar[Mapping[str, Any]] = {}
    env: ClassVar[Mapping[str, str]] = {}
    hardware: ClassVar[str] = "cpu"

    def test_it_looks_without_starting_or_leaving_anything(self) -> None:
        made = cast(Engine, self.made())
        made.locate()  # once before, for what Python keeps for good
        with nothing_left(), heard() as events:
            found = made.locate()
        assert isinstance(found, Located)
        assert found.faults == (), "it cannot start here"
        assert [event for event, _ in events if event in STARTS] == []
        assert made.locate() == found
        assert found.server or hasattr(made, "url"), "it launches nothing, and has no field `url`"

    def test_its_server_becomes_ready_and_nothing_is_left_of_it(self, tmp_path: Path) -> None:
        model = {key: value for key, value in self.model.items() if key != "path"}
        recipe(tmp_path, serve=self.serve, env=self.env, **({"model": model} if model else {}))
        with answering(self.engine, self.serve) as server:
            attaches = not cast(Engine, self.made()).locate().server
            block = {**self.block, **({"url": server.url} if attaches else {})}
            words = [f"hardware={self.hardware}", "validation=smoke", "benchmark=none"]
            words += [f"model.path='{self.model['path']}'"] if "path" in self.model else []
            ran = run(tmp_path, block, *words, limit_s=READY_S)
        assert ran.code == 0, ran.told
        assert attaches or bool(ran.report.get("simulated")) == cast(Engine, self.made()).simulated
        assert ran.report["teardown"]["processes_left"] == 0
        assert ran.report["teardown"]["port_free"] in (True, None)
        assert left(tmp_path) == []
