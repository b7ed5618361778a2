"""What can go wrong, tried: for each scenario the verdict, the exit code, the seconds to them, and what is left behind.

    python benchmarks/fault_matrix.py [--json] [--only PART] [--group sim|real]

The scenarios stand in fault_matrix.yaml. `sim` needs nothing; `real` needs `recipe-run setup cpu`. The seconds are from
the end of the server (or from what the matrix did to it) to the end of recipe-run. Nothing else may run meanwhile:
whatever is new in /dev/shm counts as left behind. Exits with 1 if a scenario was not as expected.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

SCENARIOS = Path(__file__).with_suffix(".yaml")
LIMIT_S = 240.0
POLL_S = 0.005


@dataclass
class Result:
    """What a scenario came to; `wrong` says why it is not what was expected."""

    name: str
    verdict: str | None = None
    code: int | None = None
    seconds: float | None = None
    death: bool = False
    leftovers: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Run:
    """One recipe-run in a folder of its own, looked at from outside."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(self.temporary)}
        with self.out.open("w") as out:
            command = [sys.executable, "-m", "recipe_runner", *words]
            self.popen = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env
            )
        self.start = time.monotonic()

    def poll(self) -> int | None:
        """The exit code, or None while it runs; it is killed when it takes far too long."""
        if time.monotonic() - self.start > LIMIT_S:
            self.popen.kill()
        return self.popen.poll()

    def wait_for(self, seen: Callable[[], Any]) -> Any:
        """What was seen, or None if recipe-run ended before."""
        while not (found := seen()):
            if self.poll() is not None:
                return None
            time.sleep(POLL_S)
        return found

    def phase(self, name: str) -> bool:
        """Whether the run came to this phase."""
        for file in self.folder.glob("runs/*/*/*/events.jsonl"):
            events = [json.loads(text) for text in file.read_text().splitlines() if text.endswith("}")]
            return any(event["event"] == "phase" and event["name"] == name for event in events)
        return False

    def server(self) -> psutil.Process | None:
        """The process that was launched as the server."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.popen.pid).children():
                words = child.cmdline()
                if "bench" not in words and {"serve", "recipe_runner.engines.sim_server"} & {*words}:
                    return child
        return None

    def report(self) -> Mapping[str, Any] | None:
        found = list(self.folder.glob("runs/*/*/*/report.json"))
        return json.loads(found[0].read_text()) if found else None

    def port(self) -> int:
        (plan,) = self.folder.glob("runs/*/*/*/plan.json")
        argv = json.loads(plan.read_text())["processes"][0]["argv"]
        return int(argv[argv.index("--port") + 1])


def act(run: Run, what: Mapping[str, Any], closing: contextlib.ExitStack) -> float | None:
    """Do to the run what the scenario says; when that was."""
    if not run.wait_for(lambda: run.phase(what["when"])):
        return None
    server = run.wait_for(run.server)
    time.sleep(what.get("after_s", 0))
    if what.get("listen"):
        closing.enter_context(socket.create_server(("127.0.0.1", run.port()))).listen()
        return None
    if what["to"] == "run":
        run.popen.send_signal(signal.Signals[f"SIG{what['signal']}"])
    elif server is not None:
        family = [server, *server.children(recursive=True)]
        engine = [process for process in family if "EngineCore" in " ".join(process.cmdline())]
        for process in {"server": [server], "engine": engine, "all": family}[what["to"]]:
            process.send_signal(signal.Signals[f"SIG{what['signal']}"])
    return time.monotonic()


def left_behind(run: Run, before: set[str], port: int | None, may_leave: str | None) -> Iterator[str]:
    """Processes that work in the run's folder, its port, shared memory and temporary files, the trace of its server."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(run.folder)) and process.status() != psutil.STATUS_ZOMBIE:
                yield f"process {process.pid} {process.name()}"
                process.kill()
    if port is not None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                yield f"port {port}"
    yield from sorted(file for file in shared_memory() - before if not (may_leave and may_leave in file))
    yield from (file.name for file in run.temporary.iterdir() if not file.name.startswith("torchinductor_"))
    yield from (str(file) for file in run.folder.glob("state/**/*.json"))


def shared_memory() -> set[str]:
    return {str(file) for file in Path("/dev/shm").iterdir()}


def tried(name: str, words: list[str], expected: Mapping[str, Any]) -> Result:
    """Run one scenario, and compare."""
    result = Result(name, death=bool(expected.get("death")))
    before = shared_memory()
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder, contextlib.ExitStack() as closing:
        run = Run(Path(folder).resolve(), words)
        moment = act(run, expected["act"], closing) if "act" in expected else None
        if result.death and moment is None and (server := run.wait_for(run.server)):
            run.wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
            moment = time.monotonic()
        while (code := run.poll()) is None:
            time.sleep(POLL_S)
        result.code, result.seconds = code, None if moment is None else round(time.monotonic() - moment, 2)
        report = run.report()
        result.verdict = report["verdict"] if report else None
        closing.close()
        result.leftovers = list(left_behind(run, before, run.port() if report else None, expected.get("may_leave")))
        result.wrong = list(wrong(result, expected, report, run.out.read_text()))
    return result


def wrong(result: Result, expected: Mapping[str, Any], report: Mapping[str, Any] | None, said: str) -> Iterator[str]:
    """How a scenario differs from what it should come to."""
    for key in ("verdict", "code"):
        if getattr(result, key) != expected[key]:
            yield f"{key} is not {expected[key]}"
    if expected.get("says", "") not in said:
        yield f"does not say {expected['says']!r}"
    if "Traceback" in said:
        yield "a traceback"
    free = report and (report["teardown"]["port_free"] or expected.get("act", {}).get("listen"))
    if report is None or report["teardown"]["processes_left"] or not free:
        yield f"teardown {report and report['teardown']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--group", choices=("sim", "real"), help="one group only")
    parser.add_argument("--verbose", action="store_true", help="what recipe-run printed, of what went wrong")
    args = parser.parse_args()
    results = []
    for group, content in yaml.safe_load(SCENARIOS.read_text()).items():
        for name, expected in content["scenarios"].items():
            if args.group in (None, group) and args.only in name:
                results.append(tried(name, [*content["words"], *expected.get("words", ())], expected))
                print(line(results[-1]), file=sys.stderr if args.json else sys.stdout, flush=True)
    deaths = [result.seconds for result in results if result.death and result.seconds is not None]
    bad = [result for result in results if result.wrong or result.leftovers]
    median = round(statistics.median(deaths), 2) if deaths else None
    if args.json:
        summary = {"scenarios": len(results), "wrong": len(bad), "median_s_after_a_death": median}
        print(json.dumps({"format": 1, **summary, "results": [asdict(result) for result in results]}, indent=2))
    else:
        print(f"{len(results)} scenarios, {len(bad)} not as expected; median after {len(deaths)} deaths: {median} s")
    return 1 if bad else 0


def line(result: Result) -> str:
    """A row of the table."""
    seconds = "" if result.seconds is None else f"{result.seconds:.2f} s"
    fault = "; ".join([*result.wrong, *(f"left: {each}" for each in result.leftovers)])
    mark = "ok" if not fault else "WRONG"
    return f"{mark:<6}{result.name:<34}{result.verdict or '-':<14}{result.code!s:>4}{seconds:>9}  {fault}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
