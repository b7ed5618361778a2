"""`brief`: the answer is short."""

from pydantic import Field

from recipe_runner.api import Check, Client, Outcome, failed, passed


class Brief(Check):
    """The answer to `prompt` takes at most `most_words` words, and at least one."""

    prompt: str
    most_words: int = Field(default=20, ge=1)

    def run(self, server: Client) -> Outcome:
        count = len(server.chat([{"role": "user", "content": self.prompt}]).text.split())
        return passed(f"{count} words") if 1 <= count <= self.most_words else failed(f"{count} words")
