"""The command line itself: verbs, options, help, exit codes, errors as JSON, and bugs that keep their traceback."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import __version__
from recipe_runner import cli as command_line
from recipe_runner import help as pages
from recipe_runner.composition import library
from recipe_runner.errors import Interrupted
from recipe_runner.verbs import list as list_verb
from tests.conftest import Answer

SEE = "see recipe-run"
VERBS = ", ".join(sorted(command_line.VERBS))


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []])
def test_help_is_the_front_page(words: list[str], cli: Callable[..., Answer]) -> None:
    assert cli(*words).page == f"{pages.front()}\n"


def test_the_front_page_names_every_verb_with_its_own_options() -> None:
    page = pages.front()
    listed = re.findall(r"^  (\w+) {2,}", page[page.index("verbs:") : page.index("options:")], re.MULTILINE)
    assert listed == list(command_line.VERBS)
    for option in ("--multirun", "--config-dir", "--json", "--help", "--version"):
        assert option in page
    assert all(len(line) <= 120 for line in page.splitlines())


@pytest.mark.parametrize("group", ["validation", "benchmark"])
def test_the_front_page_names_every_preset(group: str) -> None:
    (listed,) = re.findall(rf"^  {group}=NAME +recipe \(the default\), (.*)$", pages.front(), re.MULTILINE)
    presets = {file.stem for file in (Path(__file__).parents[1] / "conf" / group).glob("*.yaml")}
    assert {"recipe", *listed.split(", ")} == presets


def test_the_front_page_says_what_each_exit_code_means() -> None:
    assert pages.front().endswith(
        "exit codes:\n"
        "  0    passed\n"
        "  1    a check failed, a threshold was missed, or a benchmark did not measure what was asked for\n"
        "  2    bad input: unknown names, wrong types, what does not fit, a missing command, a busy port;"
        " writes no run folder\n"
        "  3    the server did not get ready, or died\n"
        "  4    inconclusive, or nothing was judged\n"
        "  130  interrupted by Ctrl-C, SIGTERM, SIGHUP or SIGQUIT\n"
        "  70   a bug in recipe-run or in a plugin\n\n"
        'Tab completion: eval "$(register-python-argcomplete recipe-run)"'
    )


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_version(words: list[str], cli: Callable[..., Answer]) -> None:
    assert cli(*words).page == f"recipe-run {__version__}\n"


@pytest.mark.parametrize("verb", command_line.VERBS)
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main([verb, "--help"])
    page = capsys.readouterr().out
    assert ended.value.code == 0
    assert page.startswith(f"usage: recipe-run {verb} ")
    assert "--json" in page
    assert (pages.OVERRIDES.strip() in page) is (verb in command_line.TAKES_OVERRIDES)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pln"], f"pln — there is no such verb; did you mean plan? There are: {VERBS}"),
        (["xyz", "recipe=x"], f"xyz — there is no such verb; choose one of: {VERBS}"),
        (["bench"], "bench — there is no such verb; write recipe-run run"),
        (["stop"], "stop — there is no such verb; write recipe-run doctor --clean"),
        (["a100x2"], "a100x2 — there is no such verb; write hardware=a100x2"),
        (["Qwen/Qwen3-8B"], "Qwen/Qwen3-8B — there is no such verb; write recipe=qwen3-8b"),
        (["internvl3"], "internvl3 — there is no such verb; write recipe=internvl3"),
        (["my/own.yaml"], "my/own.yaml — there is no such verb; write recipe=my/own.yaml"),
        (["plan", "-x"], "recipe-run plan — unrecognized arguments: -x; see recipe-run plan --help"),
        (["-x"], "recipe-run run — unrecognized arguments: -x; see recipe-run run --help"),
        (
            ["plan", "--config-dir"],
            f"recipe-run plan — argument --config-dir: expected one argument; {SEE} plan --help",
        ),
        (["plan", "--multi"], "recipe-run plan — unrecognized arguments: --multi; see recipe-run plan --help"),
        (
            ["list", "--json=yes"],
            f"recipe-run list — argument --json: ignored explicit argument 'yes'; {SEE} list --help",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_words(words: list[str], told: str, cli: Callable[..., Answer]) -> None:
    assert cli(*words).refusal == [told]


@pytest.mark.parametrize("words", [["recipe=x"], ["~serve.x"], ["--json", "recipe=x"], ["-m", "recipe=x"]])
def test_without_a_verb_it_runs(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("recipe_runner.verbs.run.run", lambda args: seen.append(args) or 0)
    assert command_line.main(words) == 0
    assert seen[0].overrides == [word for word in words if not word.startswith("-")]


def test_options_may_stand_between_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("recipe_runner.verbs.plan.run", lambda args: seen.append(args) or 0)
    words = ["plan", "recipe=x", "-m", "a=1,2", "--config-dir", "one", "~b", "--config-dir", "two", "--json", "c=3"]
    assert command_line.main(words) == 0
    assert seen[0].overrides == ["recipe=x", "a=1,2", "~b", "c=3"]
    assert (seen[0].multirun, seen[0].config_dir, seen[0].json) == (True, [Path("one"), Path("two")], True)


@pytest.mark.parametrize("words", [["plan", "recipe=internvl3"], ["doctor"], ["list"]])
def test_a_folder_that_was_removed_is_told(words: list[str], tmp_path: Path, cli: Callable[..., Answer]) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    told = "recipe-run — the folder that you are in was removed; change into one that exists"
    assert cli(*words).refusal == [told]


def test_errors_as_json_are_one_document_on_stdout(cli: Callable[..., Answer]) -> None:
    answer = cli("plan", "--json", "recipe=internvl", "hardware=a100x2", "x.y=1")
    recipes = ", ".join(sorted(library.names(library.folders())))
    assert (answer.code, answer.stderr) == (2, "")
    document = json.loads(answer.stdout)
    assert document["format"] == 1
    assert document["errors"][1] == {
        "where": "recipe",
        "what": "there is no recipe internvl",
        "do": f"did you mean internvl3? There are: {recipes}",
    }
    assert [error["where"] for error in document["errors"]] == ["x.y", "recipe"]


def test_what_others_wrote_cannot_steer_the_terminal(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe('"\\e[2Jserve\\n": {}\n')
    (told,) = cli("plan", "recipe=mine", "hardware=a100x2").refusal
    assert told.startswith("recipes/mine.yaml:1 — unknown section \\x1b[2Jserve\\n; ")


@pytest.mark.parametrize("raised", [Interrupted, KeyboardInterrupt])
def test_an_interruption_is_130(
    raised: type[BaseException], cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(args: object) -> int:
        raise raised

    monkeypatch.setattr(list_verb, "run", run)
    assert cli("list") == (130, "", "interrupted\n")


def test_a_bug_keeps_its_traceback(cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_verb, "run", lambda args: {}["no such key"])
    answer = cli("list")
    assert (answer.code, answer.stdout) == (70, "")
    lines = answer.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "KeyError: 'no such key'",
        "recipe-run: this is a bug; please report it with the lines above",
    ]


def test_a_bug_tells_no_secret_and_steers_no_terminal(
    cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(args: object) -> int:
        raise ValueError("topsecretkey123 \x1b]0;x\x07")

    monkeypatch.setenv("VLLM_API_KEY", "topsecretkey123")
    monkeypatch.setattr(list_verb, "run", run)
    answer = cli("list")
    assert (answer.code, answer.stderr.splitlines()[-2]) == (70, "ValueError: *** \\x1b]0;x\\x07")


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["plan", "--json"], 2)])
def test_a_reader_that_has_gone_is_no_error(words: list[str], code: int) -> None:
    read, write = os.pipe()
    os.close(read)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", "recipe_runner", *words], stdout=write, stderr=subprocess.PIPE, text=True, env=env
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")


def test_python_m_recipe_runner_is_recipe_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe_runner", "--version"])
    program = str(Path(__file__).parents[1] / "recipe_runner" / "__main__.py")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(program, run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"recipe-run {__version__}\n")
    assert "main" in runpy.run_path(program, run_name="imported")


@pytest.mark.parametrize("verb", ["plan", "run", "serve"])
def test_a_recipe_s_name_alone_after_a_verb(verb: str, cli: Callable[..., Answer]) -> None:
    refusal = ["recipe — internvl3 is not key=value; write recipe=internvl3"]
    assert cli(verb, "hardware=a100x2", "internvl3").refusal == refusal


@pytest.mark.parametrize("words", [["list"], ["--help"], ["plan", "recipe=internvl3", "hardware=a100x2"]])
def test_a_disk_that_is_full_behind_stdout_is_no_bug(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "recipe_runner", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "recipe-run: stdout — cannot be written: No space left on device; make room there\n"
