"""What the simulated model says: from the body of a request to the pieces of an answer."""

import contextlib
import itertools
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from recipe_runner.engines.sim_schema import instance

DEFAULT_REPLY: Final = "This is a simulated answer."
IMAGE_REPLY: Final = "This is a simulated answer to an image."
REASONING: Final = "This is simulated reasoning."
IMAGE: Final = "<image_url>"
DIMENSION: Final = 64  # of a vector
COMPLETION_TOKENS: Final = 16  # what vLLM generates where a completion says nothing
CHAT_TOKENS: Final = 4096
TOO_LONG: Final = (  # renderers/params.py
    "This model's maximum context length is {most} tokens. However, your prompt contains {asked} input tokens, which "
    "exceeds this limit even without any output tokens. Please reduce the length of the input prompt."
)
TOO_MANY: Final = "max_tokens={asked} cannot be greater than max_model_len={most}. Please request fewer output tokens."
NO_AUTO: Final = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'  # vLLM's


class Refused(Exception):
    """A request that vLLM would refuse, too."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answer(NamedTuple):
    """What is generated: one piece a token, why it ends, and the tool that is called, if one is; or vectors."""

    prompt: tuple[Any, ...]
    pieces: tuple[str, ...]
    finish: str
    chat: bool = False
    tool: str | None = None
    reasoning: str = ""
    vectors: tuple[list[float], ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        return len(self.reasoning.split()) + len(self.pieces)

    @property
    def usage(self) -> dict[str, int]:
        prompt, completion = len(self.prompt), self.tokens
        return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}

    def struck(self, fault: str | None, number: int) -> "Answer":
        """The answer as a fault has it; `number` is its own."""
        match fault:
            case "malformed_tool_call" if self.tool:
                return self._replace(pieces=self.pieces[: len(self.pieces) // 2])
            case "off_topic" if not self.vectors:
                return Answer(self.prompt, _words(DEFAULT_REPLY), "stop", self.chat)
            case "leaked_reasoning" if self.reasoning:
                thought = _words(f"<think> {self.reasoning} </think> ")
                return self._replace(pieces=(*thought, *self.pieces), reasoning="")
            case "wavering" if not self.tool:
                return self._replace(pieces=(*self.pieces, f" {number}"))
            case "flat_embeddings":
                return self._replace(vectors=tuple([1.0] * DIMENSION for _ in self.vectors))
        return self


class Model:
    """Answers with the reply to the longest known part of a prompt; a word is a token.

    `auto_tools` and `reasons` say whether flags of vLLM are given that tools and reasoning take; `longest` is how many
    tokens a request may have, prompt and answer.
    """

    def __init__(
        self,
        replies: Sequence[Sequence[str]],
        *,
        auto_tools: bool = False,
        reasons: bool = False,
        longest: int | None = None,
    ) -> None:
        self.replies, self.auto_tools, self.reasons, self.longest = replies, auto_tools, reasons, longest

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
            answer = self._answer(body, prompt.split(), self._formed(body, prompt), CHAT_TOKENS)
            return answer._replace(chat=True, reasoning=REASONING if self.reasons else "")
        pieces = _words(self._object(prompt, tool.get("parameters") or {"type": "object"}))
        named = isinstance(body.get("tool_choice"), dict)  # vLLM ends the call of a tool that was named with `stop`
        return Answer(tuple(prompt.split()), pieces, "stop" if named else "tool_calls", True, str(tool["name"]))

    def embed(self, body: Mapping[str, Any]) -> Answer:
        """The answer to `/v1/embeddings`; texts are the nearer, the more words they have in common."""
        given = body["input"]
        texts = [given] if isinstance(given, str) else [str(text) for text in given]
        return Answer(tuple(" ".join(texts).split()), (), "stop", vectors=tuple(map(_vector, texts)))

    def _reply(self, prompt: str) -> str:
        known = [(part, reply) for part, reply in self.replies if part in prompt]
        if known:
            return max(known, key=lambda pair: len(pair[0]))[1]
        return IMAGE_REPLY if IMAGE in prompt else _lone(prompt) or DEFAULT_REPLY

    def _formed(self, body: Mapping[str, Any], prompt: str) -> str:
        """The reply, in the form that it has to have."""
        form = body.get("response_format") or {}
        return self._object(prompt, form["json_schema"]["schema"]) if "json_schema" in form else self._reply(prompt)

    def _answer(self, body: Mapping[str, Any], prompt: Sequence[Any], reply: str, default: int) -> Answer:
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        most = default if most is None else most
        if not isinstance(most, int) or most < 1:
            raise Refused(400, f"max_tokens must be at least 1, got {most}.")
        if self.longest is not None:
            given = body.get("max_completion_tokens") or body.get("max_tokens") or 0
            for asked, told in ((given, TOO_MANY), (len(prompt), TOO_LONG)):
                if asked > self.longest:
                    raise Refused(400, told.format(asked=asked, most=self.longest))
            most = min(most, max(1, self.longest - len(prompt)))  # vLLM cuts the answer short, too
        words = _words(reply)
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

    def _object(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """A reply that is a JSON object, or something that fits the schema."""
        reply = self._reply(prompt)
        with contextlib.suppress(ValueError):
            if isinstance(json.loads(reply), dict):
                return reply
        return json.dumps(instance(schema))


def _text(content: Any) -> str:
    """A chat message's text; of an image only that there is one."""
    if isinstance(content, list):
        return " ".join(part["text"] if part["type"] == "text" else f"<{part['type']}>" for part in content)
    return str(content or "")


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\s*\S+", text))


def _lone(prompt: str) -> str:
    """The first sentence that comes only once where others are repeated: what was hidden in a long text."""
    sentences = Counter(re.split(r"(?<=[.!?])\s+", prompt))
    return next((one for one, count in sentences.items() if count == 1), "") if max(sentences.values()) > 1 else ""


def _vector(text: str) -> list[float]:
    """A direction that the words of a text point to, each to a place of its own."""
    counts = Counter(zlib.crc32(word.encode()) % DIMENSION for word in re.findall(r"\w+", text.lower()))
    length = math.hypot(*counts.values()) or 1.0
    return [counts[place] / length for place in range(DIMENSION)]
