"""`attach`: a server that already runs."""

from typing import Final
from urllib.parse import urlsplit

from pydantic import field_validator

from recipe_runner.api import Located
from recipe_runner.engines.vllm import Vllm

PRIVATE: Final = "take out the password, and what is behind ? or #: reports would show it; a key goes into VLLM_API_KEY"


class Attach(Vllm):
    """Launches nothing and stops nothing: checks and measures the server at `url`.

    `command` and `environment` say which vLLM measures, if there is one here.
    """

    url: str
    """The server's address: `http://HOST:PORT`."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and value.isprintable()
            private = parts.username is not None or "?" in value or "#" in value
        except ValueError:  # of a port or an IPv6 address that is none
            sound = private = False
        if not sound:
            raise ValueError("write it as http://HOST:PORT")
        if private:
            raise ValueError(PRIVATE)
        return value.rstrip("/").removesuffix("/v1")

    def locate(self) -> Located:
        vllm, faults = self.program()
        return Located((), None if faults else vllm)
