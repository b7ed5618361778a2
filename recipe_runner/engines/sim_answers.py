"""What the simulated model says: from the body of a request to the pieces of an answer."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

DEFAULT_REPLY: Final = "This is a simulated answer."
IMAGE_REPLY: Final = "This is a simulated answer to an image."
IMAGE: Final = "<image_url>"
COMPLETION_TOKENS: Final = 16  # what vLLM generates where a completion says nothing
CHAT_TOKENS: Final = 4096
NO_AUTO: Final = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'  # vLLM's
OF_TYPE: Final = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None}


class Refused(Exception):
    """A request that vLLM would refuse, too."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answer(NamedTuple):
    """What is generated: one piece a token, why it ends, and the tool that is called, if one is."""

    prompt: tuple[Any, ...]
    pieces: tuple[str, ...]
    finish: str
    chat: bool = False
    tool: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def usage(self) -> dict[str, int]:
        prompt, completion = len(self.prompt), len(self.pieces)
        return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


class Model:
    """Answers with the reply to the longest known part of a prompt; a word is a token."""

    def __init__(self, replies: Sequence[Sequence[str]], *, auto_tools: bool = False) -> None:
        self.replies, self.auto_tools = replies, auto_tools

    def complete(self, body: Mapping[str, Any]) -> Answer:
        """The answer to `/v1/completions`; a prompt may be text or the numbers of tokens."""
        prompt = body.get("prompt") or ""
        words = prompt.split() if isinstance(prompt, str) else prompt
        return self._answer(body, words, self._reply(str(prompt)), COMPLETION_TOKENS)

    def chat(self, body: Mapping[str, Any]) -> Answer:
        """The answer to `/v1/chat/completions`; with `tools` it is a call, until a tool has said something."""
        messages = body["messages"]
        prompt = "\n".join(_text(message.get("content")) for message in messages)
        tool = self._tool(body) if not messages or messages[-1].get("role") != "tool" else None
        if tool is None:
            return self._answer(body, prompt.split(), self._reply(prompt), CHAT_TOKENS)._replace(chat=True)
        pieces = tuple(re.findall(r"\s*\S+", json.dumps(self._arguments(prompt, tool))))
        named = isinstance(body.get("tool_choice"), dict)  # vLLM ends the call of a tool that was named with `stop`
        return Answer(tuple(prompt.split()), pieces, "stop" if named else "tool_calls", True, str(tool["name"]))

    def _reply(self, prompt: str) -> str:
        known = [(part, reply) for part, reply in self.replies if part in prompt]
        if known:
            return max(known, key=lambda pair: len(pair[0]))[1]
        return IMAGE_REPLY if IMAGE in prompt else DEFAULT_REPLY

    def _answer(self, body: Mapping[str, Any], prompt: Sequence[Any], reply: str, default: int) -> Answer:
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        most = default if most is None else most
        if not isinstance(most, int) or most < 1:
            raise Refused(400, f"max_tokens must be at least 1, got {most}.")
        words = re.findall(r"\s*\S+", reply)
        again = itertools.cycle([f" {word.strip()}" for word in words]) if body.get("ignore_eos") else ()
        pieces = tuple(itertools.islice(itertools.chain(words, again), most))
        return Answer(tuple(prompt), pieces, "length" if again or len(pieces) < len(words) else "stop")

    def _tool(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The function that is to be called: the one that was named, or the first."""
        functions = [tool["function"] for tool in body.get("tools") or []]
        choice = body.get("tool_choice", "auto" if functions else "none")
        if choice == "none" or not functions:
            return None
        if choice == "auto" and not self.auto_tools:
            raise Refused(400, NO_AUTO)
        if not isinstance(choice, dict):
            return dict(functions[0])
        name = choice["function"]["name"]
        named = [dict(function) for function in functions if function["name"] == name]
        if not named:
            raise Refused(400, f"`tool_choice` names {name}, which is none of the `tools`")
        return named[0]

    def _arguments(self, prompt: str, tool: Mapping[str, Any]) -> Any:
        """A reply that is a JSON object, or something of the right type for each parameter."""
        try:
            given = json.loads(self._reply(prompt))
        except ValueError:
            given = None
        if isinstance(given, dict):
            return given
        properties = (tool.get("parameters") or {}).get("properties") or {}
        return {name: _example(schema) for name, schema in properties.items()}


def _text(content: Any) -> str:
    """A chat message's text; of an image only that there is one."""
    if isinstance(content, list):
        return " ".join(part["text"] if part["type"] == "text" else f"<{part['type']}>" for part in content)
    return str(content or "")


def _example(schema: Mapping[str, Any]) -> Any:
    return schema["enum"][0] if schema.get("enum") else OF_TYPE.get(str(schema.get("type")), "simulated")
