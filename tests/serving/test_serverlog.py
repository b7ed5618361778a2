"""What a server's log tells where no rule knows it: the first causes, not what was said of them afterwards."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from recipe_runner.serving import serverlog
from recipe_runner.serving.serverlog import failure_lines, last_line, last_lines, telling_lines
from tests.running import DATA

FAULTS = DATA / "vllm_logs" / "faults"
WORKER = "(Worker pid=103) ERROR 11-23 19:05:28 [multiproc_executor.py:1063] "
TELLING = {
    "kv_cache_too_small": (
        "(EngineCore pid=102) ERROR 11-23 18:57:25 [core.py:1510] ValueError: To serve at least one",
    ),
    "data_dependent_branching": (
        "(Worker pid=103) ERROR 11-23 18:59:46 [multiproc_executor.py:1063] torch._dynamo.exc.Unsupported: Data",
    ),
    "max_model_len_too_long": (
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "Value error, User-specified max_model_len (100000) is greater than the derived max_model_len",
    ),
    "gated_model": (
        "httpx2.HTTPStatusError: Client error '401 Unauthorized' for url",
        "huggingface_hub.errors.GatedRepoError: 401 Client Error.",
        "OSError: You are trying to access a gated repo.",
    ),
    "lora_missing": (
        f"{WORKER}FileNotFoundError: [Errno 2] No such file or directory",
        f"{WORKER}vllm.exceptions.LoRAAdapterNotFoundError: Loading lora x failed",
        "ValueError: Loading lora x failed: No adapter found for <path>",
    ),
    "engine_killed": (  # nothing else was said
        "(APIServer pid=101) ERROR 11-23 19:04:13 [async_llm.py:906] vllm.v1.engine.exceptions.EngineDeadError:",
    ),
    "engine_killed_starting": ("RuntimeError: Engine core initialization failed.",),
}


@pytest.mark.parametrize("name", TELLING)
def test_the_first_cause_is_told_once(name: str) -> None:
    told = telling_lines(FAULTS / f"{name}.log")
    assert len(told) == len(TELLING[name])
    assert [line for line, begin in zip(told, TELLING[name], strict=True) if not line.startswith(begin)] == []


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("(EngineCore pid=12) ERROR 11-23 18:57:25 [core.py:1510] ValueError: a", "ValueError: a"),
        ("(EngineCore_DP0 pid=12) ERROR 11-23 18:57:25 [core.py:15]   b", "b"),
        ("(VllmWorker TP0 pid=12) ERROR 08-27 05:54:20 [multiproc_executor.py:602] c", "c"),
        ("(VllmWorker rank=1 pid=12, ip=10.0.0.1) CRITICAL 08-27 05:54:20 [a.py:6] d", "d"),
        ("(Worker pid=12) ERROR 11-23 18:59:46 [multiproc_executor.py:1063]", ""),
        ("ERROR 04-03 05:54:58 [core.py:380] e", "e"),
        ("ERROR:    f", "f"),
        ("ValueError: ERROR 04-03", "ValueError: ERROR 04-03"),
        ("(a remark) g", "(a remark) g"),
    ],
)
def test_vllms_prefixes_are_taken_off(tmp_path: Path, line: str, bare: str) -> None:
    log = tmp_path / "server.log"
    log.write_text(f"{line}\n")
    assert [(found.whole, found.bare) for found in failure_lines(log)] == [(line, bare)]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_what_vllm_takes_lightly_is_no_error(tmp_path: Path, level: str) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        f"(APIServer pid=1) {level} 11-23 18:55:16 [a.py:2] OSError: [Errno 24] Too many open files\n"
        f"{level}:     OSError: b\nKeyError: c\n"
    )
    assert telling_lines(log) == ("KeyError: c",)
    assert [line.bare for line in failure_lines(log)] == ["KeyError: c"]


def test_the_code_in_a_traceback_is_left_out_and_its_message_is_not(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    raise ValueError(\n        "a, b"\n'
        "    ^^^^^\nValueError: a\n    more of it\n"
    )
    bare = [line.bare for line in failure_lines(log)]
    assert bare == ["Traceback (most recent call last):", 'File "a.py", line 1, in b', "ValueError: a", "more of it"]


@pytest.mark.parametrize("blank", ["\n", "\x1b[0m\n"])
def test_blank_lines_are_searched_for_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    """The live view asks for the last line at every step, and a mask costs more than all the rest."""
    masked = []

    def beginning(text: str, _: int, environ: Mapping[str, str]) -> str:
        masked.append(text)
        return text

    monkeypatch.setattr(serverlog, "beginning", beginning)
    log = tmp_path / "server.log"
    log.write_text(f"first\nlast\n{blank * 500}")
    assert last_line(log) == "last"
    assert masked == ["last"]


SECRET = "topsecretkey123456"


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET} {'y' * 4086}",
        f"{SECRET} {'y' * (serverlog.LAST - 9)}",
        f"{SECRET * 9}{'y' * (serverlog.LAST - 99)}",
        f"{'y' * (serverlog.LAST)}{SECRET}{'z' * (serverlog.WIDE + 250)}",
        f"a\n{SECRET}{'y' * (serverlog.LAST - 9)}\nb",
        "\x1b[0m" * 480 + f"ValueError: {'x' * 60}{SECRET}",
        f"ValueError: {'x' * 980}{SECRET}",
        f"{'z' * (serverlog.HEAD - 9)}{SECRET}\n{'y' * 9}\n" * 5,
        f"{'z' * (serverlog.HEAD - 9)}{SECRET}{'y' * serverlog.TAIL}",
        f"{'z' * serverlog.HEAD}{SECRET}{'y' * (serverlog.TAIL - 9)}",
    ],
)
def test_no_half_of_a_secret_is_left_where_a_log_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    log = tmp_path / "server.log"
    log.write_text(text)
    told = [last_line(log), *last_lines(log), *telling_lines(log), *(line.whole for line in failure_lines(log))]
    assert not [line for line in told if "tops" in line or "3456" in line]


def test_the_last_lines_leave_out_what_is_routine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789abcdef")
    log = tmp_path / "server.log"
    answered = 'INFO: 127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    refused = 'INFO: 127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 500 Internal Server Error'
    log.write_text(f"old\n\x1b[32mone\x1b[0m\n{answered * 300}{refused}\n\ntoken hf_0123456789abcdef\n{answered}")
    assert last_lines(log, 3) == ("one", refused, "token ***")
    assert last_lines(log)[0] == "old"
    assert last_lines(tmp_path / "none") == ()
