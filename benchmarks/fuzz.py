"""What anybody may send us, changed at random: recipes, words, a server's answers, log lines. Nothing may break us.

    python benchmarks/fuzz.py [--cases N] [--seed S] [--only TARGET] [--case I] [--json]

Everything runs in this process, in temporary folders, against a server of our own on the loopback. A case is bad if it
ends with a traceback (exit code 70), takes longer than its limit, or writes something that is not safe to read: a
character that steers a terminal, a document that is not JSON, a report with markup from elsewhere. Bad cases are
printed with what repeats them. The exit code is 1 if there is one.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_answers
import fuzz_input

from recipe_runner import runner
from recipe_runner.cli import main as cli
from recipe_runner.composition.compose import _hydra
from recipe_runner.composition.words import UNSEEN
from recipe_runner.secrets import mask
from recipe_runner.serialize import UNSAFE
from recipe_runner.serving import diagnosis, server, serverlog

LIMIT_S = 10.0
SHARES = {"recipe": 0.35, "words": 0.3, "answers": 0.15, "log": 0.2}
CLEAN = {0: "accepted", 1: "accepted", 2: "refused", 3: "refused", 4: "accepted"}
LOGS = tuple((Path(__file__).parents[1] / "tests" / "data" / "vllm_logs").glob("*.log"))


class Hang(BaseException):
    """A case took too long."""


@dataclass
class Tally:
    """What became of the cases of one target."""

    target: str
    cases: int = 0
    refused: int = 0
    accepted: int = 0
    tracebacks: int = 0
    hangs: int = 0
    unsafe: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    bad: list[dict[str, Any]] = field(default_factory=list)


class Bad(Exception):
    """What a case wrote is not safe to read."""


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def rise(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, rise)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should something swallow it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _command(words: list[str]) -> tuple[int, str, str]:
    """`recipe-run WORDS` in this process: exit code, stdout, stderr; what it prints must be what UTF-8 can hold."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", how, write_through=True) for how in ("strict", "backslashreplace")
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli(words)
        except SystemExit as exc:  # argparse's --help
            code = int(exc.code or 0)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return code, texts[0], texts[1]


def _judged(words: list[str]) -> int:
    """The exit code of a command whose output is safe."""
    code, out, err = _command(words)
    if code not in CLEAN:
        raise Bad(f"exit code {code}\n{err.rpartition('recipe-run: this is a bug')[0][-4000:]}")
    for text in (out, err):
        if found := UNSEEN.search(text):
            raise Bad(
                f"the character {found[0]!a} was printed: {text[max(0, found.start() - 80) : found.end() + 20]!a}"
            )
    if "--json" in words and out and "--help" not in words and "-h" not in words:
        fuzz_input.strict_json(out)
    if code == 2 and not (err.startswith("recipe-run: ") or '"errors"' in out):
        raise Bad(f"refused without a word: {out[:300]!r} {err[:300]!r}")
    return code


def recipe(rng: random.Random) -> tuple[Any, Callable[[], int]]:
    """`plan` or `show` of a changed recipe, the person's own or a stranger's; or of a choice in an added folder."""
    place = rng.choice(
        ("recipes/fuzz.yaml", "stranger/fuzz.yaml") * 3 + ("added/hardware/x.yaml", "added/engine/x.yaml")
    )
    words = rng.choice((["plan"], ["show"], ["plan", "--json"], ["plan", "--trust"]))
    group = place.split("/")[1]
    if place.startswith("added"):
        data = fuzz_input.choice(rng, group)
        words += ["internvl3" if words == ["show"] else "recipe=internvl3", f"{group}=x"]
        words += ["hardware=h200x1"] if group == "engine" else []
        words = [*(words if rng.random() < 0.8 else ["list"]), "--config-dir", "added"]
    else:
        data = fuzz_input.recipe(rng)
        hardware = f"hardware={rng.choice(('h200x8', 'cpu', 'h200x1', 'a100x2'))}"
        words = [*words, place if words == ["show"] else f"recipe={place}", hardware]

    def run() -> int:
        Path(place).write_bytes(data)
        _hydra.cache_clear()
        try:
            return _judged(words)
        finally:
            Path(place).unlink()

    return {"words": words, "data": repr(data)}, run


def words(rng: random.Random) -> tuple[Any, Callable[[], int]]:
    """Any words after a verb that starts nothing."""
    argv = fuzz_input.words(rng)
    return argv, lambda: _judged(argv)


def answers(rng: random.Random) -> tuple[Any, Callable[[], int]]:
    """A whole run against a server that answers anything."""
    script = fuzz_answers.script(rng)

    def run() -> int:
        with fuzz_answers.Server(script) as url:
            code = _judged(
                [
                    "recipe=checks",
                    "engine=attach",
                    f"engine.url={url}",
                    "timeouts.request_s=0.4",
                    "timeouts.ready_s=0.4",
                    *(["--json"] if rng.random() < 0.3 else []),
                ]
            )
        fuzz_answers.inspect(Path("runs"))
        return code

    return script.shown(), run


def log(rng: random.Random) -> tuple[Any, Callable[[], int]]:
    """What we tell of a log."""
    data = fuzz_input.log(rng, LOGS)
    diagnosed = rng.random() < 0.05  # which takes a process

    def run() -> int:
        file = Path("server.log")
        file.write_bytes(data)
        told = [serverlog.last_line(file), *serverlog.telling_lines(file)]
        if any(UNSAFE.search(line) or fuzz_input.CONTROL.search(line) or "\n" in line for line in told):
            raise Bad(f"told: {told!a}")
        text = data.decode(errors="replace")
        if diagnosed:
            found, _ = diagnosis.diagnose(file, {}, "0.32.0")
            if found and any(not line.isprintable() for line in found.as_dict().values()):
                raise Bad(f"diagnosed: {found!a}")
        masked = mask(text, {"HF_TOKEN": fuzz_input.SECRET})
        if fuzz_input.SECRET in masked:
            raise Bad("a secret was not masked")
        serverlog.logged_memory(file)
        return 0

    return repr(data), run


TARGETS: dict[str, Callable[[random.Random], tuple[Any, Callable[[], int]]]] = {
    "recipe": recipe,
    "words": words,
    "answers": answers,
    "log": log,
}


def one(target: str, seed: int, number: int, tally: Tally, limit_s: float) -> None:
    """Run one case, and note what became of it."""
    shown, run = TARGETS[target](random.Random(f"{seed}/{target}/{number}"))
    start = time.monotonic()
    problem = None
    try:
        with _limit(limit_s):
            outcome = CLEAN[run()]
            setattr(tally, outcome, getattr(tally, outcome) + 1)
    except Hang:
        tally.hangs += 1
        problem = "hang: " + traceback.format_exc()[-3000:]
    except Bad as exc:
        kind = "tracebacks" if str(exc).startswith("exit code") else "unsafe"
        setattr(tally, kind, getattr(tally, kind) + 1)
        problem = str(exc)
    except Exception:
        tally.tracebacks += 1
        problem = traceback.format_exc()[-4000:]
    seconds = time.monotonic() - start
    tally.cases += 1
    tally.seconds += seconds
    tally.slowest_s = max(tally.slowest_s, seconds)
    if problem:
        tally.bad.append({"target": target, "seed": seed, "case": number, "problem": problem, "input": shown})


@contextlib.contextmanager
def alone() -> Iterator[Path]:
    """A folder, a home and a cache of our own; the hub is offline; waiting is short."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="recipe-run-fuzz-") as name, patch.object(sys, "path", sys.path.copy()):
        folder = Path(name)
        env = {
            "HOME": name,
            "XDG_CONFIG_HOME": f"{name}/config",
            "XDG_CACHE_HOME": f"{name}/cache",
            "PATH": "/usr/bin:/bin",
        }
        env |= {"HF_HUB_OFFLINE": "1", "HF_HOME": f"{name}/hf", "COLUMNS": "120"}
        with (
            patch.dict(os.environ, env, clear=True),
            patch.object(server, "AWAY_S", 0.1),
            patch.object(server, "POLL_S", 0.02),
            patch.object(runner, "POLL_S", 0.02),
        ):
            for part in ("recipes", "stranger", "added/hardware", "added/engine"):
                (folder / part).mkdir(parents=True)
            fuzz_answers.prepare(folder / "recipes", folder / "stranger")
            (folder / "loop").symlink_to("loop")
            os.chdir(folder)
            logging.disable(logging.CRITICAL)
            try:
                yield folder
            finally:
                logging.disable(logging.NOTSET)
                os.chdir(here)
                _hydra.cache_clear()


def fuzz(
    cases: int, seed: int, only: str | None = None, case: int | None = None, limit_s: float = LIMIT_S
) -> list[Tally]:
    """Run the cases, shared among the targets; with `case`, that one of target `only`."""
    tallies = []
    with alone():
        for target in [only] if only else TARGETS:
            tally = Tally(target)
            count = cases if only else round(cases * SHARES[target])
            for number in range(count) if case is None else (case,):
                one(target, seed, number, tally, limit_s)
            tallies.append(tally)
    return tallies


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TARGETS)
    parser.add_argument("--case", type=int, help="repeat this case of --only")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    tallies = fuzz(args.cases, args.seed, args.only, args.case)
    bad = [case for tally in tallies for case in tally.bad]
    if args.json:
        print(json.dumps([asdict(tally) for tally in tallies], indent=1))
        return bool(bad)
    columns = ("target", "cases", "refused", "accepted", "tracebacks", "hangs", "unsafe", "seconds", "slowest_s")
    print("  ".join(f"{name:>10}" for name in columns))
    for tally in tallies:
        row = [getattr(tally, name) for name in columns]
        print("  ".join(f"{cell:>10.2f}" if isinstance(cell, float) else f"{cell:>10}" for cell in row))
    alike = Counter(case["problem"].strip().splitlines()[-1][:150] for case in bad)
    for last, count in alike.most_common():
        first = next(case for case in bad if case["problem"].strip().splitlines()[-1][:150] == last)
        print(f"\n{count} × {last}\n  --seed {first['seed']} --only {first['target']} --case {first['case']}")
        print(f"  input: {str(first['input'])[:1500]}\n{first['problem'][-1800:]}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
