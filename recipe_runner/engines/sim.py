"""`sim`: a simulated server."""

import sys
from typing import ClassVar

from recipe_runner.api import Engine, Located


class Sim(Engine):
    """A small OpenAI-compatible server of our own, for rehearsing a recipe without its hardware or weights.

    `replies` maps a part of a prompt to what is answered; whatever matches none gets an answer that says "simulated".
    """

    simulated: ClassVar[bool] = True

    replies: dict[str, str] = {}

    def locate(self) -> Located:
        replies = [word for prompt, reply in self.replies.items() for word in ("--reply", prompt, reply)]
        return Located((sys.executable, "-m", "recipe_runner.engines.sim_server", *replies), None)
