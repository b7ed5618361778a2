"""How vLLM renders an answer: as one document, or as the events of a stream."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from recipe_runner.engines.sim_answers import Answer

Choice = dict[str, Any]


def whole(answer: Answer, head: Mapping[str, Any], call: str) -> bytes:
    """The document; `head` is what every answer begins with, `call` the id of a tool call."""
    if answer.vectors:
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(answer.vectors)]
        return json.dumps({**head, "object": "list", "data": data, "usage": answer.usage, "simulated": True}).encode()
    said: Choice = {"message": _message(answer, call)} if answer.chat else {"text": answer.text, "logprobs": None}
    choice = {"index": 0, **said, "finish_reason": answer.finish}
    return json.dumps({**head, "choices": [choice], "usage": answer.usage, "simulated": True}).encode()


def events(answer: Answer, head: Mapping[str, Any], call: str, *, usage: bool) -> Iterator[tuple[int, bytes]]:
    """The server-sent events, each with the number of the piece that it comes with."""
    number = 0
    for number, choice in _chat(answer, call) if answer.chat else _text(answer):
        yield number, _event({**head, "choices": [{"index": 0, **choice}], "simulated": True})
    if usage:
        yield number, _event({**head, "choices": [], "usage": answer.usage, "simulated": True})
    yield number, b"data: [DONE]\n\n"


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps(body).encode()


def _chat(answer: Answer, call: str) -> Iterator[tuple[int, Choice]]:
    """First who speaks, what is thought, and which tool is called; then the pieces."""
    yield 0, {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    if answer.reasoning:
        yield 0, {"delta": {"reasoning": answer.reasoning}, "finish_reason": None}
    if answer.tool:
        opened = {"index": 0, "id": call, "type": "function", "function": {"name": answer.tool, "arguments": ""}}
        yield 0, {"delta": {"tool_calls": [opened]}, "finish_reason": None}
    for number, piece, finish in _pieces(answer):
        called = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        yield number, {"delta": called if answer.tool else {"content": piece}, "finish_reason": finish}


def _text(answer: Answer) -> Iterator[tuple[int, Choice]]:
    for number, piece, finish in _pieces(answer):
        yield number, {"text": piece, "logprobs": None, "finish_reason": finish}


def _pieces(answer: Answer) -> Iterator[tuple[int, str, str | None]]:
    """Each piece with its number; with the last one, why it is the last."""
    pieces = answer.pieces or ("",)
    for number, piece in enumerate(pieces):
        yield number, piece, answer.finish if number == len(pieces) - 1 else None


def _message(answer: Answer, call: str) -> dict[str, Any]:
    if answer.tool is None:
        thought = {"reasoning": answer.reasoning} if answer.reasoning else {}
        return {"role": "assistant", "content": answer.text, **thought, "tool_calls": []}
    called = {"id": call, "type": "function", "function": {"name": answer.tool, "arguments": answer.text}}
    return {"role": "assistant", "content": None, "tool_calls": [called]}
