"""Words that Hydra cannot read: told in words of ours, with something to write that Hydra can read."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.composition.misread import quoted, told

QUOTE = "put all of the value in quotes: "
NAMES = "write names joined by dots, such as serve.port=8000"


def parsed(word: str) -> object:
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize(
    ("word", "what", "do"),
    [
        ("serve.port", "there is no = in it", "write serve.port=VALUE"),
        ("serve.port 8000", "there is no = in it", "write serve.port=8000"),
        ("serve.port: 8000", "there is no = in it", "write serve.port=8000"),
        ("What is it?", "there is no = in it", "write key=value"),
        ("", "there is no = in it", "write key=value"),
        ("--port=1", "'--port' is not a key", NAMES),
        ("serve port=1", "'serve port' is not a key", NAMES),
        ("serve..x=1", "'serve..x' is not a key", NAMES),
        ("a@b@c=1", "'a@b@c' is not a key", NAMES),
        ("serve.x==1", "= stands twice", "write serve.x=1"),
        ("recipe=it's", "the quote ' is not closed", QUOTE + """'recipe="it'"'"'s"'"""),
        ('serve.x="a', 'the quote " is not closed', QUOTE + """'serve.x="\\"a"'"""),
        ("serve.x=a'b'", "something stands beside what is in quotes", QUOTE + quoted("serve.x", "a'b'")),
        ("serve.x=[1", "the bracket [ is not closed", f"close it, or {QUOTE}'serve.x=\"[1\"'"),
        ("serve.x={a: [1}", "the bracket } is not opened", f"open it, or {QUOTE}'serve.x=\"{{a: [1}}\"'"),
        ("serve.x=a)", "the bracket ) is not opened", f"open it, or {QUOTE}'serve.x=\"a)\"'"),
        ("serve.x=[1,]", "a comma stands beside nothing", f"take it away, or {QUOTE}'serve.x=\"[1,]\"'"),
        ("serve.x=a,", "a comma stands beside nothing", f"take it away, or {QUOTE}'serve.x=\"a,\"'"),
        (
            "serve.x={a 1}",
            "this is not a mapping",
            f"write {{key: value, other: value}}, or {QUOTE}'serve.x=\"{{a 1}}\"'",
        ),
        ("serve.x=a=b", "= may only stand in quotes", f"{QUOTE}'serve.x=\"a=b\"'"),
        ("serve.x=a&b", "& may only stand in quotes", f"{QUOTE}'serve.x=\"a&b\"'"),
        ("serve.x=é", "é may only stand in quotes", f"{QUOTE}'serve.x=\"é\"'"),
        ("serve.x=a\nb", "'\\n' may only stand in quotes", f"{QUOTE}'serve.x=\"a\nb\"'"),
        (
            "serve.x=int(abc)",
            "this would be a function, and there is none that takes this",
            f"{QUOTE}'serve.x=\"int(abc)\"'",
        ),
        ("serve.x=a:[", "the bracket [ is not closed", f"close it, or {QUOTE}'serve.x=\"a:[\"'"),
        ("serve.x=[]a", "its value cannot be read", f"{QUOTE}'serve.x=\"[]a\"'"),
    ],
)
def test_each_mistake_has_its_words(word: str, what: str, do: str) -> None:
    with pytest.raises(HydraException):
        parsed(word)
    assert told(word) == (what, do)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.text("ab \\\"'[]{},=:()$", max_size=12))
def test_what_it_says_to_type_is_read_as_the_value(value: str) -> None:
    (word,) = shlex.split(quoted("serve.x", value))
    assert parsed(word) == value


@given(st.text(max_size=20))
def test_every_word_has_an_answer(word: str) -> None:
    assert all(told(word))
