"""`models`: the server has the model."""

from typing import ClassVar

from recipe_runner.api import Check, Client, Outcome, failed, passed


class Models(Check):
    """`/v1/models` lists the model under the name that the recipe serves it as."""

    judges_content: ClassVar[bool] = False

    def run(self, server: Client) -> Outcome:
        served = server.models()
        listing = ", ".join(served) or "nothing"
        return passed(f"serves {listing}") if server.model in served else failed(f"no {server.model}; serves {listing}")
