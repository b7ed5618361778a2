"""The checks that come with us, each against a client that keeps what it was asked."""

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recipe_runner.api import Answer, Check, Client, Outcome
from recipe_runner.checks.chat import Chat
from recipe_runner.checks.completion import Completion
from recipe_runner.checks.image import Image
from recipe_runner.checks.models import Models

RED = Path(__file__).parents[2] / "recipes" / "assets" / "red.png"
EXPECT = {"expect": {"contains": "red"}}


class Asked(Client):
    """Answers "red" to everything."""

    def __init__(self, *served: str) -> None:
        self.model, self.served = "small", list(served)
        self.asked: list[tuple[str, Any, dict[str, Any]]] = []

    def models(self) -> list[str]:
        return self.served

    def complete(self, prompt: str, **parameters: Any) -> Answer:
        self.asked.append(("complete", prompt, parameters))
        return Answer("red", 0.1, {})

    def chat(self, messages: Any, **parameters: Any) -> Answer:
        self.asked.append(("chat", messages, parameters))
        return Answer("red", 0.1, {})


def run(cls: type[Check], client: Client, context: Any = None, **fields: Any) -> Outcome:
    return cls.model_validate({"uses": "it", **fields}, context=context).run(client)


@pytest.mark.parametrize(
    ("cls", "fields", "asked"),
    [
        (Completion, {"max_tokens": 3}, ("complete", "Hi", {"max_tokens": 3})),
        (Chat, {}, ("chat", [{"role": "user", "content": "Hi"}], {"max_tokens": 100})),
        (
            Chat,
            {"system": "Be brief.", "seed": 1},
            (
                "chat",
                [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
                {"max_tokens": 100, "seed": 1},
            ),
        ),
    ],
)
def test_what_is_asked(cls: type[Check], fields: dict[str, Any], asked: tuple[Any, ...]) -> None:
    client = Asked()
    assert run(cls, client, prompt="Hi", **EXPECT, **fields) == Outcome("passed", "'red'")
    assert client.asked == [asked]
    assert run(cls, client, prompt="Hi", expect={"equals": "blue"}).verdict == "failed"


@pytest.mark.parametrize(("name", "kind"), [("red.png", "image/png"), ("red.unknown", "application/octet-stream")])
def test_an_image_is_sent_with_the_question(tmp_path: Path, name: str, kind: str) -> None:
    client = Asked()
    (tmp_path / name).write_bytes(RED.read_bytes())
    outcome = run(Image, client, lambda field: (tmp_path, True), image=name, prompt="Which colour?", **EXPECT)
    assert outcome.verdict == "passed"
    url = f"data:{kind};base64,{base64.b64encode(RED.read_bytes()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Which colour?"}]
    assert client.asked == [("chat", [{"role": "user", "content": content}], {"max_tokens": 100})]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("none.png", "there is no such file; a path is relative to the file that it stands in"),
        ("../secret.png", "the file must be in the recipe's folder; a recipe brings its own files"),
        ("/etc/passwd", "the file must be in the recipe's folder; a recipe brings its own files"),
    ],
)
def test_an_image_is_a_file_of_the_recipe(tmp_path: Path, image: str, message: str) -> None:
    (tmp_path / "secret.png").touch()
    with pytest.raises(ValidationError, match=message):
        run(Image, Asked(), lambda field: (tmp_path / "recipe", True), image=image, prompt="?", **EXPECT)


def test_an_image_may_be_fetched_by_the_server(tmp_path: Path) -> None:
    client = Asked()
    url = "https://example.org/a%20b.png?x=1#y"
    assert run(Image, client, lambda field: (tmp_path, True), image=url, prompt="?", **EXPECT).verdict == "passed"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    assert client.asked == [("chat", [{"role": "user", "content": content}], {"max_tokens": 100})]


@pytest.mark.parametrize(
    "image",
    [
        "http://example.org/x.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "FTP://example.org/x",
        "HTTPS://example.org/x",
        "https://user:pw@example.org/x",
        "https:///x",
        "https://example.org/a b",
        "https://example.org/\n",
        "https://a\\b/",
        "javascript:alert(1)",
    ],
)
def test_an_image_is_fetched_from_nowhere_else(tmp_path: Path, image: str) -> None:
    with pytest.raises(ValidationError, match="give a file beside the recipe, or an address that begins with https://"):
        run(Image, Asked(), lambda field: (tmp_path, True), image=image, prompt="?", **EXPECT)


@pytest.mark.parametrize("image", ["x" * 300, "loop/x.png"])
def test_an_image_that_no_file_can_be(tmp_path: Path, image: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValidationError, match="there cannot be such a file; a path is relative to the file that"):
        run(Image, Asked(), lambda field: (tmp_path, True), image=image, prompt="?", **EXPECT)


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (["small"], Outcome("passed", "serves small")),
        (["large", "small"], Outcome("passed", "serves large, small")),
        (["large", "medium"], Outcome("failed", "no small; serves large, medium")),
        ([], Outcome("failed", "no small; serves nothing")),
    ],
)
def test_models(served: list[str], expected: Outcome) -> None:
    assert run(Models, Asked(*served)) == expected
