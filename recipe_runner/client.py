"""The OpenAI-compatible API of a server, as far as checks need it.

What is generated is asked for as a stream, so that a server that says nothing is told from one that is slow. A server
that answers in one piece all the same is understood as well.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from recipe_runner.serialize import one_line
from recipe_runner.serving.wire import AnswerError as AnswerError
from recipe_runner.serving.wire import Fuse, Text, document, joined, page, refused, slow

if TYPE_CHECKING:
    import httpx  # 0.2 s, so it is imported only where a client is made

CONNECT_S: Final = 3.0
HEALTH_S: Final = 1.0
KEY: Final = "VLLM_API_KEY"  # vLLM's own variable: a server that inherits it asks for the key
STREAMED: Final = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Answer:
    """What the server generated, and how long that took, in seconds; `ttft_s` until it began, if it was streamed."""

    text: str
    seconds: float
    usage: Mapping[str, Any]
    ttft_s: float | None = None


class Client:
    """One server: `url` without `/v1`, `model` the name under which it serves.

    `timeout_s` is for a whole request, `connect_s` for its connection, `first_token_s` until the answer begins.
    """

    def __init__(
        self,
        url: str,
        model: str,
        timeout_s: float,
        *,
        connect_s: float = CONNECT_S,
        first_token_s: float | None = None,
    ) -> None:
        import httpx

        self.url, self.model, self.timeout_s = url, model, timeout_s
        self.connect_s = min(connect_s, timeout_s)
        self.first_token_s = first_token_s or timeout_s
        timeout = httpx.Timeout(timeout_s, connect=self.connect_s)
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_keepalive_connections=0)  # each request has a connection that can be cut
        # a proxy from the environment must not stand between us and a server on this host
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False, headers=headers, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Whether `/health` answers 200 now."""
        try:
            with self._asked("GET", "/health", HEALTH_S):
                return True
        except AnswerError:
            return False

    def models(self) -> list[str]:
        """The names under which the server serves."""
        answer = self._json("/v1/models")
        try:
            return [str(entry["id"]) for entry in answer["data"]]
        except (TypeError, KeyError) as exc:
            raise AnswerError("/v1/models answered without a list of models") from exc

    def version(self) -> str | None:
        """The version that the server says it is, if it says one."""
        try:
            return one_line(str(self._json("/version")["version"]), 100)
        except (AnswerError, TypeError, KeyError):
            return None

    def metrics(self) -> str:
        """The page `/metrics`: what the server counted, as Prometheus reads it."""
        with self._asked("GET", "/metrics", self.timeout_s) as (response, _):
            return page("/metrics", response)

    def complete(self, prompt: str, **parameters: Any) -> Answer:
        """`/v1/completions`: the text that follows a prompt."""
        return self._generated("/v1/completions", {"prompt": prompt, **parameters}, lambda choice: choice["text"])

    def chat(self, messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Answer:
        """`/v1/chat/completions`: the answer to a conversation."""
        return self._generated("/v1/chat/completions", {"messages": list(messages), **parameters}, _content)

    def _generated(self, path: str, body: Mapping[str, Any], text: Text) -> Answer:
        start = time.monotonic()
        body = {"model": self.model, **(STREAMED if body.get("stream", True) else {}), **body}
        with self._asked("POST", path, self.timeout_s, self.first_token_s, json=body) as (response, fuse):
            try:
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    said, usage = joined(path, response, fuse, text)
                    return Answer(said, time.monotonic() - start, usage or {}, fuse.began_s)
                fuse.began()
                answer = document(path, response)
                said = text(answer["choices"][0])
                return Answer(str("" if said is None else said), time.monotonic() - start, answer.get("usage") or {})
            except (AttributeError, TypeError, KeyError, IndexError) as exc:
                raise AnswerError(f"{path} answered without a text in `choices`") from exc

    def _json(self, path: str) -> Any:
        with self._asked("GET", path, self.timeout_s) as (response, _):
            return document(path, response)

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, total_s: float, first_s: float | None = None, **request: Any
    ) -> Iterator[tuple["httpx.Response", Fuse]]:
        """An answer of status 200 that is still to be read; what goes wrong until that is done is an `AnswerError`."""
        import httpx

        with Fuse(total_s, first_s or total_s) as fuse:
            try:
                with self._http.stream(method, path, extensions={"trace": fuse.trace}, **request) as response:
                    if response.status_code != 200:
                        raise refused(path, response)
                    yield response, fuse
            except httpx.ConnectTimeout as exc:
                raise slow(f"{path} cannot be reached within {self.connect_s:g} s", "connect_s") from exc
            except (httpx.HTTPError, AnswerError) as exc:
                if fuse.blown or isinstance(exc, httpx.TimeoutException):
                    raise fuse.error(path) from exc
                if isinstance(exc, AnswerError):
                    raise
                how = "broke off" if fuse.began_s is not None else "cannot be reached"
                raise AnswerError(f"{path} {how}: {one_line(str(exc)) or type(exc).__name__}") from exc


def _content(choice: Any) -> Any:
    """A chat's text: all of it, or the piece of it that an event brings."""
    return choice["delta"].get("content") if "delta" in choice else choice["message"]["content"]
