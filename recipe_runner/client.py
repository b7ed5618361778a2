"""The OpenAI-compatible API of a server, as far as checks need it."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from recipe_runner.serialize import one_line

if TYPE_CHECKING:
    import httpx  # 0.2 s, so it is imported only where a client is made

CONNECT_S: Final = 3.0
KEY: Final = "VLLM_API_KEY"  # vLLM's own variable: a server that inherits it asks for the key


class AnswerError(Exception):
    """The server answered with an error, with something else than JSON, or not in time."""


@dataclass(frozen=True)
class Answer:
    """What the server generated, and how long that took, in seconds."""

    text: str
    seconds: float
    usage: Mapping[str, Any]


class Client:
    """One server: `url` without `/v1`, `model` the name under which it serves."""

    def __init__(self, url: str, model: str, timeout_s: float) -> None:
        import httpx

        self.url, self.model, self.timeout_s = url, model, timeout_s
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # a proxy from the environment must not stand between us and a server on this host
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Whether `/health` answers 200 now."""
        import httpx

        try:
            return self._http.get("/health", timeout=1.0).status_code == 200
        except httpx.HTTPError:
            return False

    def models(self) -> list[str]:
        """The names under which the server serves."""
        answer = self._json("GET", "/v1/models")
        try:
            return [str(entry["id"]) for entry in answer["data"]]
        except (TypeError, KeyError) as exc:
            raise AnswerError("/v1/models answered without a list of models") from exc

    def version(self) -> str | None:
        """The version that the server says it is, if it says one."""
        try:
            return str(self._json("GET", "/version")["version"])
        except (AnswerError, TypeError, KeyError):
            return None

    def complete(self, prompt: str, **parameters: Any) -> Answer:
        """`/v1/completions`: the text that follows a prompt."""
        return self._generated("/v1/completions", {"prompt": prompt, **parameters}, lambda choice: choice["text"])

    def chat(self, messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Answer:
        """`/v1/chat/completions`: the answer to a conversation."""
        body = {"messages": list(messages), **parameters}
        return self._generated("/v1/chat/completions", body, lambda choice: choice["message"]["content"])

    def _generated(self, path: str, body: Mapping[str, Any], text: Callable[[Any], Any]) -> Answer:
        start = time.monotonic()
        answer = self._json("POST", path, json={"model": self.model, **body})
        seconds = time.monotonic() - start
        try:
            said = text(answer["choices"][0])
            return Answer(str("" if said is None else said), seconds, answer.get("usage") or {})
        except (TypeError, KeyError, IndexError) as exc:
            raise AnswerError(f"{path} answered without a text in `choices`") from exc

    def _json(self, method: str, path: str, **request: Any) -> Any:
        import httpx

        try:
            response = self._http.request(method, path, **request)
        except httpx.TimeoutException as exc:
            raise AnswerError(f"{path} did not answer within {self.timeout_s:g} s") from exc
        except httpx.HTTPError as exc:
            raise AnswerError(f"{path} cannot be reached: {one_line(str(exc)) or type(exc).__name__}") from exc
        if response.status_code != 200:
            raise AnswerError(f"{path} answered {response.status_code}: {_message(response)}")
        try:
            return response.json()
        except ValueError as exc:
            raise AnswerError(f"{path} answered something else than JSON: {response.text[:80]!r}") from exc


def _message(response: "httpx.Response") -> str:
    """The message in an OpenAI-style error, or the start of the body."""
    try:
        body = response.json()
        return one_line(str(body.get("error", body)["message"]), 300)
    except (ValueError, AttributeError, TypeError, KeyError):
        return repr(response.text[:80])
