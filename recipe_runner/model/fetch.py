"""Downloads a model into the cache of Hugging Face, in a process of its own that can be stopped at any time."""

import contextlib
import glob
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

import psutil

from recipe_runner.model.hub import Listing, listing
from recipe_runner.model.refusals import offline, page, problem, reason
from recipe_runner.model.weights import Problem, cached, gib, hub_cache, model_cache, room, weight_files
from recipe_runner.process import Child
from recipe_runner.serialize import to_json

POLL_S: Final = 0.2
PROGRESS_S: Final = 1.0
LISTING_S: Final = 10.0
GRACE_S: Final = 2.0  # for the child to remove what it has half of
AT_ONCE: Final = 2  # files; each is fetched in parallel parts, and one that is stopped half-way starts anew
AGAIN: Final = "run it again: files that are complete are kept"
STALE_S: Final = 3600.0  # nothing that is still being downloaded stands still for so long
PARTIAL: Final = re.compile(r"\.[0-9a-f]{8}\.incomplete$")  # of no use to a later download, unlike `<etag>.incomplete`
Tell = Callable[[int, int], None]


def fetch(model_id: str, revision: str | None, tell: Tell, stop: Callable[[], bool]) -> Path | Problem:
    """The model's folder in the cache, once all files that vLLM needs are there.

    `tell` hears at most once a second how many bytes there are, and of how many; `stop` is asked five times a second,
    and ends the download with everything that it started.
    """
    if folder := cached(model_id, revision):
        return folder
    if refused := offline(model_id):
        return refused
    with contextlib.ExitStack() as after:
        with tempfile.TemporaryDirectory(prefix="recipe-runner-") as place:
            log = Path(place) / "fetch.log"
            command = [sys.executable, "-P", "-m", "recipe_runner.model.fetch", model_id, revision or ""]
            child = Child(command, {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}, log, adopts=False)
            after.callback(child.stop, GRACE_S)
            # outlives its name: nothing is left if we are killed
            reports = after.enter_context(log.open(encoding="utf-8", errors="replace"))
        return _follow(child, reports, model_id, tell, stop)


def _follow(child: Child, log: TextIO, model_id: str, tell: Tell, stop: Callable[[], bool]) -> Path | Problem:
    """Read what the child reports until it is done, or `stop` says so."""
    done = total = 0
    outcome: Path | Problem | None = None
    while True:
        ended = child.poll() is not None
        for line in _lines(log.read() if ended else "".join(_whole(log))):
            match line:
                case {"done": int(done), "total": int(total)}:
                    tell(done, total)
                case {"path": str(path)}:
                    outcome = Path(path)
                case {"problem": {"kind": kind, "what": what, "do": do}}:
                    outcome = Problem(kind, what, do)
        if ended and outcome is not None:
            return outcome
        if ended:
            what = f"the download of {model_id} ended with status {child.poll()}{_last(log)}"
            return Problem("download", what, AGAIN)
        if stop():
            so_far = f" at {gib(done)} of {gib(total)}" if total else ""
            return Problem("stopped", f"the download of {model_id} was stopped{so_far}", AGAIN)
        time.sleep(POLL_S)


def _whole(log: TextIO) -> Iterator[str]:
    """The lines that are written to their end; the rest of one is left for the next time."""
    while True:
        start = log.tell()
        line = log.readline()
        if not line.endswith("\n"):
            log.seek(start)
            return
        yield line


def _lines(text: str) -> Iterator[Any]:
    """The reports among the lines; libraries write lines of their own."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _last(log: TextIO) -> str:
    """What the child said last, if it said why it died."""
    log.seek(0)
    lines = [line for line in log.read().splitlines() if line[:1] not in "{ "]
    return f": {reason(Exception(lines[-1]))}" if lines else ""


def main(argv: Sequence[str]) -> int:
    """The child: download, and report each step as a line of JSON. Words: the model's id, its revision or nothing."""
    model_id, revision = argv[0], argv[1] or None
    signal.signal(signal.SIGTERM, _give_up)
    outcome = _download(model_id, revision)
    if isinstance(outcome, Problem):
        _report(problem={"kind": outcome.kind, "what": outcome.what, "do": outcome.do})
        return 1
    _report(path=outcome)
    return 0


def _download(model_id: str, revision: str | None) -> str | Problem:
    listed = listing(model_id, revision, LISTING_S)
    if isinstance(listed, Problem):
        return listed
    if not listed.sizes:
        return Problem("content", f"{model_id} has no files that vLLM can load", f"look at {page(model_id)}")
    _sweep(model_id)
    total = sum(listed.sizes.values())
    if full := room(total - _complete(model_id, listed)):
        return full
    watch = threading.Thread(target=_progress, args=(model_id, listed, os.getppid()), daemon=True)
    watch.start()
    weights = weight_files(listed.sizes)
    try:  # weights last: a snapshot that has them all has everything
        _snapshot(model_id, revision, [name for name in listed.sizes if name not in weights])
        return _snapshot(model_id, revision, weights or list(listed.sizes))
    except Exception as exc:
        found = problem(exc, model_id, revision)
        if found is not None and found.kind != "network":
            return found
        return Problem("download", f"the download of {model_id} broke off: {reason(exc)}", AGAIN)
    finally:
        _report(done=_complete(model_id, listed), total=total)


def _snapshot(model_id: str, revision: str | None, names: list[str]) -> str:
    from huggingface_hub import snapshot_download

    from recipe_runner.model.refusals import endpoint

    return str(
        snapshot_download(
            model_id,
            revision=revision,
            endpoint=endpoint(),
            cache_dir=hub_cache(),
            allow_patterns=[glob.escape(name) for name in names],
            max_workers=AT_ONCE,
        )
    )


def _complete(model_id: str, listed: Listing) -> int:
    """The bytes of the files that are there."""
    folder = model_cache(model_id) / "snapshots" / listed.commit
    return sum(size for name, size in listed.sizes.items() if (folder / name).exists())


def _progress(model_id: str, listed: Listing, parent: int) -> None:
    """Report once a second; without a parent there is nobody left to download for."""
    total = sum(listed.sizes.values())
    while True:
        half = sum(min(part.stat().st_size, part.stat().st_blocks * 512) for part in _partial())
        _report(done=min(total, _complete(model_id, listed) + half), total=total)
        time.sleep(PROGRESS_S)
        if os.getppid() != parent:
            _give_up()


def _partial() -> list[Path]:
    """The files that this process is downloading."""
    opened = (Path(file.path) for file in psutil.Process().open_files())
    return [path for path in opened if path.name.endswith(".incomplete") and path.exists()]


def _sweep(model_id: str) -> None:
    """Remove what a download left that was killed before it could."""
    for path in model_cache(model_id).glob("blobs/*.incomplete"):
        if PARTIAL.search(path.name) and time.time() - path.stat().st_mtime > STALE_S:
            path.unlink(missing_ok=True)


def _give_up(number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:  # noqa: ARG001
    """End at once: threads in the middle of a download would be waited for."""
    for path in _partial():
        if PARTIAL.search(path.name):
            path.unlink(missing_ok=True)
    os._exit(128 + number)


def _report(**what: Any) -> None:
    sys.stdout.write(f"{to_json(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
