"""What the log of a server that failed comes to: real logs, and the rules of recipes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner.composition.schema import Rule
from recipe_runner.errors import Fault
from recipe_runner.paths import shipped
from recipe_runner.serving import diagnosis, serverlog
from recipe_runner.serving.diagnosis import Diagnosis, diagnose, rules
from recipe_runner.serving.serverlog import failure_lines
from tests.conftest import Answer
from tests.running import DATA, fake, run_here

LOGS = DATA / "vllm_logs"
FAULTS: dict[str, dict[str, str]] = yaml.safe_load((DATA / "diagnosis.yaml").read_text())
HEALTHY = [log for log in LOGS.glob("*.log") if "refused" not in log.name]
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB.\n"
ANY = Rule(pattern="(?P<what>Error.*)", cause="it said {what}", cure="do something")


def log(folder: Path, text: str) -> Path:
    path = folder / "server.log"
    path.write_text(text)
    return path


def told(folder: Path, text: str, vllm: str | None = None, **own: Rule) -> Diagnosis | None:
    found, faults = diagnose(log(folder, text), own, vllm)
    assert faults == ()
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_said_of_a_log(name: str) -> None:
    found, faults = diagnose(LOGS / "faults" / f"{name}.log", {}, None)
    wanted = FAULTS[name]
    assert faults == ()
    if wanted["rule"] is None:
        assert found is None
    else:
        assert found == Diagnosis(*(wanted[key] for key in ("rule", "cause", "cure", "line")))


def test_every_log_is_in_the_table_and_every_rule_is_shown_by_a_log() -> None:
    assert {log.stem for log in (LOGS / "faults").glob("*.log")} == FAULTS.keys()
    assert {wanted["rule"] for wanted in FAULTS.values()} - {None} == rules().keys()


def test_no_two_rules_have_one_name() -> None:
    blocks = [yaml.safe_load(file.read_text()) for file in shipped("conf").glob("diagnosis/*.yaml")]
    assert sum(map(len, blocks)) == len(rules())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda log: log.stem)
def test_nothing_is_said_of_a_server_that_lives(healthy: Path) -> None:
    assert diagnose(healthy, {}, None) == (None, ())


@pytest.mark.parametrize("message", sorted((DATA.parents[1] / "recipe_runner/engines/messages").glob("*.txt")), ids=str)
def test_what_a_rehearsed_fault_prints_is_known(message: Path) -> None:
    found, _ = diagnose(message, {}, None)
    assert found is not None
    assert found.rule == {"out_of_memory": "out_of_gpu_memory_loading"}.get(message.stem, message.stem)


def test_no_log_tells_nothing(tmp_path: Path) -> None:
    assert diagnose(tmp_path / "none", {"mine": ANY}, None) == (None, ())


def test_a_recipes_rule_comes_first(tmp_path: Path) -> None:
    found = told(tmp_path, f"{OOM}ValueError: no\n", mine=ANY)
    assert found == Diagnosis(
        "mine", "it said Error: CUDA out of memory. Tried to allocate 1.00 GiB.", "do something", OOM[:-1]
    )
    assert found.as_dict()["sentence"] == f"{found.cause}; do something"


def test_a_recipes_rule_replaces_ours_of_that_name(tmp_path: Path) -> None:
    other = ANY.model_copy(update={"pattern": "nowhere", "cause": "x"})
    assert told(tmp_path, OOM, out_of_gpu_memory_otherwise=other) is None


def test_among_a_recipes_rules_the_first_wins(tmp_path: Path) -> None:
    last = Rule(pattern="ValueError", cause="a value", cure="none")
    first = Rule(pattern="KeyError", cause="a key", cure="none")
    found = told(tmp_path, "ValueError: a\nKeyError: b\nKeyError: c\n", first=first, last=last)
    assert found == Diagnosis("first", "a key", "none", "KeyError: b")


@pytest.mark.parametrize(
    ("versions", "vllm", "tried"),
    [
        (None, None, True),
        (">=0.30", "0.32.0", True),
        (">=0.30", "0.29.1", False),
        (">=0.30", None, False),
        (">=0.30", "0.33.0rc1", True),
        (">=0.30", "dev", False),
    ],
)
def test_a_rule_for_some_versions(tmp_path: Path, versions: str | None, vllm: str | None, *, tried: bool) -> None:
    rule = ANY.model_copy(update={"vllm": versions})
    assert (told(tmp_path, "ValueError: a\n", vllm, mine=rule) is not None) is tried


def test_a_pattern_may_span_lines_and_the_last_of_them_is_shown(tmp_path: Path) -> None:
    at = "11-23 18:57:25 [core.py:1]"
    text = f"(A pid=1) ERROR {at} Traceback:\n(A pid=1) INFO {at} b\n  File x\n  Error: no\n"
    rule = Rule(pattern=r"^Traceback:\nFile (?P<file>\w)\n", cause="in {file}", cure="none")
    assert told(tmp_path, text, mine=rule) == Diagnosis("mine", "in x", "none", "Error: no")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("4.5 of 2.25", "short of 2.25"),
        ("a of 2.25", "short of ?"),
    ],
)
def test_a_field_may_be_a_difference(tmp_path: Path, text: str, cause: str) -> None:
    rule = Rule(pattern=r"^(?P<a>\S+) of (?P<b>\S+)$", cause="short of {a-b}", cure="none")
    found = told(tmp_path, text, mine=rule)
    assert found is not None
    assert found.cause == cause


def test_what_a_log_says_steers_no_terminal_and_is_short(tmp_path: Path) -> None:
    found = told(tmp_path, "\x1b[31mError: \x1b]0;title\x07\u202e" + "x" * 2000 + "\n", mine=ANY)
    assert found is not None
    assert found.cause == f"it said Error: ]0;title{'x' * 105}…"
    assert found.line == f"Error: ]0;title{'x' * 585}…"


def test_a_recipes_words_steer_no_terminal(tmp_path: Path) -> None:
    found = told(tmp_path, "Error", mine=Rule(pattern="Error", cause="a\x1b[2Jb", cure="c\nd"))
    assert found is not None
    assert (found.cause, found.cure) == ("a\\x1b[2Jb", "c\\nd")


def test_tracebacks_of_two_workers_between_each_other_tell_no_more_than_they_can(tmp_path: Path) -> None:
    lines = (LOGS / "faults" / "cuda_oom_weights.log").read_text().splitlines()
    (oom,) = {line.split("] ", 1)[1] for line in lines if "Tried to allocate" in line and "ERROR" in line}
    frame = '  File "gpu_worker.py", line 413, in load_model\n'
    found = told(tmp_path, f"(Worker_TP0 pid=1) {frame}(Worker_TP1 pid=2) {frame}(Worker_TP0 pid=1) {oom}\n")
    assert found is not None
    assert found.rule == "out_of_gpu_memory_loading"
    found = told(tmp_path, f"(Worker_TP0 pid=1) {frame}(Worker_TP1 pid=2) Traceback:\n(Worker_TP0 pid=1) {oom}\n")
    assert found is not None
    assert found.rule == "out_of_gpu_memory"


def test_secrets_are_masked_before_a_rule_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "quite-a-secret")
    found = told(tmp_path, "Error: the key quite-a-secret and hf_abcdefghijklmnopqrstuv\n", mine=ANY)
    assert found is not None
    assert (found.cause, found.line) == ("it said Error: the key *** and ***", "Error: the key *** and ***")


def test_what_vllm_quotes_of_its_own_code_or_takes_lightly_is_no_proof(tmp_path: Path) -> None:
    text = (
        "(EngineCore pid=1) WARNING 11-23 18:57:25 [a.py:1] OSError: [Errno 98] Address already in use\n"
        "INFO:     127.0.0.1 - OSError: [Errno 98] Address already in use\n"
        '  File "a.py", line 1, in b\n'
        '    raise OSError("[Errno 98] Address already in use")\n'
        "          ^^^^^^^ [Errno 98] Address already in use\n"
    )
    assert told(tmp_path, text) is None
    assert told(tmp_path, f"{text}OSError: [Errno 98] Address already in use\n") is not None


def test_a_pattern_that_takes_forever_is_given_up_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "LIMIT_S", 1.5)
    own = {"evil": Rule(pattern="(a+)+$", cause="c", cure="c"), "after": ANY}
    found, faults = diagnose(log(tmp_path, "a" * 60 + f"!\n{OOM}"), own, None)
    assert found is not None
    assert found.rule == "out_of_gpu_memory_otherwise"
    what, do = "its pattern takes more than 1.5 s on this log", "write it without repetition in a repetition"
    assert faults == (Fault("diagnosis.evil", what, do),)


@pytest.mark.parametrize("at", ["head", "tail"])
def test_of_a_huge_log_only_the_ends_are_read(tmp_path: Path, at: str) -> None:
    path = log(tmp_path, OOM if at == "head" else "")
    with path.open("r+b") as file:
        file.seek(50 << 20)
        file.write(b"\nthe end\n" + (OOM.encode() if at == "tail" else b""))
    found, _ = diagnose(path, {}, None)
    assert found is not None
    assert found.line == OOM[:-1]
    path.write_text("x\n" * (2 << 20))
    assert len(failure_lines(path)) == 2 * serverlog.MOST


LONG = ["x" * 1000, "a.b_c" * 100, "'" * 1000, "https://" * 100, "vllm/tokenizers/", "w"]
LINES = [
    'File "a.py", line 1, in load_model',
    'File "a.py", line 1, in nvmlDeviceGetHandleByIndex',
    "Error raised in subprocess:",
]


@pytest.mark.parametrize("line", [*LONG, *LINES])
def test_our_own_rules_are_never_given_up(line: str) -> None:
    """Long words made patterns that begin with `\\S+` take 18 s, a long traceback `(?:File .*)*`; all may take 5."""
    patterns = [rule.pattern for rule in rules().values()]
    text = f"{line}\n" * min(2 * serverlog.MOST, (serverlog.HEAD + serverlog.TAIL) // len(line))
    assert list(diagnosis._search(text, patterns)) == [None] * len(patterns)


WRONG = {
    "{pattern: (a, cause: b, cure: c}": (
        "pattern",
        "'(a' does not fit here; it is not a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "{pattern: a*, cause: b, cure: c}": ("pattern", "'a*' does not fit here; it should not match an empty line"),
    "{pattern: '[[a]', cause: b, cure: c}": (
        "pattern",
        "'[[a]' does not fit here; it is not a regular expression: Possible nested set at position 1",
    ),
    "{pattern: '(?P<a>x)', cause: '{b}', cure: c}": (
        "cause",
        "'{b}' does not fit here; the pattern has no group b: choose one of: a",
    ),
    "{pattern: x, cause: a, cure: 'set {y-z}'}": (
        "cure",
        "'set {y-z}' does not fit here; the pattern has no group y: choose one of: none",
    ),
    "{pattern: x, cause: a, cure: b, vllm: new}": (
        "vllm",
        "'new' does not fit here; write versions as Python packages do, such as >=0.20,<0.40",
    ),
    "{pattern: x, cause: a}": ("cure", "this is missing; write diagnosis.mine.cure=… or put it into the recipe"),
    "{pattern: x, cause: a, cure: b, when: c}": (
        "when",
        "unknown key when; choose one of: cause, cure, pattern, vllm",
    ),
}


@pytest.mark.parametrize("block", WRONG)
def test_a_wrong_rule_is_refused_where_it_stands(
    block: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe(f"model: {{id: a/model}}\ndiagnosis:\n  mine: {block}\n")
    key, words = WRONG[block]
    refusal = [f"diagnosis.mine.{key} (recipes/mine.yaml:3) — {words}"]
    assert cli("plan", "recipe=mine", "hardware=a100x2").refusal == refusal


def failing(folder: Path, *words: str, rule: str = "") -> tuple[int, Any]:
    """A run of a recipe with this rule, on a simulated server that fails."""
    shutil.copytree(DATA / "small", folder / "small")
    text = (DATA / "small.yaml").read_text() + rule
    (folder / "mine.yaml").write_text(text)
    return run_here(folder, "recipe=mine.yaml", "hardware=cpu", "engine=sim", "benchmark=none", *words)


def test_a_run_says_why_its_server_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = failing(tmp_path, "engine.fault=port_in_use")
    what = "the server ended with status 1: something else listens on the server's port"
    do = "end it, or set serve.port=0 for a free one"
    line = "OSError: [Errno 98] Address already in use"
    assert code == 3
    report = folder.report
    assert report["errors"] == [{"where": "server", "what": what, "do": do}]
    assert report["diagnosis"] == {
        "sentence": f"something else listens on the server's port; {do}",
        "rule": "port_in_use",
        "cause": "something else listens on the server's port",
        "cure": do,
        "line": line,
    }
    assert report["log_excerpt"] == [line]
    assert f"server — {what}; {do}\n  | {line}\n" in capsys.readouterr().err
    (event,) = [event for event in folder.events if event["event"] == "diagnosis"]
    assert report["diagnosis"].items() <= event.items()
    assert set(folder.details.values()) == {what}
    page = (folder.run / "report.md").read_text()
    assert f"**server** — {what}; {do}.\n\n    {line}\n" in page


def test_a_run_knows_the_rules_of_its_recipe(tmp_path: Path) -> None:
    rule = "diagnosis: {mine: {pattern: 'error: (?P<what>unrecognized.*)', cause: 'so it said: {what}', cure: none}}\n"
    code, folder = failing(tmp_path, "engine.fault=unknown_flag", rule=rule)
    assert code == 3
    assert folder.report["diagnosis"]["rule"] == "mine"
    what = "so it said: unrecognized arguments: --max-model-length 1024 --flag-that-is-not"
    assert folder.report["errors"][0]["what"] == f"the server ended with status 1: {what}"


def test_a_run_that_knows_no_rule_shows_the_lines_that_tell(tmp_path: Path) -> None:
    code, folder = failing(tmp_path, "engine.fault=dies", "engine.fault_at=loading")
    assert code == 3
    assert folder.report["diagnosis"] is None
    assert folder.report["errors"][0]["what"] == "the server ended with status 1"
    assert "EngineDeadError" in folder.report["log_excerpt"][-1]


def test_a_rule_of_a_recipe_that_takes_forever_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "LIMIT_S", 0.2)
    rule = "diagnosis: {evil: {pattern: '(\\w+ ?)+$%', cause: a, cure: b}}\n"
    code, folder = failing(tmp_path, "engine.fault=dies", rule=rule)
    assert code == 3
    assert [error["where"] for error in folder.report["errors"]] == ["server", "diagnosis.evil"]
    assert json.loads((folder.run / "report.json").read_text())["verdict"] == "error"


def test_a_benchmark_that_failed_says_why(tmp_path: Path) -> None:
    shutil.copytree(DATA / "small", tmp_path / "small")
    rule = "diagnosis: {mine: {pattern: 'ValueError: (?P<what>.*)', cause: 'there is {what}', cure: bring one}}\n"
    (tmp_path / "mine.yaml").write_text((DATA / "small.yaml").read_text() + rule)
    code, folder = run_here(tmp_path, "recipe=mine.yaml", "hardware=cpu", *fake("bench-exit"))
    assert code == 1
    assert folder.verdicts["load"] == "failed"
    assert folder.details["load"].startswith(
        "`vllm bench serve` exited with 5; see load.log: 'ValueError: no tokenizer'"
    )
    assert folder.details["load"].endswith(" — there is no tokenizer; bring one")
    assert folder.report["diagnosis"] is None


def test_points_of_a_sweep_that_shared_a_server_are_told_the_same(tmp_path: Path) -> None:
    code, folder = failing(tmp_path, "engine.fault=port_in_use", "-m", "validation.capital.expect.contains=Paris,Rome")
    assert code == 3
    reports = [json.loads(path.read_text()) for path in folder.path.rglob("report.json")]
    assert [report["diagnosis"]["rule"] for report in reports] == ["port_in_use"] * 2


def test_the_guides_known_issue(tmp_path: Path) -> None:
    words = ("recipe=internvl3", "hardware=a100x2", "engine=sim", "engine.fault=data_dependent_branching")
    code, folder = run_here(tmp_path, *words, "serve.port=0", "serve.host=127.0.0.1", "serve.enforce_eager=null")
    assert code == 3
    assert folder.report["errors"] == [
        {
            "where": "server",
            "what": "the server ended with status 1: this vLLM cannot compile InternVL3, as the guide saw",
            "do": "set serve.enforce_eager=true",
        }
    ]
