"""The simulated server: `python -m recipe_runner.engines.sim_server MODEL [--port N] [flags of vllm serve]`."""

import argparse
import itertools
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from recipe_runner.engines.sim_answers import Answer, Model, Refused
from recipe_runner.engines.sim_faults import SLOW_S, Fault
from recipe_runner.engines.sim_log import access, loading, serving
from recipe_runner.engines.sim_metrics import Metrics
from recipe_runner.engines.sim_wire import events, whole

KEY: Final = "VLLM_API_KEY"  # as vLLM calls it; importing our name for it would take a quarter more of the start
ERRORS: Final = {400: "BadRequestError", 401: "Unauthorized", 404: "NotFoundError"}


class Pace(NamedTuple):
    """How fast it generates; beyond its capacity, the slower the more requests there are at once."""

    ttft_ms: float = 0
    tpot_ms: float = 0
    capacity: int | None = None

    def among(self, requests: int) -> "Pace":
        """The pace of one of so many requests."""
        slower = max(1.0, requests / self.capacity) if self.capacity else 1.0
        return Pace(slower * self.ttft_ms, slower * self.tpot_ms)

    def due(self, piece: int) -> float:
        """When a piece is there, in seconds from the request."""
        return (self.ttft_ms + piece * self.tpot_ms) / 1000


class Server(ThreadingHTTPServer):
    """Answers for one model; what that can is said as `Model` takes it."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        model: str,
        replies: Sequence[Sequence[str]],
        *,
        pace: Pace | None = None,
        fault: Fault | None = None,
        **can: Any,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.model, self.pace, self.fault = model, pace or Pace(), fault or Fault()
        self.says = Model(replies, **can)
        self.metrics, self.ids = Metrics(model), itertools.count()
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """The pages of vLLM's server that clients ask for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a small chunk waits for the acknowledgement of the one before
    server: Server
    pace: Pace
    number: int

    def do_GET(self) -> None:
        fault = self.server.fault.name
        match self.path:
            case "/health":
                self._send(503 if fault == "unhealthy" else 200, b"", "application/json")
            case "/metrics":
                self._send(200, self.server.metrics.text().encode(), "text/plain; version=0.0.4; charset=utf-8")
            case "/version":
                self._answer(200, {"version": "simulated"})
            case "/v1/models" if self._may_ask():
                name = "another/model" if fault == "wrong_model" else self.server.model
                model = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "simulated"}
                self._answer(200, {"object": "list", "data": [model], "simulated": True})
            case "/v1/models":
                self._refuse(401, "Unauthorized")
            case _:
                self._refuse(404, "no such page")

    def do_POST(self) -> None:
        says = self.server.says
        answering = {
            "/v1/completions": says.complete,
            "/v1/chat/completions": says.chat,
            "/v1/embeddings": says.embed,
        }
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._may_ask():
            self._refuse(401, "Unauthorized")
        elif self.path not in answering:
            self._refuse(404, "no such page")
        else:
            self._generate(data, answering[self.path])

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        self.log_message('"%s" %s %s', self.requestline, int(code), HTTPStatus(int(code)).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        access(f"{self.client_address[0]}:{self.client_address[1]}", format % args)

    def _may_ask(self) -> bool:
        """As with vLLM, a key in the server's environment is asked for."""
        key = os.environ.get(KEY)
        return not key or self.headers.get("Authorization") == f"Bearer {key}"

    def _generate(self, data: bytes, answering: Callable[[dict[str, Any]], Answer]) -> None:
        started = time.monotonic()
        try:
            body, answer = self._understood(data, answering)
        except Refused as refused:
            self._refuse(refused.status, str(refused))
            return
        match fault := self.server.fault.request():
            case "error":
                self._fails(500, b'{"error": {"message": "simulated: the engine failed", "code": 500}}')
                return
            case "garbage" | "empty":
                self._fails(200, b"<html>simulated" if fault == "garbage" else b"")
                return
            case "slow_first_token":
                started += SLOW_S
        self.number = next(self.server.ids)
        answer = answer.struck(fault, self.number)
        deliver = self._stream if body.get("stream") else self._whole
        with self.server.metrics.request(answer.prompt, answer.tokens, answer.finish) as requests:
            self.pace = self.server.pace.among(requests)
            deliver(answer, body, started, cut=fault == "truncated")

    def _understood(self, data: bytes, answering: Callable[[dict[str, Any]], Answer]) -> tuple[dict[str, Any], Answer]:
        """The body of a request, and what is answered."""
        try:
            body = json.loads(data)
            name = body.get("model", self.server.model)
            if name == self.server.model:
                return body, answering(body)
        except (ValueError, AttributeError, TypeError, KeyError) as exc:
            raise Refused(400, "the body is not as the API has it") from exc
        raise Refused(404, f"The model `{name}` does not exist.")

    def _fails(self, status: int, data: bytes) -> None:
        self.server.metrics.error()
        self._send(status, data, "application/json")

    def _whole(self, answer: Answer, _: dict[str, Any], started: float, *, cut: bool) -> None:
        self._wait(started, max(0, len(answer.pieces) - 1))
        data = whole(answer, *self._head(answer))
        self._send(200, data[: len(data) // 2] if cut else data, "application/json")

    def _stream(self, answer: Answer, body: dict[str, Any], started: float, *, cut: bool) -> None:
        options = body.get("stream_options")
        usage = isinstance(options, dict) and bool(options.get("include_usage"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        said = list(events(answer, *self._head(answer, ".chunk"), usage=usage))
        for piece, event in said[: len(answer.pieces) // 2] if cut else said:
            self._wait(started, piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b'8\r\ndata: {"\r\n0\r\n\r\n' if cut else b"0\r\n\r\n")

    def _head(self, answer: Answer, chunk: str = "") -> tuple[dict[str, Any], str]:
        """What every answer begins with, and an id for a tool call."""
        kind, prefix = (f"chat.completion{chunk}", "chatcmpl") if answer.chat else ("text_completion", "cmpl")
        head = {"id": f"{prefix}-sim-{self.number}", "object": kind, "created": int(time.time())}
        return {**head, "model": self.server.model}, f"chatcmpl-tool-sim-{self.number}"

    def _wait(self, started: float, piece: int) -> None:
        time.sleep(max(0.0, started + self.pace.due(piece) - time.monotonic()))

    def _refuse(self, status: int, text: str) -> None:
        error = {"message": text, "type": ERRORS[status], "param": None, "code": status}
        self._answer(status, {"error": error, "simulated": True})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def parsed(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """What a command line says, and what of it is nothing to a simulated server."""
    parser = argparse.ArgumentParser(prog="sim_server", allow_abbrev=False)
    parser.add_argument("--reply", nargs=2, action="append", default=[], metavar=("PART", "TEXT"))
    for name in ("--ttft-ms", "--tpot-ms", "--load-s"):
        parser.add_argument(name, type=float, default=0)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--fault-at", default="loading")
    parser.add_argument("--fault-every", type=int, default=1)
    parser.add_argument("model")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    for name in ("--fault", "--tool-call-parser", "--reasoning-parser", "--max-model-len"):
        parser.add_argument(name)
    args, ignored = parser.parse_known_args(argv)
    args.name = args.served_model_name[0] if args.served_model_name else args.model
    return args, ignored


def opened(args: argparse.Namespace, fault: Fault) -> Server:
    """The server as the command line has it; it listens, and answers when it is told to serve."""
    pace = Pace(args.ttft_ms, args.tpot_ms, args.capacity)
    tools = bool(args.enable_auto_tool_choice and args.tool_call_parser)
    longest = int(args.max_model_len) if (args.max_model_len or "").isdigit() else None  # 32k, auto: not known
    can = {"auto_tools": tools, "reasons": bool(args.reasoning_parser), "longest": longest}
    return Server((args.host, args.port), args.name, args.reply, pace=pace, fault=fault, **can)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    args, rest = parsed(argv)
    fault = Fault(args.fault, args.fault_at, args.fault_every)
    print(f"INFO: simulated server for {args.name} on {args.host}:{args.port}; takes no notice of {rest}", flush=True)
    fault.stage("start")
    loading(args.model, args.load_s, lambda: fault.stage("loading"))
    fault.stage("binding")
    with opened(args, fault) as server:
        fault.stage("serving")
        serving(args.host, server.server_port)
        server.serve_forever(poll_interval=0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
