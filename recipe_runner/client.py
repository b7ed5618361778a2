"""The OpenAI-compatible API of a server, as far as checks need it.

What is generated is asked for as a stream, so that a server that says nothing is told from one that is slow. A server
that answers in one piece all the same is understood as well.
"""

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from recipe_runner.secrets import KEY as KEY
from recipe_runner.serialize import safe_line
from recipe_runner.serving.wire import AnswerError as AnswerError
from recipe_runner.serving.wire import Fuse, document, joined, page, refused, slow

if TYPE_CHECKING:
    import httpx  # 0.2 s, so it is imported only where a client is made

CONNECT_S: Final = 3.0
HEALTH_S: Final = 1.0
STREAMED: Final = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Call:
    """A tool that the model calls: its name, and the arguments as the server gives them, JSON if all is well."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What the server generated, and how long that took, in seconds; `ttft_s` until it began, if it was streamed.

    A chat may have `reasoning` apart from its text, and `calls` of tools; `finish` is why it ended: stop, length, ….
    """

    text: str
    seconds: float
    usage: Mapping[str, Any]
    ttft_s: float | None = None
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""


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
        self._http = httpx.Client(timeout=timeout, trust_env=False, headers=headers, limits=limits)

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
            return safe_line(str(self._json("/version")["version"]), 100)
        except (AnswerError, TypeError, KeyError):
            return None

    def metrics(self) -> str:
        """The page `/metrics`: what the server counted, as Prometheus reads it."""
        with self._asked("GET", "/metrics", self.timeout_s) as (response, _):
            return page("/metrics", response)

    def complete(self, prompt: str, **parameters: Any) -> Answer:
        """`/v1/completions`: the text that follows a prompt."""
        return self._generated("/v1/completions", {"prompt": prompt, **parameters}, _Heard("text"))

    def chat(self, messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Answer:
        """`/v1/chat/completions`: the answer to a conversation."""
        return self._generated("/v1/chat/completions", {"messages": list(messages), **parameters}, _Heard())

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """`/v1/embeddings`: a vector for each text."""
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        answer = self._json("/v1/embeddings", "POST", json=body)
        try:
            entries = sorted(answer["data"], key=lambda entry: int(entry["index"]))
            return [[_number(value) for value in entry["embedding"]] for entry in entries]
        except (TypeError, KeyError, ValueError, OverflowError) as exc:
            raise AnswerError("/v1/embeddings answered without vectors in `data`") from exc

    def _generated(self, path: str, body: Mapping[str, Any], heard: "_Heard") -> Answer:
        start = time.monotonic()
        body = {"model": self.model, **(STREAMED if body.get("stream", True) else {}), **body}
        with self._asked("POST", path, self.timeout_s, self.first_token_s, json=body) as (response, fuse):
            try:
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    said, usage = joined(path, response, fuse, heard.text)
                    return heard.answer(said, time.monotonic() - start, usage, fuse.began_s)
                fuse.began()
                answer = document(path, response)
                return heard.answer(heard.text(answer["choices"][0]), time.monotonic() - start, answer.get("usage"))
            except (AttributeError, TypeError, KeyError, IndexError) as exc:
                raise AnswerError(f"{path} answered without a text in `choices`") from exc

    def _json(self, path: str, method: str = "GET", **request: Any) -> Any:
        with self._asked(method, path, self.timeout_s, **request) as (response, _):
            return document(path, response)

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, total_s: float, first_s: float | None = None, **request: Any
    ) -> Iterator[tuple["httpx.Response", Fuse]]:
        """An answer of status 200 that is still to be read; what goes wrong until that is done is an `AnswerError`."""
        import httpx

        with Fuse(total_s, first_s or total_s) as fuse:
            try:
                with self._http.stream(
                    method, self.url + path, extensions={"trace": fuse.trace}, **request
                ) as response:
                    if response.status_code != 200:
                        raise refused(path, response)
                    yield response, fuse
            except httpx.ConnectTimeout as exc:
                raise slow(f"{path} cannot be reached within {self.connect_s:g} s", "connect_s") from exc
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, AnswerError) as exc:  # of a host that can be none
                if fuse.blown or isinstance(exc, httpx.TimeoutException):
                    raise fuse.error(path) from exc
                if isinstance(exc, AnswerError):
                    raise
                how = "broke off" if fuse.began_s is not None else "cannot be reached"
                raise AnswerError(f"{path} {how}: {safe_line(str(exc)) or type(exc).__name__}") from exc


class _Heard:
    """Listens to the choices of an answer, one or a stream of them, for what is said beside the text."""

    def __init__(self, key: str = "content") -> None:
        self.key, self.reasoning, self.finish = key, "", ""
        self.calls: dict[int, dict[str, str]] = {}

    def text(self, choice: Any) -> Any:
        """The text of a choice: all of it, or the piece of it that an event brings."""
        self.finish = choice.get("finish_reason") or self.finish
        if self.key == "text":
            return choice["text"]
        message = choice["delta"] if "delta" in choice else choice["message"]
        # vLLM says `reasoning`; what others say, and vLLM did once, is `reasoning_content`
        self.reasoning += message.get("reasoning") or message.get("reasoning_content") or ""
        for place, call in enumerate(message.get("tool_calls") or ()):
            known = self.calls.setdefault(call.get("index", place), {"name": "", "arguments": ""})
            for key in known:
                known[key] += call["function"].get(key) or ""
        return message.get("content")

    def answer(self, text: Any, seconds: float, usage: Any, ttft_s: float | None = None) -> Answer:
        calls = tuple(Call(**self.calls[index]) for index in sorted(self.calls))
        said = "" if text is None else str(text)
        counted = usage if isinstance(usage, Mapping) else {}
        return Answer(said, seconds, counted, ttft_s, self.reasoning, calls, self.finish)


def _number(value: Any) -> float:
    """A number of a vector; JSON has no NaN, so servers write null instead."""
    return math.nan if value is None else float(value)
