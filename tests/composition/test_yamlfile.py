"""YAML as recipes use it: what scalars mean, on which line keys stand, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recipe_runner.composition.yamlfile import MAX_BYTES, places, read
from recipe_runner.errors import RecipeError

DEEP = 41


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("8000", 8000),
        ("-3", -3),
        ("+3", 3),
        ("0.7", 0.7),
        ("1e-3", 0.001),
        (".5", 0.5),
        *((text, text) for text in ("on", "no", "yes", "off", "y", "12:30", "2026-01-01", "0x10", "010", "1_000", "=")),
        *((text, text) for text in (".inf", ".nan", "nan", "1.2.3", "<<", "a: b"[0], "FALSe")),
        ("'8000'", "8000"),
        ('"true"', "true"),
        ("[1, a, {b: null}]", [1, "a", {"b": None}]),
    ],
)
def test_scalars_mean_what_they_show(written: str, value: Any, write: Callable[..., Path]) -> None:
    found = read(write("x.yaml", f"key: {written}\n"))[0]["key"]
    assert found == value
    assert type(found) is type(value)


def test_lines_of_all_keys_are_known(write: Callable[..., Path]) -> None:
    file = write("x.yaml", "# a comment\nserve:\n  port: 1\n\n  list:\n    - a: 1\n    - {b: 2}\nenv: {}\n")
    assert read(file)[1] == {
        ("serve",): 2,
        ("serve", "port"): 3,
        ("serve", "list"): 5,
        ("serve", "list", "0", "a"): 6,
        ("serve", "list", "1", "b"): 7,
        ("env",): 8,
    }
    assert places(file)["serve.port"] == f"{file}:3"
    assert places(file, "engine") == {"engine": str(file), **{f"engine.{k}": v for k, v in places(file).items()}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- {}\n", "null\n"])
def test_an_empty_file_is_an_empty_mapping(text: str, write: Callable[..., Path]) -> None:
    assert read(write("x.yaml", text)) == ({}, {})


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(prefix: bytes, newline: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(prefix + b"a: 1" + newline + b"b: 2" + newline)
    assert read(file) == ({"a": 1, "b": 2}, {("a",): 1, ("b",): 2})


TAG = "is not read; write the value without it, in quotes if it is text"
TAB = "a tab, or another character with which nothing can begin; indent with spaces, and put such a value in quotes"
COLON = "a second `: ` in one line; put the value in quotes, or what is inside it in lines of its own"
LINE = "correct the line, or the one above"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "x.yaml:1 — this is not a mapping; write `key: value` lines"),
        ("text\n", "x.yaml:1 — this is not a mapping; write `key: value` lines"),
        ("a: 1\nb: {\n", f"x.yaml:3 — YAML error: did not find expected node content; {LINE}"),
        ("a: 'b\n", f"x.yaml:2 — YAML error: found unexpected end of stream; {LINE}"),
        ("a:\n\tb: 1\n", f"x.yaml:2 — {TAB}"),
        ("a: b: c\n", f"x.yaml:1 — {COLON}"),
        ("a: 1\nb\nc: 1\n", f"x.yaml:3 — YAML error: could not find expected ':'; {LINE}"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2 — a second document begins here; keep one, without `---` lines"),
        ("a: 1\na: 2\n", "x.yaml:2 — the key a stands twice; see line 1; keep one"),
        ("a:\n  b: {c: 1, c: 2}\n", "x.yaml:2 — the key c stands twice; see line 2; keep one"),
        ("a: &x 1\nb: *x\n", "x.yaml:2 — YAML aliases are not read; write the value out, or inherit from a recipe"),
        ("a: 1\n2: b\n", "x.yaml:2 — the key '2' is not text; put it in quotes"),
        ("on: 1\ntrue: b\n", "x.yaml:2 — the key 'true' is not text; put it in quotes"),
        ("? [a, b]\n: c\n", "x.yaml:1 — the key of several parts is not text; put it in quotes"),
        ("'': c\n", "x.yaml:1 — the key '' is not text; put it in quotes"),
        ("a: !!python/object/apply:os.system [ls]\n", f"x.yaml:1 — the tag !!python/object/apply:os.system {TAG}"),
        ("a: !!binary aGk=\n", f"x.yaml:1 — the tag !!binary {TAG}"),
        ("a: !!set {b, c}\n", f"x.yaml:1 — the tag !!set {TAG}"),
        ("a: 1\nb: !mine c\n", f"x.yaml:2 — the tag !mine {TAG}"),
        ('a: "b\\0c"\n', "x.yaml:1 — there is a NUL character in this text; remove it"),
        ("a: 1e999\n", "x.yaml:1 — 1e999 is too large; write a smaller number"),
        (f"a: {'9' * 5000}\n", f"x.yaml:1 — {'9' * 40} is too large; write a smaller number"),
        (f"a:\n  {'[' * DEEP}{']' * DEEP}\n", "x.yaml:2 — this is nested too deeply; a recipe is a page of facts"),
        (f"a: {'{b: ' * 100_000}\n", "x.yaml:1 — this is nested too deeply; a recipe is a page of facts"),
        (f"a: '{'é' * MAX_BYTES}'\n", "x.yaml:1 — the file is larger than 1 MiB; a recipe is a page of facts"),
        (
            "a: \x07\n",
            "x.yaml:1 — YAML error: unacceptable character #x0007: control characters are not allowed; "
            "correct the file",
        ),
    ],
)
def test_what_is_refused(text: str, told: str, write: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError) as error:
        read(write("x.yaml", text))
    assert str(error.value) == told


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(RecipeError) as error:
        read(tmp_path / "latin.yaml")
    assert str(error.value) == "latin.yaml — the file cannot be read: it is not UTF-8 text; check the path"
    with pytest.raises(RecipeError) as error:
        read(tmp_path / "none.yaml")
    assert str(error.value) == "none.yaml — the file cannot be read: No such file or directory; check the path"


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=90))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_any_quoted_text_is_read_as_it_stands(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    quoted = "".join(f"\\U{ord(char):08x}" for char in text)
    file.write_text(f'{{"{quoted}": "{quoted}"}}\n')
    assert read(file) == ({text: text}, {(text,): 1})
