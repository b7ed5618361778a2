"""The simulated server: `python -m recipe_runner.engines.sim_server MODEL [--port N] [flags of vllm serve]`."""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEFAULT_REPLY = "This is a simulated answer."


class Server(ThreadingHTTPServer):
    """Answers for one model, with fixed replies."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], model: str, replies: Sequence[Sequence[str]]) -> None:
        super().__init__(address, Handler)
        self.model, self.replies, self.ids = model, replies, itertools.count()

    def reply(self, prompt: str) -> str:
        """The reply to the longest known part of the prompt."""
        known = [(part, reply) for part, reply in self.replies if part in prompt]
        return max(known, key=lambda pair: len(pair[0]))[1] if known else DEFAULT_REPLY


class Handler(BaseHTTPRequestHandler):
    """`/health`, `/version`, `/v1/models`, `/v1/completions`, `/v1/chat/completions`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        model = {"id": self.server.model, "object": "model", "owned_by": "simulated"}
        answers: dict[str, Any] = {
            "/health": {},
            "/version": {"version": "simulated"},
            "/v1/models": {"object": "list", "data": [model], "simulated": True},
        }
        self._answer(200 if self.path in answers else 404, answers.get(self.path, _error("no such page", 404)))

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            name = body.get("model", self.server.model)
        except (ValueError, AttributeError):
            self._answer(400, _error("the body is not a JSON object", 400))
            return
        if name != self.server.model:
            self._answer(404, _error(f"The model `{name}` does not exist.", 404))
        elif self.path == "/v1/completions":
            text = self.server.reply(str(body.get("prompt", "")))
            self._generated("text_completion", {"text": text}, str(body.get("prompt", "")), text)
        elif self.path == "/v1/chat/completions":
            prompt = "\n".join(_text(message.get("content")) for message in body.get("messages", []))
            text = self.server.reply(prompt)
            self._generated("chat.completion", {"message": {"role": "assistant", "content": text}}, prompt, text)
        else:
            self._answer(404, _error("no such page", 404))

    def log_message(self, format: str, *args: Any) -> None:
        print(f"INFO: simulated {self.address_string()} - {format % args}", flush=True)

    def _generated(self, kind: str, choice: dict[str, Any], prompt: str, text: str) -> None:
        tokens = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        answer = {"id": f"sim-{next(self.server.ids)}", "object": kind, "created": int(time.time())}
        choices = [{"index": 0, "finish_reason": "stop", **choice}]
        usage = tokens | {"total_tokens": sum(tokens.values())}
        self._answer(200, answer | {"model": self.server.model, "choices": choices, "usage": usage, "simulated": True})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _error(message: str, status: int) -> dict[str, Any]:
    return {"error": {"message": message, "code": status}}


def _text(content: Any) -> str:
    """A chat message's text; of an image only that there is one."""
    if isinstance(content, list):
        return " ".join(part.get("text", f"<{part.get('type')}>") for part in content)
    return str(content)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="sim_server", allow_abbrev=False)
    parser.add_argument("--reply", nargs=2, action="append", default=[], metavar=("PART", "TEXT"))
    parser.add_argument("model")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name")
    args, ignored = parser.parse_known_args(argv)
    name = args.served_model_name or args.model
    with Server((args.host, args.port), name, args.reply) as server:
        print(f"INFO: simulated server for {name} on {args.host}:{args.port}; takes no notice of {ignored}", flush=True)
        server.serve_forever(poll_interval=0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
