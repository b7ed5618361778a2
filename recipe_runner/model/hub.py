"""What the Hugging Face hub says of a model: asked within seconds, once; then it is known here."""

import contextlib
import hashlib
import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from recipe_runner.composition.schema import ModelFacts
from recipe_runner.model.refusals import endpoint, network, nonsense, offline, page, problem, shown
from recipe_runner.model.weights import COMMIT, CONFIGS, Problem, cached, of_folder, wanted, weight_files
from recipe_runner.paths import cache
from recipe_runner.serialize import from_json, write_json

TIMEOUT_S: Final = 3.0
FRESH_S: Final = 86_400.0  # how long what a branch said is taken to be true; a commit never changes
T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """A revision's commit, and the sizes in bytes of those of its files that vLLM needs."""

    commit: str
    sizes: dict[str, int]


def ask(model_id: str, revision: str | None = None, timeout_s: float = TIMEOUT_S) -> ModelFacts | Problem:
    """What is known of a model: recorded before, in the cache of Hugging Face, or asked within `timeout_s` in all."""
    file = _record(model_id, revision)
    recorded = _recorded(file)
    if recorded and _fresh(file, revision):
        return recorded
    if folder := cached(model_id, revision):
        here = of_folder(folder, f"the files of {page(model_id)} in {folder}", folder.name)
        if not isinstance(here, Problem):
            return here
    answer = offline(model_id) or within(timeout_s, lambda: _asked(model_id, revision, timeout_s + 1))
    if isinstance(answer, ModelFacts):
        with contextlib.suppress(OSError):  # without a cache it is asked again
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, answer.model_dump())
    elif recorded and (answer is None or answer.kind in ("network", "offline")):
        return recorded
    return answer or Problem("network", f"{shown(endpoint())} did not answer within {timeout_s:g} s", network())


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """What the work came to, or None if it takes longer: it is left to itself, whatever it waits for."""
    done: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except Exception as exc:
            done.put((None, exc))

    threading.Thread(target=run, name="hub", daemon=True).start()
    try:
        result, fault = done.get(timeout=seconds)
    except queue.Empty:
        return None
    if fault:
        raise fault
    return result


def listing(model_id: str, revision: str | None, timeout_s: float) -> Listing | Problem:
    """The files of a revision, as the hub lists them; each request may take `timeout_s`."""
    info = _described(model_id, revision, timeout_s)
    if isinstance(info, Problem):
        return info
    sizes = {entry.rfilename: int(entry.size or 0) for entry in info.siblings or ()}
    return Listing(str(info.sha), {name: sizes[name] for name in wanted(sizes)})


def _asked(model_id: str, revision: str | None, timeout_s: float) -> ModelFacts | Problem:
    info = _described(model_id, revision, timeout_s)
    if isinstance(info, Problem):
        return info
    sizes = {entry.rfilename: entry.size for entry in info.siblings or ()}
    weights = weight_files(sizes)
    if fault := _unservable(model_id, list(sizes)):
        return fault
    config = _config(model_id, str(info.sha), timeout_s) if CONFIGS[0] in sizes else {}
    if isinstance(config, Problem):
        return config
    known = [size for name in weights if (size := sizes[name]) is not None]
    try:
        return ModelFacts(
            source=f"{page(model_id)}/tree/{info.sha}, asked on {time.strftime('%Y-%m-%d', time.gmtime())}",
            revision=info.sha,
            licence=_licence(info),
            gated=None if info.gated is None else bool(info.gated),
            parameters=dict(info.safetensors.parameters) if info.safetensors else None,
            bytes=sum(known) if len(known) == len(weights) else None,
            config=config,
        )
    except (ValidationError, TypeError):  # sizes that are none
        return nonsense(model_id)


def _described(model_id: str, revision: str | None, timeout_s: float) -> Any:
    """The hub's description of a revision, or the Problem with it."""
    from huggingface_hub import HfApi

    try:
        api = HfApi(endpoint=endpoint())
        info = api.model_info(model_id, revision=revision, timeout=timeout_s, files_metadata=True)
    except (KeyError, TypeError, AttributeError, RecursionError):
        return nonsense(model_id)
    except Exception as exc:
        if known := problem(exc, model_id, revision):
            return known
        if isinstance(exc, ValueError) or type(exc).__name__ == "InvalidURL":  # not JSON, or a broken HF_ENDPOINT
            return nonsense(model_id)
        raise
    return info


def _config(model_id: str, commit: str, timeout_s: float) -> dict[str, Any] | Problem:
    """The model's config.json, read past the cache: a snapshot of one file there looks like a whole one to some."""
    from huggingface_hub import hf_hub_url, utils

    url = hf_hub_url(model_id, CONFIGS[0], revision=commit, endpoint=endpoint())
    try:
        response = utils.get_session().get(url, headers=utils.build_hf_headers(), timeout=timeout_s)  # type: ignore[attr-defined]
        utils.hf_raise_for_status(response)  # type: ignore[attr-defined]
        config = from_json(response.content)
    except Exception as exc:
        if known := problem(exc, model_id, commit):
            return known
        if not isinstance(exc, ValueError):
            raise
        config = None
    if isinstance(config, dict):
        return config
    return Problem("content", f"the config.json of {model_id} is not a JSON object", f"look at {page(model_id)}")


def _unservable(model_id: str, names: list[str]) -> Problem | None:
    do = "name a model in the format of transformers, with config.json and *.safetensors"
    if not any(name in names for name in CONFIGS):
        return Problem("content", f"{model_id} has no config.json", do)
    if not weight_files(names):
        other = " but GGUF" if any(name.endswith(".gguf") for name in names) else ""
        return Problem("content", f"{model_id} has no weights{other}", do)
    return None


def _licence(info: Any) -> str | None:
    """What the model's card says, by its own name if it is none of the known ones."""
    card = info.card_data or {}
    licence = card.get("license")
    if licence == "other":
        licence = card.get("license_name") or licence
    return licence if isinstance(licence, str) else None


def _record(model_id: str, revision: str | None) -> Path:
    digest = hashlib.sha256("\n".join((endpoint(), model_id, revision or "main")).encode()).hexdigest()[:12]
    return cache() / "models" / f"{re.sub(r'[^A-Za-z0-9._-]+', '--', model_id)[:80]}-{digest}.json"


def _recorded(file: Path) -> ModelFacts | None:
    try:
        return ModelFacts.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _fresh(file: Path, revision: str | None) -> bool:
    """Whether a record holds still: that of a commit does, that of a branch for a day."""
    return bool(COMMIT.fullmatch(revision or "")) or time.time() - file.stat().st_mtime < FRESH_S
