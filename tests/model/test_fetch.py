import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from recipe_runner.errors import Interrupted
from recipe_runner.model import fetch as module
from recipe_runner.model.fetch import fetch, main
from recipe_runner.model.weights import Problem, cached, hub_cache
from tests.model.hub_server import COMMIT, Hub, Model, asked_by, safetensors
from tests.running import until

NAMES = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
SHARDS = {name: safetensors({name: ("BF16", [16, 1024])}) for name in NAMES}
SIZE = len(SHARDS[NAMES[0]])
INDEX = json.dumps({"weight_map": {f"layer{n}": name for n, name in enumerate(NAMES)}}).encode()
SMALL = {"config.json": b"{}", "model.safetensors.index.json": INDEX, "tokenizer.json": b"{}"}
FILES = {**SHARDS, **SMALL, "README.md": b"#", "original/x.pth": b"?" * 99, "x.gguf": b"?"}
TOTAL = 3 * SIZE + sum(map(len, SMALL.values()))
AGAIN = "run it again: files that are complete are kept"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with asked_by(monkeypatch, models={"a/model": Model(dict(FILES))}, tokens=("hf_thisIsASecret",)) as hub:
        yield hub


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    mine = [p.cmdline() for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    assert not [words for words in mine if "recipe_runner.model.fetch" in words]


def run(told: list[tuple[int, int]], stop: Any = lambda: False, revision: str | None = None) -> Path | Problem:
    return fetch("a/model", revision, lambda done, total: told.append((done, total)), stop)


def incomplete() -> list[Path]:
    return list(hub_cache().glob("**/*.incomplete"))


def test_all_that_vllm_needs(hub: Hub, told: list[tuple[int, int]]) -> None:
    home = run(told)
    assert isinstance(home, Path)
    assert home == hub_cache() / "models--a--model" / "snapshots" / COMMIT == cached("a/model", None)
    assert {file.name: file.read_bytes() for file in home.iterdir()} == {**SHARDS, **SMALL}
    assert told[-1] == (TOTAL, TOTAL)
    assert told == sorted(told)
    assert [line for line in hub.asked if line.endswith(("README.md", "x.pth", "x.gguf"))] == []
    first, last = (next(n for n, line in enumerate(hub.asked) if name in line) for name in ("tokenizer", NAMES[0]))
    assert first < last, "the weights come last"


def test_what_is_there_is_not_asked_for(hub: Hub, told: list[tuple[int, int]]) -> None:
    home = run(told)
    hub.asked.clear()
    told.clear()
    assert run(told) == run(told, revision="main") == run(told, revision=COMMIT) == home
    assert (hub.asked, told) == ([], [])


def test_stopped_and_run_again(hub: Hub, told: list[tuple[int, int]]) -> None:
    hub.slow = dict.fromkeys(NAMES[1:], 0.5)
    whole = hub_cache() / "models--a--model" / "snapshots" / COMMIT / NAMES[0]
    start = time.monotonic()
    found = run(told, stop=lambda: whole.exists() and len(incomplete()) == 2)
    assert time.monotonic() - start < 5
    assert found == Problem("stopped", "the download of a/model was stopped at 0.00 GiB of 0.00 GiB", AGAIN)
    assert (incomplete(), cached("a/model", None)) == ([], None)
    hub.slow.clear()
    hub.asked.clear()
    told.clear()
    home = run(told)
    assert isinstance(home, Path)
    assert (home / NAMES[2]).read_bytes() == SHARDS[NAMES[2]]
    assert hub.got(NAMES[0]) == hub.got("tokenizer.json") == []
    assert [len(hub.got(name)) for name in NAMES[1:]] == [1, 1]
    assert told[0][0] >= SIZE
    assert told[-1] == (TOTAL, TOTAL)


def test_stopped_before_it_began(hub: Hub, told: list[tuple[int, int]]) -> None:
    hub.hang = True
    assert run(told, stop=lambda: True) == Problem("stopped", "the download of a/model was stopped", AGAIN)


def test_a_connection_that_breaks_off_goes_on_where_it_was(hub: Hub, told: list[tuple[int, int]]) -> None:
    large = safetensors({"a": ("BF16", [6, 1 << 20])})
    hub.models["a/model"].files[NAMES[0]] = large
    hub.cut = {NAMES[0]: 11 << 20}  # it is written to disk 10 MiB at a time
    home = run(told)
    assert isinstance(home, Path)
    assert (home / NAMES[0]).read_bytes() == large
    assert [line.rpartition(" ")[2] for line in hub.got(NAMES[0])][1:] == [f"bytes={10 << 20}-"]
    assert (10 << 20) < told[-2][0] < told[-2][1] == told[-1][0]


def test_an_interrupt_takes_it_down(hub: Hub, told: list[tuple[int, int]]) -> None:
    hub.slow = dict.fromkeys(NAMES, 0.5)

    def interrupt() -> bool:
        if incomplete():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(told, stop=interrupt)
    assert incomplete() == []


@pytest.mark.usefixtures("hub")
def test_an_interrupt_right_after_it_began_takes_it_down(
    told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def interrupted(file: Path, *how: Any, **more: Any) -> Any:
        if file.name == "fetch.log":
            raise Interrupted
        return opened(file, *how, **more)

    monkeypatch.setattr(Path, "open", interrupted)
    with pytest.raises(Interrupted):
        run(told)


def test_without_its_parent_it_ends(hub: Hub, tmp_path: Path) -> None:
    hub.slow = dict.fromkeys(NAMES, 0.5)
    program = "from recipe_runner.model.fetch import fetch; fetch('a/model', None, print, lambda: False)"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    (child,) = until(lambda: incomplete() and psutil.Process(parent.pid).children(), "download")
    parent.kill()
    parent.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "end of the child")
    assert incomplete() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"models": {}},
            Problem(
                "missing",
                "there is no model a/model at {url}",
                "check the name; a private one looks the same without a token: `hf auth login`, or set HF_TOKEN",
            ),
        ),
        (
            {"models": {"a/model": Model({"README.md": b"#"})}},
            Problem("content", "a/model has no files that vLLM can load", "look at {url}/a/model"),
        ),
        (
            {"models": {"a/model": Model(FILES, gated="auto")}},
            Problem(
                "gated",
                "a/model is gated, and there is no token",
                "accept its terms at {url}/a/model, then `hf auth login`, or set HF_TOKEN",
            ),
        ),
        ({"answer": (502, b"")}, Problem("network", "{url} answered 502 for a/model", "try again later")),
    ],
)
def test_what_is_refused(
    change: dict[str, Any], expected: Problem, hub: Hub, told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in change.items():
        setattr(hub, name, value)
    url = hub.url
    assert run(told) == Problem(expected.kind, expected.what.format(url=url), expected.do.format(url=url))


def test_a_revision_that_is_not_there(hub: Hub, told: list[tuple[int, int]]) -> None:
    do = f"choose a branch, tag or commit from {hub.url}/a/model/tree/main"
    assert run(told, revision="v2") == Problem("revision", "a/model has no revision v2", do)


def test_offline(told: list[tuple[int, int]]) -> None:
    what = f"a/model is not in {hub_cache()}, and HF_HUB_OFFLINE forbids asking the hub"
    do = "unset HF_HUB_OFFLINE, or copy the model there, or name its folder with model.path"
    assert run(told) == Problem("offline", what, do)


def test_a_child_that_dies(hub: Hub, told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_thisIsASecret")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "no number")
    found = run(told)
    what = "ended with status 1: ValueError: invalid literal for int() with base 10: 'no number'"
    assert found == Problem("download", f"the download of a/model {what}", AGAIN)


def test_a_child_that_is_killed(hub: Hub, told: list[tuple[int, int]]) -> None:
    hub.slow = dict.fromkeys(NAMES, 0.5)

    def kill() -> bool:
        for child in psutil.Process().children() if incomplete() else ():
            child.kill()
        return False

    assert run(told, stop=kill) == Problem("download", "the download of a/model ended with status -9", AGAIN)


def test_only_whole_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"done": 1}\n{"do')
    with log.open() as lines:
        assert list(module._whole(lines)) == ['{"done": 1}\n']
        assert list(module._whole(lines)) == []
        log.write_text('{"done": 1}\n{"done": 2}\n')
        assert list(module._whole(lines)) == ['{"done": 2}\n']


def here(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[Any]]:
    """The child's work in this process: its status, its reports."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main(words)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_progress", lambda *arguments: None)


@pytest.mark.usefixtures("no_thread")
def test_the_child(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    home = hub_cache() / "models--a--model" / "snapshots" / COMMIT
    code, reports = here(capsys, "a/model", "")
    assert (code, reports) == (0, [{"done": TOTAL, "total": TOTAL}, {"path": str(home)}])


@pytest.mark.usefixtures("no_thread", "hub")
def test_the_child_sweeps_up_after_one_that_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    blobs = hub_cache() / "models--a--model" / "blobs"
    blobs.mkdir(parents=True)
    old, young, other = (blobs / f"{name}.incomplete" for name in ("e.0a1b2c3d", "e.ffffffff", "e"))
    for file in (old, young, other):
        file.touch()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    assert here(capsys, "a/model", "")[0] == 0
    assert set(incomplete()) == {young, other}


@pytest.mark.usefixtures("no_thread")
def test_the_child_has_no_room(hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, TOTAL - 1))  # type: ignore[attr-defined]
    what = f"the download takes 0.00 GiB, and {hub_cache()} has 0.00 GiB free"
    do = "make room, or name a folder on another disk with HF_HOME"
    assert here(capsys, "a/model", "main") == (1, [{"problem": {"kind": "disk", "what": what, "do": do}}])
    assert not hub_cache().exists()


@pytest.mark.usefixtures("no_thread", "hub")
@pytest.mark.parametrize(
    ("fault", "kind", "what"),
    [
        (OSError(28, "full"), "disk", "{cache} cannot be written: No space left on device"),
        (
            OSError("Consistency check failed"),
            "download",
            "the download of a/model broke off: Consistency check failed",
        ),
        (RuntimeError("chunk lost"), "download", "the download of a/model broke off: chunk lost"),
    ],
)
def test_the_child_breaks_off(
    fault: Exception, kind: str, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> str:
        raise fault

    monkeypatch.setattr(module, "_snapshot", broken)
    code, (_, last) = here(capsys, "a/model", "")
    assert (code, last["problem"]["kind"]) == (1, kind)
    assert last["problem"]["what"] == what.format(cache=hub_cache())


def test_the_child_says_how_far_it_is_and_gives_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = module.Listing(COMMIT, {"a": 10_000, "b": 5})
    ended: list[int] = []

    def end(status: int) -> None:
        ended.append(status)
        raise SystemExit

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(module, "PROGRESS_S", 0)
    home = hub_cache() / "models--a--model" / "snapshots" / COMMIT
    home.mkdir(parents=True)
    (home / "b").write_bytes(b"12345")
    parts = [tmp_path / "etag.incomplete", tmp_path / "etag.0a1b2c3d.incomplete"]
    with parts[0].open("wb") as one, parts[1].open("wb") as two:
        one.write(bytes(4000))
        two.write(bytes(3000))
        one.flush()
        two.flush()
        os.sync()
        with pytest.raises(SystemExit):
            module._progress("a/model", listed, parent=-1)
    assert json.loads(capsys.readouterr().out) == {"done": 7005, "total": 10005}
    assert ended == [143]
    assert [part.exists() for part in parts] == [True, False], "what can be resumed stays"
