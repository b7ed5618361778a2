"""Paths in evidence."""

from pathlib import Path
from typing import Any

import pytest

from recipe_runner.evidence.portable import at_home, homeless, portable

HOME = "/home/me"
RECIPES = Path("/home/me/work/recipes")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("/home/me/work/recipes/assets/tiny", "assets/tiny"),
        ("--path=/home/me/work/recipes/a", "--path=a"),
        ('{"path":"/home/me/work/recipes/a"}', '{"path":"a"}'),
        ("/home/me/work/recipes", "~/work/recipes"),
        ("/home/me/.cache/bin/vllm", "~/.cache/bin/vllm"),
        ("file:///home/me/x", "file:///home/me/x"),
        ("/mnt/home/me/x", "/mnt/home/me/x"),
        ("/home/me2/x /home/me.old", "/home/me2/x /home/me.old"),
        ({"A": ["/home/me/x", 1, None]}, {"A": ["~/x", 1, None]}),
    ],
)
def test_own_places_are_named_as_anybody_has_them(found: Any, kept: Any) -> None:
    assert portable(found, RECIPES) == kept


def test_overrides_are_found_again_at_home() -> None:
    kept = homeless({"model.path": "/home/me/models/x", "serve.port": 0})
    assert kept == {"model.path": "~/models/x", "serve.port": 0}
    assert at_home(kept) == {"model.path": "/home/me/models/x", "serve.port": 0}
    assert at_home("~user a~b") == "~user a~b"


def test_a_root_without_a_home_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    assert homeless("/a/b") == "/a/b"
