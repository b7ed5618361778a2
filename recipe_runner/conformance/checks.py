"""The proof of a check: it passes on a good server, and on a bad one it does not."""

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar, Final, cast

import pytest

from recipe_runner.api import Check, Client, Outcome
from recipe_runner.client import AnswerError
from recipe_runner.conformance.behind import nothing_left
from recipe_runner.conformance.proof import BlockProof
from recipe_runner.conformance.simulated import LIMIT_S, PATIENCE_S, answering, apart, left, recipe, run
from recipe_runner.engines.sim_faults import Fault

BROKEN: Final = ("error", "garbage", "empty", "truncated", "slow_first_token")  # no check may take that for an answer
WRONG: Final = (  # answers, but others than they should be: not every check looks there
    *("malformed_tool_call", "off_topic", "leaked_reasoning", "wavering", "flat_embeddings"),
    "wrong_model",
)


class CheckProof(BlockProof):
    """Derive from it, and give `block`; `notices` are all the faults of answers that the check is there to find.

    What breaks a request (`error`, `garbage`, `empty`, `truncated`, a server that is silent or dies) every check must
    notice that makes one.
    """

    kind = "checks"
    key = "validation.it"
    notices: ClassVar[Collection[str]] = ()

    def outcome(self, server: Client) -> Outcome:
        """What the check comes to in a run."""
        try:
            found = cast(Check, self.made()).run(server)
        except (AnswerError, OSError) as exc:
            return Outcome("failed", str(exc))
        assert isinstance(found, Outcome), f"run returned {found!r}, not an Outcome"
        return found

    def test_it_passes_on_a_good_server_and_leaves_nothing(self) -> None:
        self._passes()  # once before, for what Python keeps for good
        with nothing_left():
            self._passes()

    def _passes(self) -> None:
        with answering(self.engine, self.serve) as server:
            found = self.outcome(server)
        assert found.verdict == "passed", found

    @pytest.mark.parametrize("fault", BROKEN)
    def test_it_takes_nothing_broken_for_an_answer(self, fault: str) -> None:
        broken = Fault(fault)
        patience_s = PATIENCE_S if fault == "slow_first_token" else LIMIT_S
        with answering(self.engine, self.serve, broken, patience_s) as server:
            found = self.outcome(server)
        assert found.verdict == ("failed" if broken.requests else "passed"), found

    def test_it_does_not_pass_where_the_server_dies(self, tmp_path: Path) -> None:
        engine = {**self.engine, "fault": "dies", "fault_at": 1}
        with apart(engine, self.serve, tmp_path / "server.log") as server:
            found = self.outcome(server)
        died = "EngineDeadError" in (tmp_path / "server.log").read_text(encoding="utf-8")
        assert found.verdict == ("failed" if died else "passed"), found

    @pytest.mark.parametrize("fault", WRONG)
    def test_it_notices_what_it_says_it_notices_and_no_more(self, fault: str) -> None:
        with answering(self.engine, self.serve, Fault(fault)) as server:
            found = self.outcome(server)
        told = f"{fault} comes to {found.verdict} ({found.detail}), and `notices` is {[*self.notices]}"
        assert (found.verdict == "failed") == (fault in self.notices), told

    def test_a_run_with_it_passes(self, tmp_path: Path) -> None:
        recipe(tmp_path, serve=self.serve, validation={"it": self.block})
        ran = run(tmp_path, {"uses": "sim", **self.engine}, "hardware=cpu")
        assert (ran.code, ran.item("checks")["verdict"]) == (0, "passed"), ran.told
        assert left(tmp_path) == []
