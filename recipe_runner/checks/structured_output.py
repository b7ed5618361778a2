"""`structured_output`: an answer keeps to a JSON schema."""

from typing import Any

from pydantic import Field

from recipe_runner.api import Client, Outcome, failed, passed
from recipe_runner.checks.expect import Samples, asked
from recipe_runner.checks.json_schema import Schema, misfit
from recipe_runner.serialize import quoted

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "is_a_capital": {"type": "boolean"}},
    "required": ["city", "is_a_capital"],
    "additionalProperties": False,
}


class StructuredOutput(Samples):
    """Asks for an answer by `json_schema` (`response_format`, as OpenAI has it), and judges whether it is one."""

    prompt: str = "Which city is Paris, and is it a capital? Answer in JSON."
    """What is asked."""
    max_tokens: int = Field(default=512, ge=1)
    """The most that is generated."""
    json_schema: Schema = CITY
    """What the answer must be; by default a city, and whether it is a capital."""

    def run(self, server: Client) -> Outcome:
        wanted = {"name": "answer", "schema": self.json_schema, "strict": True}
        form = {"type": "json_schema", "json_schema": wanted}
        answer = server.chat(asked(self.prompt), **{"response_format": form, **self.parameters()})
        _, wrong = misfit(answer.text, self.json_schema)
        said = quoted(answer.text)
        return failed(f"{said} {wrong}{self.cut(answer)}") if wrong else passed(said)
