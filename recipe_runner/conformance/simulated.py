"""Simulated servers to prove plugins on: in this process, as a process, and in a whole run."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
import yaml

from recipe_runner.client import AnswerError, Client
from recipe_runner.engines.sim import Sim
from recipe_runner.engines.sim_faults import Fault
from recipe_runner.engines.sim_server import opened, parsed
from recipe_runner.facts import free_port
from recipe_runner.process import Child, words

MODEL: Final = "proof/model"
PATIENCE_S: Final = 0.5  # for a server that will not answer
LIMIT_S: Final = 60.0
Values = Mapping[str, Any]


@contextlib.contextmanager
def answering(
    engine: Values, serve: Values, fault: Fault | None = None, patience_s: float = LIMIT_S
) -> Iterator[Client]:
    """A client of a server in this process; `engine` are settings of `engine=sim`, `serve` flags of `vllm serve`."""
    args, _ = parsed(_argv(engine, serve, 0)[3:])
    with opened(args, fault or Fault()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with Client(_url(server.server_port), MODEL, patience_s) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def apart(engine: Values, serve: Values, log: Path) -> Iterator[Client]:
    """A client of a server in a process of its own, which may die, or hang."""
    port = free_port()
    with Child(_argv(engine, serve, port), {}, log), Client(_url(port), MODEL, PATIENCE_S) as client:
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                client.models()
            except AnswerError:
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
                time.sleep(0.02)
            else:
                break
        yield client


def _argv(engine: Values, serve: Values, port: int) -> list[str]:
    server = Sim.model_validate({"uses": "sim", **engine}).locate().server
    return [*server, MODEL, *words({**serve, "host": "127.0.0.1", "port": port})]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class Ran:
    """A run that has ended: its exit code, what it said, and its report."""

    code: int
    told: str
    report: dict[str, Any]

    def item(self, kind: str) -> dict[str, Any]:
        """What the check, or the benchmark, that is proven came to."""
        (found,) = (item for item in self.report[kind] if item["name"] == "it")
        return dict(found)


def recipe(folder: Path, serve: Values = MappingProxyType({}), **sections: Values) -> None:
    """Write the recipe `proof` into a folder, with these sections; files that they name are brought along."""
    facts = {"source": "recipe-runner's proofs"}
    own = {"summary": "A proof", "model": {"id": MODEL, "facts": facts}}
    own["serve"] = {**serve, "host": "127.0.0.1", "port": 0}
    _write(folder / "recipes" / "proof.yaml", {**own, **_brought(sections, folder / "recipes")})


def run(folder: Path, engine: Values, *more: str, limit_s: float = LIMIT_S) -> Ran:
    """Run the recipe in a folder as a person would, with an engine of these settings."""
    _write(folder / "conf" / "engine" / "proof.yaml", engine)
    choices = ["recipe=proof", "engine=proof", "timeouts.stop_s=2", f"--config-dir={folder / 'conf'}"]
    done = subprocess.run(
        [sys.executable, "-m", "recipe_runner", "--trust", "--json", *choices, *more],
        cwd=folder,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    told = f"{done.stderr}{done.stdout}"
    assert done.returncode not in (2, 70), told
    return Ran(done.returncode, told, json.loads(done.stdout or "null"))


def left(folder: Path) -> list[str]:
    """What is left of a run besides its recipe, its configuration and its run folder; processes, too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found += [f"process {process.pid} ({process.name()})"] if process.pid != os.getpid() else []
    return found + [file.name for file in folder.iterdir() if file.name not in ("recipes", "conf", "runs")]


def _brought(value: Any, into: Path) -> Any:
    """The same with each file that it names copied, and named by where it is then."""
    if isinstance(value, Mapping):
        return {key: _brought(inner, into) for key, inner in value.items()}
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file():
        into.mkdir(exist_ok=True)
        return shutil.copy(value, into / Path(value).name) and Path(value).name
    return value


def _write(file: Path, values: Values) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(dict(values), allow_unicode=True, sort_keys=False), encoding="utf-8")
