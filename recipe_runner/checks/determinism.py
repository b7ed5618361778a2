"""`determinism`: the same question has the same answer."""

from itertools import zip_longest

from pydantic import Field

from recipe_runner.api import Answer, Client, Outcome, failed, passed
from recipe_runner.checks.expect import Samples, asked
from recipe_runner.serialize import quoted

AROUND = 20  # characters that are shown from where two answers differ
BATCHING = "what else is in the batch may change it"


class Determinism(Samples):
    """Asks the same `times` over, one after the other, at temperature 0, and judges whether the answers are the same.

    Requests that run at the same time share batches, whose size may change the last digits of a sum and with them a
    word; this check asks a server that is otherwise idle.
    """

    prompt: str = "Tell a story of a lighthouse."
    """What is asked."""
    temperature: float | None = Field(default=0, ge=0)
    """0 takes the likeliest token."""
    times: int = Field(default=2, ge=2, le=100)
    """How often it is asked."""

    def run(self, server: Client) -> Outcome:
        first, *others = (_said(server.chat(asked(self.prompt), **self.parameters())) for _ in range(self.times))
        if not first:
            return failed("the first answer is empty: there is nothing to compare")
        for number, other in enumerate(others, 2):
            if other != first:
                place = next(n for n, (one, two) in enumerate(zip_longest(first, other)) if one != two)
                was, now = (quoted(text[place : place + AROUND]) for text in (first, other))
                where = f"answer {number} differs from the first at character {place + 1}"
                return failed(f"{where}: {now} instead of {was}; {BATCHING}")
        return passed(f"{self.times} answers are the same {len(first)} characters; {BATCHING}")


def _said(answer: Answer) -> str:
    return answer.reasoning + answer.text
