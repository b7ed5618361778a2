"""What comes over a connection to a server: cut in time, bounded in size, and whole, or else an `AnswerError`."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Self

from recipe_runner.serialize import quoted, safe_line

if TYPE_CHECKING:
    import httpx

MAX_MIB: Final = 64  # of one answer
Text = Callable[[Any], Any]


class AnswerError(Exception):
    """The server answered with an error, with something else than JSON, or not in time.

    `do` is a cure, if known; `status` that of HTTP, if it was that.
    """

    def __init__(self, what: str, do: str = "", status: int | None = None) -> None:
        super().__init__(what)
        self.do, self.status = do, status


class Fuse:
    """Cuts a connection in time: a read time-out alone would start anew with each byte that drips in.

    `first_s` is for the first piece of an answer, `total_s` for all of it.
    """

    def __init__(self, total_s: float, first_s: float) -> None:
        self.total_s, self.first_s = total_s, min(first_s, total_s)
        self.began_s: float | None = None
        self.blown = False
        self._start = time.monotonic()
        self._socket: socket.socket | None = None
        self._timer = self._lit(self.first_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def began(self) -> None:
        """The first piece is there: from now on only the whole counts."""
        if self.began_s is None:
            self.began_s = time.monotonic() - self._start
            self._timer.cancel()
            self._timer = self._lit(self.total_s - self.began_s)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear from httpx of the connection; a copy of its socket is one that TLS does not take away."""
        if event == "connection.connect_tcp.complete":
            self._socket = info["return_value"].get_extra_info("socket").dup()
            if self.blown:
                self._blow()

    def error(self, path: str) -> AnswerError:
        """What it means that this was cut."""
        if self.began_s is not None:
            return slow(f"{path} was still answering after {self.total_s:g} s", "request_s")
        if self.first_s < self.total_s:
            return slow(f"{path} did not begin to answer within {self.first_s:g} s", "first_token_s")
        return slow(f"{path} did not answer within {self.total_s:g} s", "request_s")

    def _lit(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._blow)
        timer.daemon = True
        timer.start()
        return timer

    def _blow(self) -> None:
        self.blown = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def slow(what: str, setting: str) -> AnswerError:
    return AnswerError(what, f"allow more with timeouts.{setting}=…")


def refused(path: str, response: "httpx.Response") -> AnswerError:
    """An answer that is an error: the message in it as OpenAI words them, or how it begins."""
    told = _told(b"".join(_chunks(path, response)))
    return AnswerError(f"{path} answered {response.status_code}: {told}", status=response.status_code)


def document(path: str, response: "httpx.Response") -> Any:
    """An answer in one piece."""
    return _parsed(path, b"".join(_chunks(path, response)))


def page(path: str, response: "httpx.Response") -> str:
    """An answer that is a text."""
    return b"".join(_chunks(path, response)).decode(errors="replace")


def joined(path: str, response: "httpx.Response", fuse: Fuse, text: Text) -> tuple[str, Any]:
    """An answer that is streamed: its text, put together, and its usage."""
    pieces: list[Any] = []
    usage, whole = None, False
    for line in _lines(_chunks(path, response)):
        field, _, data = line.partition(b":")
        if field != b"data":
            continue
        if data.strip() == b"[DONE]":
            whole = True
            break
        fuse.began()
        event = _parsed(path, data)
        if event.get("error"):
            raise AnswerError(f"{path} broke off: {_told(data)}")
        usage = event.get("usage") or usage
        for choice in (choice for choice in event["choices"] if choice.get("index", 0) == 0):
            pieces.append(text(choice))
            whole |= choice.get("finish_reason") is not None
    said = "".join(str(piece) for piece in pieces if piece is not None)
    if not whole:
        raise AnswerError(f"{path} broke off after {len(said)} characters")
    if not pieces:
        raise KeyError("choices")
    return said, usage


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, as the format has them: httpx would also split where Unicode sees a line's end, inside of texts."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _chunks(path: str, response: "httpx.Response") -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > MAX_MIB << 20:
            raise AnswerError(f"{path} answered with more than {MAX_MIB} MiB")
        yield chunk


def _parsed(path: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        text = data.decode(errors="replace").strip()
        raise AnswerError(f"{path} answered something else than JSON: {quoted(text, 80)}") from exc


def _told(data: bytes) -> str:
    try:
        body = json.loads(data)
        return safe_line(str(body.get("error", body)["message"]), 300)
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return quoted(data.decode(errors="replace").strip(), 80)
