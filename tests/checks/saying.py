"""A client that says what it is told to, and keeps what it was asked."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from recipe_runner.api import Answer, Check, Client, Outcome


class Saying(Client):
    """Its last answer is said again and again."""

    def __init__(self, *answers: Answer | str, vectors: Sequence[Sequence[float]] = ()) -> None:
        self.model, self.vectors = "small", [list(vector) for vector in vectors]
        self.answers = [Answer(each, 0.1, {}) if isinstance(each, str) else each for each in answers]
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    def chat(self, messages: Any, **parameters: Any) -> Answer:
        self.asked.append((messages, parameters))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append((list(texts), {}))
        return self.vectors


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def check(cls: type[Check], client: Client, **fields: Any) -> Outcome:
    return cls.model_validate({"uses": "it", **fields}).run(client)


def refusal(cls: type[Check], **fields: Any) -> str:
    """What is wrong with the fields, where there is one fault."""
    with pytest.raises(ValidationError) as caught:
        cls.model_validate({"uses": "it", **fields})
    (fault,) = caught.value.errors()
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
