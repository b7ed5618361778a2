"""A model's files on this machine: in a folder, or in the Hugging Face cache. Asks no network, and imports no hub."""

import os
import re
import shutil
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, Literal

from recipe_runner.composition.schema import ModelFacts
from recipe_runner.errors import Fault
from recipe_runner.model.serving import GIB, MOST
from recipe_runner.paths import there
from recipe_runner.serialize import from_json

MOST_HEADER: Final = 100_000_000  # bytes; safetensors itself refuses more
CONFIGS: Final = ("config.json", "params.json")  # transformers, Mistral
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
FORMATS: Final = (".safetensors", ".bin", ".pt")  # vLLM takes the first that is there
UNUSED: Final = (  # by vLLM: other frameworks, checkpoints of training, what people read
    *("*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data*", "*.tflite", "*.mlmodel"),
    *("onnx/*", "original/*", "metal/*", "coreml/*", "openvino/*", "runs/*"),
    *("training_args.bin", "optimizer.*", "scheduler.*", "scaler.pt", "rng_state*"),
    *(".git*", "README*", "*.md", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.mp4", "*.pdf"),
)
# fmt: off
Kind = Literal[
    "missing", "gated", "token", "revision", "network", "offline",
    "disk", "content", "architecture", "download", "stopped",
]
# fmt: on


@dataclass(frozen=True)
class Problem:
    """Why a model cannot be had or served: what kind of reason, what it is, what to do about it."""

    kind: Kind
    what: str
    do: str

    def fault(self, where: str) -> Fault:
        return Fault(where, self.what, self.do)


def gib(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / GIB:.2f} GiB"


def wanted(names: Iterable[str]) -> list[str]:
    """Which of a model's files vLLM needs, in their order."""
    left = [name for name in names if not any(fnmatch(name, pattern) for pattern in UNUSED)]
    if any(_top(name, ".safetensors") for name in left):
        left = [name for name in left if not name.endswith((".bin", ".pt", ".gguf"))]
    if any(_top(name, ".safetensors") and name.startswith("model") for name in left):
        left = [name for name in left if not name.startswith("consolidated")]  # the same once more, for Mistral's code
    return left


def weight_files(names: Iterable[str]) -> list[str]:
    """Which of these files hold the weights that vLLM loads."""
    names = wanted(names)
    for suffix in FORMATS:
        if found := [name for name in names if _top(name, suffix)]:
            return found
    return []


def of_folder(folder: Path, source: str | None = None, revision: str | None = None) -> ModelFacts | Problem:
    """The facts of a model in a folder; it takes milliseconds, as only the headers of the weights are read."""
    try:
        return _read(folder, source or f"the files in {folder}", revision)
    except OSError as exc:
        what = f"{exc.filename or folder} cannot be read: {exc.strerror}"
        return Problem("content", what, "see to it that it can, or name another folder")


def _read(folder: Path, source: str, revision: str | None) -> ModelFacts | Problem:
    config = read_config(folder)
    if isinstance(config, Problem):
        return config
    names = _needed(folder)
    if not names:
        return Problem("content", f"{folder} has no weights", "give a folder with *.safetensors in it")
    if missing := [name for name in names if not (folder / name).is_file()]:
        what = f"{folder} lacks {missing[0]}" + (f" and {len(missing) - 1} more files" if missing[1:] else "")
        return Problem("content", what, "download the model again: files that are complete are kept")
    parameters: Counter[str] = Counter()
    for name in (name for name in names if name.endswith(".safetensors")):
        found = _parameters(folder / name)
        if isinstance(found, Problem):
            return found
        parameters += found
    size = sum((folder / name).stat().st_size for name in names)
    return ModelFacts(
        source=source, revision=revision, parameters=dict(parameters) or None, bytes=size, config=config or {}
    )


def read_config(folder: Path) -> dict[str, Any] | Problem:
    """What is in `config.json`; nothing, if there is only Mistral's `params.json`."""
    file = folder / CONFIGS[0]
    if not file.is_file() and (folder / CONFIGS[1]).is_file():
        return {}
    do = "give the folder of a transformers model, with its config.json"
    try:
        config = from_json(file.read_bytes())
    except OSError:
        return Problem("content", f"{folder} has no config.json", do)
    except ValueError:
        config = None
    return config if isinstance(config, dict) else Problem("content", f"{file} is not a JSON object", do)


def hub_cache() -> Path:
    """Where Hugging Face's tools keep models: read here, as importing them takes 0.2 s."""
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return _expanded(own) if own else _hub_home() / "hub"


def hub_token() -> Path:
    """The file where `hf auth login` puts a token."""
    own = os.environ.get("HF_TOKEN_PATH")
    return _expanded(own) if own else _hub_home() / "token"


def _hub_home() -> Path:
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(os.environ.get("HF_HOME") or f"{shared}/huggingface")


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111 — Path's raises for a user who is not there


def model_cache(model_id: str) -> Path:
    """The folder of one model in there: `refs`, `snapshots`, `blobs`."""
    return hub_cache() / f"models--{model_id.replace('/', '--')}"


def cached(model_id: str, revision: str | None) -> Path | None:
    """The model's snapshot in the cache, if its config and all its weights are there."""
    folder = snapshot(model_id, revision)
    if folder is None or not any((folder / name).is_file() for name in CONFIGS):
        return None
    names = _needed(folder)
    return folder if names and all((folder / name).is_file() for name in names) else None


def missing_bytes(model_id: str, revision: str | None, facts: ModelFacts | None) -> int | None:
    """How many bytes of weights are still to be downloaded; None if that is not known."""
    if cached(model_id, revision):
        return 0
    if facts is None or facts.bytes is None:
        return None
    folder = snapshot(model_id, revision or facts.revision)
    here = sum((folder / name).stat().st_size for name in weight_files(_names(folder))) if folder else 0
    return max(0, facts.bytes - here)


def room(needed: int) -> Problem | None:
    """Whether the cache's disk has room for so many bytes."""
    folder = hub_cache()
    place = next(parent for parent in (folder, *folder.parents) if there(parent, Path.exists))
    free = shutil.disk_usage(place).free
    if free >= needed:
        return None
    what = f"the download takes {gib(needed)}, and {folder} has {gib(free)} free"
    return Problem("disk", what, "make room, or name a folder on another disk with HF_HOME")


def snapshot(model_id: str, revision: str | None) -> Path | None:
    """The folder of a revision in the cache, whole or in part."""
    home = model_cache(model_id)
    commit = revision or "main"
    if ".." in commit.split("/"):
        return None
    if not COMMIT.fullmatch(commit):
        try:
            commit = (home / "refs" / commit).read_text(encoding="utf-8").strip()
        except OSError:
            return None
    folder = home / "snapshots" / commit
    return folder if commit and there(folder, Path.is_dir) else None


def _top(name: str, suffix: str) -> bool:
    return "/" not in name and name.endswith(suffix)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def _needed(folder: Path) -> list[str]:
    """The names of the weights: those that an index lists, or else those that are there."""
    names = _names(folder)
    for suffix, index in ((".safetensors", "model.safetensors.index.json"), (".bin", "pytorch_model.bin.index.json")):
        if index not in names or (suffix == ".bin" and any(name.endswith(".safetensors") for name in names)):
            continue
        try:
            listed = set(from_json((folder / index).read_bytes())["weight_map"].values())
            if all(_top(name, suffix) for name in listed):
                return sorted(listed)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return weight_files(names)


def _parameters(file: Path) -> Counter[str] | Problem:
    """How many parameters of each dtype a safetensors file says it has, if it is as long as it should be."""
    size, name = file.stat().st_size, str(file)
    do = "download it again (with git, Git LFS must be installed)"
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size - 8, MOST_HEADER):
                raise ValueError(length)
            tensors = from_json(stream.read(length))
        tensors.pop("__metadata__", None)
        found = Counter[str]()
        for tensor in tensors.values():
            found[str(tensor["dtype"])] += _count(tensor["shape"])
        if found.total() > 8 * size:  # not a bit for each
            raise ValueError(found)
        end = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Problem("content", f"{name} is not a safetensors file", do)
    if size < end:
        return Problem("content", f"{name} is cut off: it has {size} of {end} bytes", do)
    return found


def _count(shape: Iterable[int]) -> int:
    """How many parameters a tensor of this shape has; once there cannot be so many, it is multiplied no further."""
    count = 1
    for extent in shape:
        if type(extent) is not int or not 0 <= (count := count * extent) < MOST:
            raise ValueError(shape)
    return count
