import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner import serialize


def test_compact_for_command_lines_and_indented_for_files() -> None:
    assert serialize.to_json({"a": [1, "é"], "b": None}) == '{"a":[1,"é"],"b":null}'
    assert serialize.to_json({"a": 1}, indent=2) == '{\n  "a": 1\n}'


def test_mappings_and_paths_are_written_as_what_they_hold() -> None:
    assert serialize.to_json(MappingProxyType({"file": Path("a/b")})) == '{"file":"a/b"}'


def test_a_document_is_written_whole(tmp_path: Path) -> None:
    file = serialize.write_json(tmp_path / "report.json", {"answer": "é"})
    assert file.read_text() == '{\n  "answer": "é"\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("plain", "plain"),
        ("it's\nmore", """'it'"'"'s\nmore'"""),
        ("\x1b[2J it's\n\\ \u202e\U000e0001é", "$'\\u001b[2J it\\'s\\u000a\\\\ \\u202e\\U000e0001é'"),
        ("\udce9\x9b", "$'\\xe9\\u009b'"),
    ],
)
def test_a_word_for_a_shell_steers_nothing_and_means_the_same(word: str, shown: str) -> None:
    assert serialize.shell_word(word) == shown
    done = subprocess.run(
        ["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout == os.fsencode(word)


def test_many_may_write_one_document_at_once(tmp_path: Path) -> None:
    file = tmp_path / "report.json"

    def write(number: int) -> None:
        for _ in range(200):
            serialize.write_json(file, {"by": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert json.loads(file.read_text())["by"] in range(8)
    assert [*tmp_path.iterdir()] == [file]


@given(st.text(), st.text())
def test_json_is_one_line_of_plain_text_that_reads_back(key: str, value: str) -> None:
    text = serialize.to_json({key: [value]})
    assert json.loads(text) == {key: [value]}
    assert text.encode("utf-8")
    assert text.splitlines() == [text]
    assert not serialize.UNSAFE.search(text)


def test_what_others_said_has_no_secrets_and_no_half_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "topsecretkey123")
    text = f"{'-' * 95}\x1btopsecretkey123 and so on{'.' * 9999}"
    assert serialize.safe_line(text, 100) == f"{'-' * 95}\\x1b*** …"
    assert serialize.quoted(text, 100) == f"'{'-' * 95}\\x1b*** …'"
    assert serialize.safe_line("a\nb") == "a\\nb"
    assert serialize.quoted("it's") == '"it\'s"'


@given(st.text())
def test_one_line_steers_nothing(text: str) -> None:
    line = serialize.one_line(text)
    assert line.isprintable()
    assert serialize.one_line(line) in (line, f"{line[:500]}…")


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    file = serialize.write_json(tmp_path / "report.json", {"answer": "\ud83d"})
    assert json.loads(file.read_text()) == {"answer": "\ud83d"}


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_what_was_there_before_survives_a_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = serialize.write_json(tmp_path / "report.json", {"first": True})

    def full(path: Path, *_: object, **__: object) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(OSError, match="No space left"):
        serialize.write_json(file, {"second": True})
    assert json.loads(file.read_text()) == {"first": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain – é 漢", "plain – é 漢"),
        ("two\nlines\tand\x1b[31m red\x07", "two\\nlines\\tand\\x1b[31m red\\x07"),
        ("\ud83d \u202e", "\\ud83d \\u202e"),
        ("123456", "12345…"),
    ],
)
def test_text_of_others_on_one_line(text: str, expected: str) -> None:
    assert serialize.one_line(text, 5 if text == "123456" else 100) == expected
