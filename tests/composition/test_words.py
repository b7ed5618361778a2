"""What becomes a word of a command line arrives as it stands, is shown as a shell takes it, or is refused."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe_runner.composition import words
from recipe_runner.plan import Command
from recipe_runner.process import shell
from recipe_runner.process import words as as_words
from tests.conftest import Answer

ON = "hardware=a100x2"
ECHO = "import sys, os; sys.stdout.write('\\0'.join([*sys.argv[1:], os.environ.get('X', '')]))"
META = (
    "$(touch ran)",
    "`touch ran`",
    "; touch ran",
    "&& touch ran",
    "| touch ran",
    "> ran",
    "a'b\"c",
    "a\\b",
    "*",
    "~",
    "a\nb",
    "#",
)


def pasted(command: Command) -> list[str]:
    """What a program is given when the shown text is pasted into a shell: its words, and the variable X."""
    program = shlex.join([sys.executable, "-c", ECHO])
    shown = shell(command.argv, command.env).replace("vllm", program, 1)
    return subprocess.run(
        ["bash", "-c", shown], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    ).stdout.split("\0")


fit = st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=30)


@given(st.lists(fit, max_size=4), fit)
@settings(max_examples=25, deadline=None)
def test_what_is_shown_is_what_would_be_run(rest: list[str], variable: str) -> None:
    command = Command("server", ("vllm", *rest), {"X": variable} if variable else {})
    assert pasted(command) == [*rest, variable]


@pytest.mark.parametrize("text", META)
def test_no_field_reaches_a_shell(
    text: str, recipe: Callable[..., Path], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    benchmark = {"uses": "vllm_bench", "dataset_path": text, "goodput": [text], "extra_args": {"a": text}}
    served = {"served_model_name": f"s{text}", "x": text, "y": [text, "b"], "z": {text: text}}
    values = {"model": {"id": text}, "serve": served, "env": {"X": text}, "benchmark": {"b": benchmark}}
    recipe("".join(f"{section}: {json.dumps(value)}\n" for section, value in values.items()))
    answer = cli("plan", "recipe=mine", ON, "engine.command=[vllm]", "preflight.model=warn", "--json")
    assert answer.code == 0, answer
    plan = json.loads(answer.stdout)
    server, bench = plan["processes"][0]["argv"], plan["benchmarks"][0]["argv"]
    assert server[2] == text
    assert server[server.index("--served-model-name") + 1] == f"s{text}"
    assert server[server.index("--y") + 1 : server.index("--y") + 3] == [text, "b"]
    assert json.loads(server[server.index("--z") + 1]) == {text: text}
    assert all(bench[bench.index(flag) + 1] == text for flag in ("--model", "--dataset-path", "--goodput", "--a"))
    env = plan["processes"][0]["env"]
    assert pasted(Command("server", ("vllm", *server[1:]), {"X": env["X"]})) == [*server[1:], text]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model.id=--trust-remote-code", "model.id — '--trust-remote-code' would be read as a flag"),
        ("model.revision=-x", "model.revision — '-x' would be read as a flag"),
        ("serve.x=--y", "serve.x — '--y' would be read as a flag"),
        ("serve.x=[a,--y]", "serve.x — '--y' would be read as a flag"),
        ("serve.x='-cc.backend=a.b'", "serve.x — '-cc.backend=a.b' would be read as a flag"),
        ("serve.x=-1e-5", "serve.x — '-1e-05' would be read as a flag"),
        (
            "benchmark.b={uses:vllm_bench,extra_args:{a:--y}}",
            "benchmark.b.extra_args.a — '--y' would be read as a flag",
        ),
        ("benchmark.b={uses:vllm_bench,endpoint:-y}", "benchmark.b.endpoint — '-y' would be read as a flag"),
    ],
)
def test_a_value_that_looks_like_a_flag_is_refused(
    word: str, told: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("")
    assert cli("plan", "recipe=mine", ON, word).refusal == [f"{told}; write it so that it does not begin with -"]


def test_a_benchmarks_flag_has_a_name(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("benchmark: {b: {uses: vllm_bench, extra_args: {'a=b': 1, top-k: 2}}}\n")
    assert cli("plan", "recipe=mine", ON).refusal[0] == (
        "benchmark.b.extra_args.a=b (recipes/mine.yaml:1) — this is not the name of a flag; use letters, digits and _"
    )


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\udcff"])
@pytest.mark.parametrize("key", ["serve.x", "env.X", "model.id", "benchmark.b.dataset_path", "report.folder"])
def test_what_nobody_sees_is_refused(
    key: str, char: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("benchmark: {b: {uses: vllm_bench}}\n")
    told = f"{key} — there is the character {char!a} in this text; remove it"
    assert told in cli("plan", "recipe=mine", ON, f"{key}='a{char}b'").refusal


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", ["serve.x", "timeouts.run_s", "benchmark.b.request_rate"])
def test_a_number_that_is_none_is_refused(
    key: str, value: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("benchmark: {b: {uses: vllm_bench}}\n")
    assert (
        f"{key} — {value} is not a number that can be written down; write a finite one"
        in cli("plan", "recipe=mine", ON, f"{key}={value}").refusal
    )


def test_ordinary_values_are_fine() -> None:
    values = {
        "a": -1,
        "b": -0.5,
        "c": "-2",
        "d": ["x", -3],
        "e": {"k": "--v"},
        "f": "two\nlines\t漢",
        "g": True,
        "h": None,
    }
    assert list(words.of_flags(values, "serve")) == []
    assert as_words({"e": {"k": "\u202e"}}) == ["--e", '{"k":"\\u202e"}']


def test_what_is_told_of_a_flag_stays_a_comment(cli: Callable[..., Answer]) -> None:
    page = cli("plan", "recipe=qwen3-8b", "hardware=h200x1", "engine=sim", "serve.quantization='a\nb'").page
    (line,) = [line for line in page.split("\n") if "stores these weights" in line]
    assert line == "# memory: unknown; recipe-runner does not know how quantization=a\\nb stores these weights"
