"""Which flags vLLM knows: parsed from what two versions of it really said, cached, judged; and when it does not say."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner import paths
from recipe_runner.errors import RecipeError
from recipe_runner.host import flags
from recipe_runner.host.flags import Unknown

DATA = Path(__file__).parents[1] / "data" / "vllm_flags"
ELSE = "take it away, or use a vLLM that has it"


def listed(version: str) -> flags.Flags:
    return flags.parse((DATA / f"{version}.txt").read_text(encoding="utf-8"))


@pytest.fixture
def vllm(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """A `vllm` that prints what it would, and does what it is told besides."""

    def vllm(page: Path | str = DATA / "0.32.0.txt", then: str = "") -> tuple[str, ...]:
        script = tmp_path / "vllm"
        script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {page}\n{then}\n')
        script.chmod(0o755)
        return (str(script),)

    return vllm


@pytest.mark.parametrize(("version", "count"), [("0.25.1", 342), ("0.32.0", 406)])
def test_every_flag_of_a_version_is_found_and_nothing_else(version: str, count: int) -> None:
    found = listed(version)
    assert len(found) == count
    assert {"--port", "--enforce-eager", "--no-enforce-eager", "--tensor-parallel-size", "--hf-overrides"} <= found
    assert not {"--json-arg", "--no-port", "--logging-config.pylogging_config_file", "--help=all"} & found
    assert all(flag.startswith("--") and "," not in flag for flag in found)


def test_what_a_later_version_renamed_dropped_or_added() -> None:
    older, newer = listed("0.25.1"), listed("0.32.0")
    assert sorted(older - newer) == [
        "--calculate-kv-scales",
        "--max-long-partial-prefills",
        "--max-num-partial-prefills",
        "--no-calculate-kv-scales",
        "--override-attention-dtype",
    ]
    assert {
        "--device-memory-utilization",
        "--log-level",
        "--no-long-prefill-token-threshold-adaptive",
    } <= newer - older


def test_flags_are_read_from_pages_of_any_python() -> None:
    page = "options:\n  -q, --quantization QUANTIZATION\n  --a, --no-a, -a  Text --not-this ({1, --nor}).\n   --nor"
    assert flags.parse(page) == {"--quantization", "--a", "--no-a"}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *[(word, "true") for word in ("yes", "Yes", "on", "ON")],
        *[(word, "false") for word in ("no", "off")],
        *[(word, None) for word in (1, 0, "1", "always", {"a": 1}, [True])],
    ],
)
def test_a_flag_that_is_switched_takes_no_value(value: Any, meant: str | None) -> None:
    """Where it is not known which flags are switched, only what YAML once read as true and false is told."""
    told = [("enforce_eager", f"write {meant or 'true or false'}")]
    assert list(flags.switches({"enforce_eager": value, "port": 1}, listed("0.32.0"))) == told
    assert list(flags.switches({"enforce_eager": value}, None)) == (told if meant else [])


@pytest.mark.parametrize("value", [True, False, None])
def test_a_flag_that_is_switched_is_fine(value: object) -> None:
    assert list(flags.switches({"enforce_eager": value}, listed("0.32.0"))) == []


DTYPES = "auto, bfloat16, float, float16, float32, half"


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        ({"dtype": "flaot16"}, [("dtype", f"did you mean float16? There are: {DTYPES}")]),
        ({"dtype": "fp16"}, [("dtype", f"choose one of: {DTYPES}")]),
        ({"max_lora_rank": 7}, [("max_lora_rank", "choose one of: 1, 128, 16, 256, 32, 320, 512, 64, 8")]),
        ({"dtype": "half", "max_lora_rank": 8, "dtype.x": 1, "zzz": 1}, []),
        ({"tool_call_parser": "own", "collect_detailed_traces": ["x"], "quantization": "x"}, []),  # others may be given
    ],
)
def test_a_flag_that_takes_only_some_values(serve: dict[str, Any], told: list[tuple[str, str]]) -> None:
    what = "is none of the values that this vLLM takes"
    assert list(flags.misvalued(serve, listed("0.32.0"))) == [(key, what, do) for key, do in told]
    assert list(flags.misvalued(serve, None)) == []


def test_the_values_are_remembered(vllm: Callable[..., tuple[str, ...]]) -> None:
    flags.learn(vllm(), "1")
    known = flags.options(vllm(), "1")
    assert known is not None
    assert known.choices == listed("0.32.0").choices
    assert known.choices["--kv-offloading-backend"] == ["lmcache", "native"]


@pytest.mark.parametrize("version", ["0.25.1", "0.32.0"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_model_len", 4096),
        ("enforce_eager", True),
        ("enforce_eager", False),
        ("disable_log_stats", True),
        ("no_enable_prefix_caching", True),
        ("hf_overrides", {"a": 1}),
        ("compilation_config.mode", 3),
        ("max-model-len", 4096),
        ("nonsense", None),
    ],
)
def test_what_vllm_knows_is_fine(key: str, value: Any, version: str) -> None:
    assert list(flags.unknown({key: value}, listed(version))) == []


@pytest.mark.parametrize(
    ("key", "value", "nearest", "do"),
    [
        ("max_modle_len", 4096, "max_model_len", f"did you mean max_model_len? Otherwise {ELSE}"),
        ("enforce_eagre", False, "enforce_eager", f"did you mean enforce_eager? Otherwise {ELSE}"),
        ("tensor_parallel", 2, "tensor_parallel_size", f"did you mean tensor_parallel_size? Otherwise {ELSE}"),
        ("zzz", 1, None, ELSE),
        ("zzz.y", 1, None, ELSE),
        (
            "disable_log_stats",
            False,
            None,
            "it can only be switched on: take it away with serve.disable_log_stats=null",
        ),
        (
            "disable_log_requests",
            True,
            "enable_log_requests",
            "this vLLM calls it enable_log_requests, and means the opposite",
        ),
    ],
)
def test_what_vllm_does_not_know_is_told_with_the_nearest(key: str, value: Any, nearest: str | None, do: str) -> None:
    assert list(flags.unknown({"port": 1, key: value}, listed("0.32.0"))) == [Unknown(key, nearest, do)]


def test_versions_differ() -> None:
    serve = {"calculate_kv_scales": True, "device_memory_utilization": 0.5}
    (older,), (newer,) = (list(flags.unknown(serve, listed(version))) for version in ("0.25.1", "0.32.0"))
    assert (older.key, older.nearest) == ("device_memory_utilization", "gpu_memory_utilization")
    assert (newer.key, newer.nearest) == ("calculate_kv_scales", None)


def test_vllm_is_asked_once_for_each_version_and_program(vllm: Callable[..., tuple[str, ...]], tmp_path: Path) -> None:
    program = vllm()
    assert flags.options(program, "0.32.0+cpu") is None
    assert flags.learn(program, "0.32.0+cpu") == listed("0.32.0")
    assert flags.options(program, "0.32.0+cpu") == listed("0.32.0")
    assert (tmp_path / "asked").read_text() == "serve --help=all\n"
    assert flags.options(program, "0.33.0") is None
    assert flags.options((*program, "more"), "0.32.0+cpu") is None
    assert flags.options(("no-such-program",), "0.32.0+cpu") is None
    assert flags.options((), "0.32.0+cpu") is None
    (file,) = (paths.cache() / "flags").iterdir()
    assert file.name.startswith("0.32.0+cpu-")
    document = json.loads(file.read_text())
    assert (document["format"], document["program"], document["version"]) == (2, list(program), "0.32.0+cpu")


def test_a_program_of_unknown_version_is_asked_again_when_it_changed(vllm: Callable[..., tuple[str, ...]]) -> None:
    program = vllm()
    flags.learn(program, None)
    assert flags.options(program, None)
    os.utime(program[0], ns=(1, 1))
    assert flags.options(program, None) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format":1}', '{"format":2,"flags":["--port"]}', '{"format":1,"flags":["--x"]}', "\x80"]
)
def test_a_spoilt_cache_is_as_none(text: str, vllm: Callable[..., tuple[str, ...]]) -> None:
    program = vllm()
    flags.learn(program, "1")
    (file,) = (paths.cache() / "flags").iterdir()
    file.write_text(text, encoding="latin-1")
    assert flags.options(program, "1") is None


def test_without_a_cache_it_still_answers(vllm: Callable[..., tuple[str, ...]]) -> None:
    program = vllm()
    paths.cache().parent.mkdir(parents=True, exist_ok=True)
    paths.cache().write_text("in the way")
    assert "--port" in flags.learn(program, "1")
    assert flags.options(program, "1") is None


def test_a_write_that_fails_leaves_nothing_behind(
    vllm: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "--port" in flags.learn(vllm(), "1")
    assert list((paths.cache() / "flags").iterdir()) == []


def refusal(program: tuple[str, ...]) -> str:
    with pytest.raises(RecipeError) as error:
        flags.learn(program, "1")
    assert flags.options(program, "1") is None
    (fault,) = error.value.faults
    assert (fault.where, fault.do) == ("engine.command", "try it in a terminal; vLLM may be broken")
    head = f"`{' '.join(program)} serve --help=all` does not say which flags vLLM has: "
    assert fault.what.startswith(head)
    return fault.what.removeprefix(head)


def test_when_it_does_not_say_this_is_told(vllm: Callable[..., tuple[str, ...]], tmp_path: Path) -> None:
    assert refusal(vllm("/dev/null")) == "it lists no flags"
    assert refusal(vllm("/dev/null", "echo 'ImportError: \x1b[1mno' >&2; echo >&2; exit 3")) == (
        "status 3: ImportError: \\x1b[1mno"
    )
    assert refusal(vllm("/dev/null", "exit 4")) == "status 4: "
    assert refusal((str(tmp_path / "none"),)) == "No such file or directory"


def test_one_that_hangs_is_ended_with_what_it_started(
    vllm: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(flags, "LIMIT_S", 0.3)
    start = time.monotonic()
    assert refusal(vllm("/dev/null", f"sleep 60 & echo $! > {tmp_path}/pid; wait")) == "no answer within 0.3 s"
    assert time.monotonic() - start < 5
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.real
def test_real_vllm_says_what_was_recorded() -> None:
    from recipe_runner.host import environments

    program = environments.program("cpu")
    assert program is not None
    assert flags.learn((str(program),), "0.32.0+cpu") == listed("0.32.0")
