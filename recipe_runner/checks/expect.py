"""What an answer must be, as every check that generates text takes it under `expect:`."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recipe_runner.api import Answer, Check, Outcome, failed, passed


class Expect(BaseModel):
    """What must hold of an answer: every key that is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    contains: str | None = None
    any_of: list[str] | None = Field(default=None, min_length=1)
    regex: str | None = None
    equals: str | None = None
    not_empty: bool | None = None
    max_latency_s: float | None = Field(default=None, gt=0)
    ignore_case: bool = False

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as exc:
            raise ValueError(f"this is not a regular expression: {exc}") from exc
        return value

    @model_validator(mode="after")
    def _says_something(self) -> "Expect":
        if not self.model_dump(exclude_none=True, exclude={"ignore_case"}):
            raise ValueError("expect at least one thing, such as `contains: Paris`")
        return self

    def misses(self, answer: Answer) -> list[str]:
        """Each expectation that the answer does not meet, in words."""
        text = self._fold(answer.text)
        stripped = text.strip()
        misses = []
        if self.contains is not None and self._fold(self.contains) not in text:
            misses.append(f"does not contain {self.contains!r}")
        if self.any_of is not None and not any(self._fold(word) in text for word in self.any_of):
            misses.append(f"contains none of {', '.join(map(repr, self.any_of))}")
        if self.regex is not None and not re.search(self.regex, answer.text, re.IGNORECASE if self.ignore_case else 0):
            misses.append(f"does not match {self.regex!r}")
        if self.equals is not None and stripped != self._fold(self.equals).strip():
            misses.append(f"is not {self.equals!r}")
        if self.not_empty is not None and bool(stripped) != self.not_empty:
            misses.append("is empty" if self.not_empty else "is not empty")
        if self.max_latency_s is not None and answer.seconds > self.max_latency_s:
            misses.append(f"took {answer.seconds:.2f} s, more than {self.max_latency_s:g} s")
        return misses

    def _fold(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text


class Generates(Check):
    """A check that has the server generate text: sampling parameters as in the OpenAI API, and `expect:`."""

    prompt: str
    max_tokens: int = Field(default=100, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    extra_body: dict[str, Any] = {}
    expect: Expect

    def parameters(self) -> dict[str, Any]:
        sampling = self.model_dump(include={"max_tokens", "temperature", "top_p", "seed", "stop"}, exclude_none=True)
        return {**sampling, **self.extra_body}

    def judge(self, answer: Answer) -> Outcome:
        said = _quoted(answer.text)
        misses = self.expect.misses(answer)
        return failed(f"{said} {'; '.join(misses)}") if misses else passed(said)


def _quoted(text: str, most: int = 120) -> str:
    """The answer on one line, with control characters escaped."""
    return repr(text if len(text) <= most else text[:most] + "…")
