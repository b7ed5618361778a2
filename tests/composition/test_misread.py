"""Words that Hydra cannot read: told in words of ours, with something to write that Hydra can read."""

import shlex
from collections.abc import Callable

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.composition.misread import quoted, told
from tests.conftest import Answer

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
        ("max_model_len", "there is no = in it", "write serve.max_model_len=VALUE"),
        ("tp 2", "there is no = in it", "write parallelism.tp=2"),
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--max-model-len 8192", ["--max-model-len — {no}; write serve.max_model_len=8192"]),
        ("--gpu-memory-utilization=0.9", ["--gpu-memory-utilization — {no}; write serve.gpu_memory_utilization=0.9"]),
        ("--tensor-parallel-size 2", ["--tensor-parallel-size — {no}; write parallelism.tp=2"]),
        ("-tp 2", ["-tp — {no}; write parallelism.tp=2"]),
        ("--model Qwen/Qwen3-8B", ["--model — {no}; write model.id=Qwen/Qwen3-8B"]),
        ("--port 8001 serve.host=::1", ["--port — {no}; write serve.port=8001"]),
        ("--enforce-eager serve.host=::1", ["--enforce-eager — {no}; write serve.enforce_eager=true"]),
        ("--no-async-scheduling", ["--no-async-scheduling — {no}; write serve.async_scheduling=false"]),
        ("--num-prompts 10", ["--num-prompts — {no}; write benchmark.NAME.num_prompts=10"]),
        ("--hardware a100x2", ["--hardware — {no}; write hardware=a100x2"]),
        (
            '--limit-mm-per-prompt {"image":4}',
            ["""--limit-mm-per-prompt — {no}; write 'serve.limit_mm_per_prompt="{\\"image\\":4}"'"""],
        ),
        (
            "--api-key secret-word",
            ["--api-key — {no}; set VLLM_API_KEY in the environment: a secret does not belong here"],
        ),
        ("--dry-run", ["--dry-run — {no}; take it away: `recipe-run plan` starts nothing"]),
        (
            "-x --max-model-len 8 --verbose y",
            ["--max-model-len — {no}; write serve.max_model_len=8", "recipe-run plan — {strange}"],
        ),
    ],
)
def test_a_flag_of_vllm_is_told_where_it_stands_here(words: str, told: list[str], cli: Callable[..., Answer]) -> None:
    no = "recipe-run plan has no such option"
    strange = "unrecognized arguments: -x --verbose y; see recipe-run plan --help"
    answer = cli("plan", "recipe=internvl3", "hardware=a100x2", *words.split())
    assert answer.refusal == [line.replace("{no}", no).replace("{strange}", strange) for line in told]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.text("ab \\\"'[]{},=:()$", max_size=12))
def test_what_it_says_to_type_is_read_as_the_value(value: str) -> None:
    (word,) = shlex.split(quoted("serve.x", value))
    assert parsed(word) == value


@given(st.text(max_size=20))
def test_every_word_has_an_answer(word: str) -> None:
    assert all(told(word))
