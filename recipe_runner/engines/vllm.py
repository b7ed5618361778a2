"""`vllm`: `vllm serve` as a process on this host."""

import os
import shlex
import shutil
from typing import Literal

from pydantic import field_validator

from recipe_runner.api import Engine, Located, environment
from recipe_runner.errors import Fault
from recipe_runner.process import find


class Vllm(Engine):
    """Launches `vllm serve` here: the `vllm` beside our interpreter, then the one on PATH."""

    command: str | list[str] | None = None
    """The words that call vLLM, instead of the one that is found."""
    environment: Literal["cpu"] | None = None
    """An environment that `recipe-run setup` builds, whose vLLM is taken."""

    @field_validator("command")
    @classmethod
    def _can_be_split(cls, value: str | list[str] | None) -> str | list[str] | None:
        try:
            shlex.split(value if isinstance(value, str) else "")
        except ValueError as exc:
            raise ValueError(f"this is not a command line: {exc}") from exc
        return value

    def locate(self) -> Located:
        vllm, faults = self.program()
        return Located((*vllm, "serve"), vllm, faults)

    def program(self) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
        """The words that call vLLM, and what is wrong with them here."""
        if self.command is not None:
            return self._given(shlex.split(self.command) if isinstance(self.command, str) else self.command)
        if self.environment is not None:
            built = environment(self.environment)
            if built is not None:
                return (str(built),), ()
            do = f"run `recipe-run setup {self.environment}`, or set engine.command"
            return ("vllm",), (Fault("engine.environment", f"vLLM for {self.environment.upper()} is not set up", do),)
        found = find("vllm")
        if found is not None:
            return ("vllm" if found == shutil.which("vllm") else found,), ()
        do = "`pip install vllm` on a GPU host, `recipe-run setup cpu` without one, or set engine.command"
        return ("vllm",), (Fault("engine.command", "there is no vllm command here", do),)

    def _given(self, words: list[str]) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
        if words and (shutil.which(words[0]) or os.access(words[0], os.X_OK)):
            return tuple(words), ()
        missing = words[0] if words else "''"
        return tuple(words), (Fault("engine.command", f"there is no command {missing}", "check the path"),)
