"""What real vLLM leaves on the machine when a run, or its engine, is killed: nothing, in the end."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from recipe_runner.serving.leftovers import held
from tests.e2e.conftest import Started, gone, start

TINY = ("recipe=internvl3-tiny", "hardware=cpu", "serve.port=0")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that nobody else uses; its name is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="e2e-") as name:
        yield Path(name)


class Watched:
    """A recipe-run's processes while they live, and the files that they have."""

    def __init__(self, run: Started, place: Path) -> None:
        self.place = place
        self.processes = psutil.Process(run.popen.pid).children(recursive=True)
        self.files = held(self.processes)
        assert any(file.startswith("/dev/shm/") for file in self.files)
        assert any(file.startswith(f"{place}/") for file in self.files)

    def engine(self) -> psutil.Process:
        return next(process for process in self.processes if "EngineCore" in " ".join(process.cmdline()))

    def left(self) -> list[object]:
        """What of all this is still there; folders in place of temporary files are caches, which are meant to stay."""
        alive = [process for process in self.processes if process.is_running() and process.status() != "zombie"]
        files = {*self.files, *(str(path) for path in self.place.iterdir() if not path.is_dir())}
        return [*alive, *filter(os.path.lexists, sorted(files))]


def doctor(folder: Path, *words: str) -> tuple[str, float]:
    """The line about servers that were left, and the seconds it took."""
    began = time.monotonic()
    run = start(folder, "doctor", *words)
    assert run.end() == 0, run.told
    (line,) = (line for line in (folder / "stdout").read_text().splitlines() if " left servers " in line)
    return line, time.monotonic() - began


def test_a_run_is_killed_and_doctor_stops_what_it_left(tmp_path: Path, place: Path) -> None:
    run = start(tmp_path / "run", "serve", *TINY, env={"TMPDIR": str(place)})
    run.wait_for(lambda: "Ctrl-C stops it" in run.told, "server")
    watched = Watched(run, place)
    assert run.end(signal.SIGKILL) == -signal.SIGKILL
    assert len([one for one in watched.left() if isinstance(one, psutil.Process)]) == len(watched.processes)
    assert not gone(run.port)
    line, _ = doctor(tmp_path / "doctor")
    assert line.startswith("warning  left servers ")
    assert "VLLM::" in line
    assert line.endswith(f"run {run.run_folder}")
    line, took_s = doctor(tmp_path / "doctor", "--clean")
    assert line.startswith("ok       left servers     stopped: pid ")
    assert watched.left() == []
    assert gone(run.port)
    line, _ = doctor(tmp_path / "doctor")
    assert line == "ok       left servers     none"
    print(f"stopped in {took_s:.1f} s")


def test_the_engine_is_killed_during_the_benchmark(tmp_path: Path, place: Path) -> None:
    run = start(tmp_path, *TINY, "benchmark.small.num_prompts=100000", env={"TMPDIR": str(place)})
    run.wait_for(lambda: any(tmp_path.glob("runs/*/*/*/small.log")), "benchmark")
    watched = Watched(run, place)
    began = time.monotonic()
    os.kill(watched.engine().pid, signal.SIGKILL)
    assert run.end() == 3
    took_s = time.monotonic() - began
    assert run.report["verdict"] == "error"
    assert [check["verdict"] for check in run.report["checks"]] == ["passed"] * 6
    assert run.report["benchmarks"][0]["verdict"] == "error"
    teardown = run.report["teardown"]
    assert (teardown["processes_left"], teardown["port_free"], teardown["files_left"]) == (0, True, 0)
    assert teardown["files_removed"] >= len([file for file in watched.files if file.startswith(f"{place}/")])
    assert watched.left() == []
    assert gone(run.port)
    print(f"torn down in {took_s:.1f} s")
