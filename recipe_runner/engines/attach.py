"""`attach`: a server that already runs."""

from pydantic import field_validator

from recipe_runner.api import Located
from recipe_runner.engines.vllm import Vllm


class Attach(Vllm):
    """Launches nothing and stops nothing: checks and measures the server at `url`.

    `command` and `environment` say which vLLM measures, if there is one here.
    """

    url: str

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("write it as http://HOST:PORT")
        return value.rstrip("/").removesuffix("/v1")

    def locate(self) -> Located:
        vllm, faults = self.program()
        return Located((), None if faults else vllm)
