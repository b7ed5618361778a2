"""Each check on the simulated server: in its good state, and in each state that the check is there to find."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from recipe_runner.api import Check, Client, Outcome
from recipe_runner.checks.determinism import Determinism
from recipe_runner.checks.embedding import Embedding
from recipe_runner.checks.long_context import LongContext
from recipe_runner.checks.reasoning import Reasoning
from recipe_runner.checks.structured_output import StructuredOutput
from recipe_runner.checks.tool_call import ToolCall
from recipe_runner.client import AnswerError
from recipe_runner.engines import sim_server
from recipe_runner.engines.sim_faults import Fault

TOOL, REASONING = ToolCall(uses="x"), Reasoning(uses="x")
OUTPUT, EMBEDDING = StructuredOutput(uses="x"), Embedding(uses="x")
LONG, SAME = LongContext(uses="x", tokens=3000), Determinism(uses="x", times=3)
NEEDLE, BATCHING = "The number of the lighthouse is 48213.", "what else is in the batch may change it"
DEFAULT = "'This is a simulated answer.'"


@contextlib.contextmanager
def sim(fault: str | None = None, every: int = 1, *, flags: bool = True) -> Iterator[Client]:
    how: dict[str, Any] = {"auto_tools": flags, "reasons": flags, "fault": Fault(fault, every=every)}
    with sim_server.Server(("127.0.0.1", 0), "small", (), **how) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}", "small", 5) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def test_all_is_well() -> None:
    with sim() as client:
        assert [check.run(client) for check in (TOOL, REASONING, OUTPUT, EMBEDDING, LONG, SAME)] == [
            Outcome("passed", 'get_weather({"city": "simulated"})'),
            Outcome("passed", f"{DEFAULT} after 28 characters of reasoning"),
            Outcome("passed", """'{"city": "simulated", "is_a_capital": true}'"""),
            Outcome("passed", "64 numbers a vector; cosine ≥ 0.680 where alike, ≤ 0.000 where different"),
            Outcome("passed", f"'{NEEDLE}' found at depth 0.5 of 2997 tokens"),
            Outcome("passed", f"3 answers are the same 55 characters; {BATCHING}"),
        ]


@pytest.mark.parametrize(
    ("check", "fault", "detail"),
    [
        (TOOL, "malformed_tool_call", """get_weather is called with '{"city":', which is no JSON"""),
        (TOOL, "off_topic", f"no call of get_weather; the answer is {DEFAULT}"),
        (REASONING, "off_topic", f"{DEFAULT} comes without reasoning; vLLM needs serve.reasoning_parser"),
        (
            REASONING,
            "leaked_reasoning",
            "'<think> This is simulated reasoning. </think>This is a simulated answer.' comes without reasoning; "
            "vLLM needs serve.reasoning_parser; contains '<think>'; contains '</think>'",
        ),
        (OUTPUT, "off_topic", f"{DEFAULT} is no JSON"),
        (OUTPUT, "wavering", """'{"city": "simulated", "is_a_capital": true} 0' is no JSON"""),
        (
            EMBEDDING,
            "flat_embeddings",
            "what is alike is no nearer than what is different: cosine ≥ 1.000 where alike, ≤ 1.000 where different",
        ),
        (LONG, "off_topic", f"{DEFAULT} does not contain '48213', which stands at depth 0.5 of 2997 tokens"),
        (SAME, "wavering", f"answer 2 differs from the first at character 57: '1' instead of '0'; {BATCHING}"),
    ],
)
def test_what_each_finds(check: Check, fault: str, detail: str) -> None:
    with sim(fault) as client:
        assert check.run(client) == Outcome("failed", detail)


def test_one_answer_of_three_that_differs() -> None:
    with sim("wavering", every=3) as client:
        detail = f"answer 3 differs from the first at character 56: ' 2' instead of ''; {BATCHING}"
        assert SAME.run(client) == Outcome("failed", detail)


def test_flags_that_are_not_given() -> None:
    with sim(flags=False) as client:
        assert REASONING.run(client).detail == (f"{DEFAULT} comes without reasoning; vLLM needs serve.reasoning_parser")
        with pytest.raises(AnswerError, match="requires --enable-auto-tool-choice and --tool-call-parser to be set"):
            TOOL.run(client)
