"""`tool_call`: the server turns what the model says into a call of the tool."""

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recipe_runner.api import Answer, Client, Outcome, failed, passed
from recipe_runner.checks.expect import Samples, asked
from recipe_runner.checks.json_schema import Schema, misfit
from recipe_runner.serialize import quoted


class Tool(BaseModel):
    """What the model may call; `parameters` is the JSON schema of its arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    """What the model calls it."""
    description: str = ""
    """What the model is told about it."""
    parameters: Schema = {"type": "object", "properties": {}}
    """The JSON schema of its arguments."""


WEATHER: Final = Tool.model_construct(  # nothing to validate, for which jsonschema would be imported: 60 ms
    name="get_weather",
    description="Tells the weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)


class ToolCall(Samples):
    """Asks with a tool, and judges the call that comes back: its name, and its arguments by the tool's schema.

    The model decides whether to call (`tool_choice: auto`), so the server's parser has to find the call in its words:
    vLLM needs `serve.enable_auto_tool_choice` and `serve.tool_call_parser`.
    """

    prompt: str = "What is the weather in Paris? Ask the tool."
    """What is asked."""
    max_tokens: int = Field(default=512, ge=1)
    """The most that is generated."""
    tool: Tool | None = None
    """What the model may call; by default one that tells the weather in a city."""
    expect_arguments: dict[str, Any] = {}
    """Values that the call must have."""

    @model_validator(mode="after")
    def _asks_for_the_tool(self) -> "ToolCall":
        if self.tool and "prompt" not in self.model_fields_set:
            raise ValueError("give a `prompt` for which the model should call this tool")
        return self

    def run(self, server: Client) -> Outcome:
        tool = self.tool or WEATHER
        function = {"type": "function", "function": tool.model_dump()}
        parameters = {"tools": [function], "tool_choice": "auto", **self.parameters()}
        return self._judge(tool, server.chat(asked(self.prompt), **parameters))

    def _judge(self, tool: Tool, answer: Answer) -> Outcome:
        name = tool.name
        if not answer.calls:
            return failed(f"no call of {name}; the answer is {quoted(answer.text)}{self.cut(answer)}")
        call = next((call for call in answer.calls if call.name == name), None)
        if call is None:
            return failed(f"no call of {name}; it calls {', '.join(repr(call.name) for call in answer.calls)}")
        given, wrong = misfit(call.arguments, tool.parameters)
        if wrong:
            return failed(f"{name} is called with {quoted(call.arguments)}, which {wrong}{self.cut(answer)}")
        misses = [
            f"{key} is {_shown(given, key)}, not {json.dumps(value, ensure_ascii=False)}"
            for key, value in self.expect_arguments.items()
            if not isinstance(given, dict) or key not in given or given[key] != value
        ]
        said = f"{name}({json.dumps(given, ensure_ascii=False)})"
        return failed(f"{said}: {'; '.join(misses)}") if misses else passed(said)


def _shown(given: Any, key: str) -> str:
    return json.dumps(given[key], ensure_ascii=False) if isinstance(given, dict) and key in given else "missing"
