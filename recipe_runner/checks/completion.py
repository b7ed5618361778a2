"""`completion`: the text after a prompt is what it should be."""

from recipe_runner.api import Client, Outcome
from recipe_runner.checks.expect import Generates


class Completion(Generates):
    """Sends `prompt` to `/v1/completions` as it stands, and judges the text that follows."""

    def run(self, server: Client) -> Outcome:
        return self.judge(server.complete(self.prompt, **self.parameters()))
