"""`long_context`: what stands somewhere in a long text is found."""

import math

from pydantic import Field, model_validator

from recipe_runner.api import Answer, Client, Outcome, failed, passed
from recipe_runner.checks.expect import Samples, asked
from recipe_runner.serialize import quoted

FILLER = "The sea was calm that day, and the gulls sat on the wall. Nobody came, and nothing was said. "
SAMPLE = 4  # fillers whose tokens say how many one has
REQUESTS = 5
MOST = 10_000_000  # tokens: no model takes a longer text
NEAR = 0.95  # of `tokens` is near enough


class LongContext(Samples):
    """Hides `needle` in a text of `tokens` tokens, at `depth` (0 is its beginning, 1 its end), and asks `prompt` of it.

    The length is what the server counts, within 5 %: two short requests tell how long the text has to be. The answer
    must contain `answer`.
    """

    prompt: str = "What is the number of the lighthouse?"
    """What is asked after the text."""
    tokens: int = Field(ge=1, le=MOST)
    """How long the text is."""
    depth: float = Field(default=0.5, ge=0, le=1)
    """Where the needle is: 0 is the beginning, 1 the end."""
    needle: str = "The number of the lighthouse is 48213."
    """What is hidden."""
    answer: str = Field(default="48213", min_length=1)
    """What the answer must contain."""
    filler: str = Field(default=FILLER, min_length=1)
    """What the text is made of, over and over."""

    @model_validator(mode="after")
    def _is_about_the_needle(self) -> "LongContext":
        own = self.model_fields_set & {"needle", "prompt", "answer"}
        if own and len(own) < 3:
            raise ValueError("give `needle`, `prompt` and `answer`, or none of them")
        if self.answer not in self.needle:
            raise ValueError(f"the needle does not contain {self.answer!r}, so no answer could")
        return self

    def run(self, server: Client) -> Outcome:
        short = {**self.parameters(), "max_tokens": 1}
        bare, sample = (self._counted(server.chat(self._text(count), **short)) for count in (0, SAMPLE))
        if not 0 < bare < sample:
            return failed("the server does not count the tokens of a prompt in `usage`")
        if bare > self.tokens:
            return failed(f"the question alone has {bare} tokens; ask for more than {self.tokens}")
        each, fillers = (sample - bare) / SAMPLE, 0
        counted = bare
        for _ in range(REQUESTS - 2):
            fillers += math.floor((self.tokens - counted) / each)
            answer = server.chat(self._text(fillers), **self.parameters())
            counted = self._counted(answer)
            if min(self.tokens - each, NEAR * self.tokens) <= counted <= self.tokens:
                return self._judge(answer, counted)
        return failed(f"no text of {self.tokens} tokens came about in {REQUESTS} requests; the last had {counted}")

    def _text(self, fillers: int) -> list[dict[str, str]]:
        before = round(self.depth * fillers)
        text = f"{self.filler * before}{self.needle} {self.filler * (fillers - before)}"
        return asked(f"{text}\n\n{self.prompt}")

    def _judge(self, answer: Answer, counted: int) -> Outcome:
        said, where = quoted(answer.text), f"depth {self.depth:g} of {counted} tokens"
        if self.answer in answer.text:
            return passed(f"{said} found at {where}")
        return failed(f"{said} does not contain {self.answer!r}, which stands at {where}{self.cut(answer)}")

    @staticmethod
    def _counted(answer: Answer) -> int:
        counted = answer.usage.get("prompt_tokens")
        return counted if isinstance(counted, int) and 0 < counted < MOST else 0
