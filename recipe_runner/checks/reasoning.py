"""`reasoning`: what the model thinks and what it answers come apart."""

from pydantic import Field

from recipe_runner.api import Client, Outcome, failed, passed
from recipe_runner.checks.expect import Expect, Samples, asked
from recipe_runner.serialize import quoted

MARKS = ("<think>", "</think>")


class Reasoning(Samples):
    """The answer has reasoning apart from its text, and the text has no `<think>` in it; `expect:` judges the text.

    vLLM needs `serve.reasoning_parser`.
    """

    prompt: str = "Which is larger, 9.11 or 9.9?"
    """What is asked."""
    max_tokens: int = Field(default=1024, ge=1)
    """The most that is generated, reasoning and answer."""
    expect: Expect | None = None
    """What must hold of the answer."""

    def run(self, server: Client) -> Outcome:
        answer = server.chat(asked(self.prompt), **self.parameters())
        misses = []
        if not answer.reasoning.strip():
            misses.append("comes without reasoning; vLLM needs serve.reasoning_parser")
        if not answer.text.strip():
            misses.append(f"is empty{self.cut(answer)}")
        misses += [f"contains {mark!r}" for mark in MARKS if mark in answer.text]
        misses += self.expect.misses(answer) if self.expect else []
        if misses:
            return failed(f"{quoted(answer.text)} {'; '.join(misses)}")
        return passed(f"{quoted(answer.text)} after {len(answer.reasoning)} characters of reasoning")
