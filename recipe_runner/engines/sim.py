"""`sim`: a simulated server."""

import sys
from typing import ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator

from recipe_runner.api import Located
from recipe_runner.engines.sim_faults import ANSWERS, MOMENTS, NAMES, STAGES
from recipe_runner.engines.vllm import Vllm
from recipe_runner.errors import choose
from recipe_runner.process import words

SETTINGS: Final = {"ttft_ms", "tpot_ms", "capacity", "load_s", "fault", "fault_at", "fault_every"}


class Sim(Vllm):
    """A small OpenAI-compatible server of our own, for rehearsing a recipe without its hardware or weights.

    What matches none of `replies` gets an answer that says "simulated". With n requests at once, n being more than
    `capacity`, tokens take n / capacity times as long.
    docs/how-to/rehearse.md lists what can be a `fault`: `dies` and `hangs` do so at `fault_at` (the first request is
    the one that shows that the server is ready), faults of an answer with every `fault_every`-th one.
    `command` and `environment` say which vLLM measures, if there is one here.
    """

    simulated: ClassVar[bool] = True

    replies: dict[str, str] = {}
    """What is answered, by a part of the prompt."""
    ttft_ms: float = Field(default=0, ge=0)
    """How long the first token takes."""
    tpot_ms: float = Field(default=0, ge=0)
    """How long each further token takes."""
    capacity: int | None = Field(default=None, ge=1)
    """Requests at once that do not slow one another down."""
    load_s: float = Field(default=0, ge=0)
    """How long it takes to load."""
    fault: str | None = Field(default=None, examples=list(NAMES))
    """What goes wrong."""
    fault_at: str | int = "loading"
    """When: `start`, `loading`, or the number of a request."""
    fault_every: int = Field(default=1, ge=1)
    """With which answers: every n-th one."""

    @field_validator("fault")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in NAMES:
            raise ValueError(choose(value, NAMES))
        return value

    @field_validator("fault_at")
    @classmethod
    def _moment(cls, value: str | int, info: ValidationInfo) -> str | int:
        _belongs(info, MOMENTS)
        if isinstance(value, int) and value < 1:
            raise ValueError("requests are counted from 1")
        if isinstance(value, str) and value not in STAGES:
            raise ValueError(f"it is {', '.join(STAGES)}, or the number of a request")
        return value

    @field_validator("fault_every")
    @classmethod
    def _share(cls, value: int, info: ValidationInfo) -> int:
        _belongs(info, ANSWERS)
        return value

    def locate(self) -> Located:
        replies = [word for prompt, reply in self.replies.items() for word in ("--reply", prompt, reply)]
        settings = words(self.model_dump(include=SETTINGS, exclude_defaults=True))
        vllm, faults = self.program()
        server = (sys.executable, "-m", "recipe_runner.engines.sim_server", *replies, *settings)
        return Located(server, None if faults else vllm)


def _belongs(info: ValidationInfo, faults: tuple[str, ...]) -> None:
    """Refuse what would change nothing; a fault that is unknown was refused before."""
    if info.data.get("fault", faults[0]) not in faults:
        raise ValueError(f"this goes with engine.fault={', '.join(faults)}")
