"""What takes trust: code that a recipe has loaded, programs that it redirects, places that it opens or talks to.

A recipe is data from anybody. What is listed here may stand in what is installed, in `./recipes`, in the person's own
configuration and on the command line; from any other file it takes `--trust`. docs/explanation/trust.md says why.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from recipe_runner.composition.layers import TYPED, Folded, Origin
from recipe_runner.errors import Fault
from recipe_runner.paths import personal_config, shipped, short
from recipe_runner.plugins import packages

LOADS: Final = "loads code"
REMOTE: Final = "runs code from the model's repository"
TALKS: Final = "has the server talk to another machine"
FETCHES: Final = "has the server fetch from an address"
WRITES: Final = "writes files wherever it says"
DIRECTS: Final = "decides which program is started, or which server gets the key"
VARIABLE: Final = "may load code, or redirect programs"

FLAGS: Final[Mapping[str, str]] = {  # of vLLM 0.20 to 0.32
    "trust_remote_code": REMOTE,
    "config": "reads more flags from a file",
    **dict.fromkeys(("middleware", "logits_processors", "scheduler_cls", "worker_cls", "worker_extension_cls"), LOADS),
    **dict.fromkeys(("tool_parser_plugin", "reasoning_parser_plugin", "io_processor_plugin"), LOADS),
    **dict.fromkeys(("model_class_overrides", "distributed_executor_backend", "additional_config"), LOADS),
    **dict.fromkeys(("log_config_file", "logging_config"), LOADS),  # logging calls any factory that it names
    **dict.fromkeys(("kv_transfer_config", "ec_transfer_config", "ec_manager_config", "weight_transfer_config"), LOADS),
    # vLLM's processes send each other pickled objects, which are code to whoever can send one
    **dict.fromkeys(("master_addr", "data_parallel_address", "model_loader_extra_config"), TALKS),
    **dict.fromkeys(("kv_events_config", "otlp_traces_endpoint", "tool_server"), TALKS),
    "allowed_local_media_path": "lets every client of the server read files",
    "trust_request_chat_template": "lets every client of the server do more",
    "trust_request_mm_kwargs": "lets every client of the server do more",
    **dict.fromkeys(("download_dir", "uds", "mm_encoder_fp8_scale_save_path", "profiler_config"), WRITES),
}
HARMLESS: Final[Mapping[str, frozenset[Any]]] = {  # values that need no trust all the same
    "distributed_executor_backend": frozenset(("mp", "ray", "uni", "external_launcher")),
    "worker_cls": frozenset(("auto",)),
    "backend": frozenset(("", "eager", "inductor")),
}
FULL_NAMES: Final = frozenset(("reasoning_parser",))  # flags that begin one of the above, and are not short for it
NAMES: Final = re.compile(r"trust_remote_code|.*plugin|.*(?:^|_)cls|.*_class|.*module_path")  # at any depth of a flag
INSIDE: Final[Mapping[str, Mapping[str, str]]] = {
    "compilation_config": {
        **dict.fromkeys(("backend", "inductor_passes", "inductor_compile_config", "cache_dir"), LOADS),
        "debug_dump_path": WRITES,
    },
}
DRAFTS: Final = frozenset(("spec_model", "spec_method", "speculative_config.model", "speculative_config.method"))
DRAFT_CLASS: Final = re.compile(r"custom_class|[^\W\d]\w*(?:\.[^\W\d]\w*)+")  # `package.Class` is a proposer

FAMILY: Final = re.compile(
    r"(?:VLLM|NCCL|CUDA|HIP|HSA|ROCR|GLOO|OMP|MKL|KMP|UCX|NVSHMEM|PYTORCH|TORCH|TRITON|HF_HUB|FLASHINFER|AMDGCN|AITER)_\w+"
    r"|DO_NOT_TRACK|PYTHONHASHSEED|PYTHONNOUSERSITE|SAFETENSORS_FAST_GPU|TOKENIZERS_PARALLELISM|TRANSFORMERS_OFFLINE"
)
NAMES_CODE: Final = re.compile(
    "PLUGIN|PRELOAD|INJECT|INSECURE|TRUST|RUNTIME_LORA|DEV_MODE|UCX_MODULE|OMP_TOOL|_TOOLS|_LIB|CONNECTOR|FLAGS|COMM_ID"
)
NAMES_PLACE: Final = re.compile(
    "_(?:PATH|DIR|BASE|ROOT|HOME|FOLDER|FILE|CACHE|ENDPOINT|SERVER|PROXY|URL|ADDRESS|ADDR|HOST|IPS?)$"
)
PLAIN: Final = re.compile(r"[\w.,:;=+^*-]*")  # a name or several: no path, no address with a scheme
SWITCH: Final = re.compile("[01]?|true|false|yes|no|on|off", re.I)

BENCH_FLAGS: Final[Mapping[str, str]] = {
    "trust_remote_code": REMOTE,
    **dict.fromkeys(("base_url", "host", "port", "endpoint", "header"), "sends requests, and the key, elsewhere"),
    **dict.fromkeys(("result_dir", "result_filename"), WRITES),
}
ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]")
ENDPOINT: Final = re.compile(r"/.*|\w*", re.S)
Finding = tuple[str, str]


class Leaf(NamedTuple):
    """A value inside a flag, with the keys that lead to it."""

    keys: tuple[str, ...]
    value: Any


def refused(folded: Folded) -> dict[str, Fault]:
    """What takes trust and comes from a file that is not the person's own, by dotted key."""
    found: dict[str, Fault] = {}
    for key, reason in _findings(folded.values):
        origin = next((origin for origin in _origins(folded, key) if not own(origin)), None)
        if origin is None:
            continue
        recipe = origin.layer in ("recipe", "profile", "lock")
        place = "copy the recipe into ./recipes" if recipe else f"put the file below {short(personal_config().parent)}"
        what = f"this {reason}, and the {'recipe' if recipe else 'file'} is not yours"
        found.setdefault(key, Fault(f"{key} ({origin})", what, f"read it, then say --trust, or {place}"))
    return found


def own(origin: Origin) -> bool:
    """Whether a value is the person's word, or ours: typed, or from a file in a folder of theirs, ours, a package's."""
    if origin.layer == TYPED:
        return True
    roots = (shipped("conf"), shipped("recipes"), Path("recipes"), personal_config().parent, *packages.folders())
    return any(origin.folder.resolve().is_relative_to(root.resolve()) for root in roots)


def _origins(folded: Folded, key: str) -> Iterator[Origin]:
    """Where a value came from, and each part of it: layers add to a mapping."""
    at = key
    while at and at not in folded.origins:
        at = at.rpartition(".")[0]
    yield from (origin for known, origin in folded.origins.items() if known == at or known.startswith(f"{at}."))


def _findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Each dotted key that takes trust, and what it would do."""
    for name, value in _mapping(values, "serve").items():
        yield from ((f"serve.{'.'.join((name, *keys))}", reason) for keys, reason in flag(name, value))
    for name, value in _mapping(values, "env").items():
        if not harmless_variable(name, str(value)):
            yield f"env.{name}", VARIABLE
    yield from ((f"engine.{name}", DIRECTS) for name in _mapping(values, "engine") if name != "uses")
    if "folder" in _mapping(values, "report"):  # only a lock can say so for somebody else
        yield "report.folder", WRITES
    yield from _classes(values)
    for section in ("validation", "benchmark"):
        for name, block in _mapping(values, section).items():
            if isinstance(block, Mapping):
                yield from ((f"{section}.{name}.{key}", reason) for key, reason in _block(block))


def _classes(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Plugins that are named by their place, `module:Class`."""
    blocks = {"engine": values.get("engine")}
    blocks |= {
        f"{section}.{name}": block
        for section in ("validation", "benchmark")
        for name, block in _mapping(values, section).items()
    }
    for key, block in blocks.items():
        if isinstance(block, Mapping) and ":" in str(block.get("uses", "")):
            yield f"{key}.uses", LOADS
    if ":" in str(_mapping(values, "report").get("formats", "")):
        yield "report.formats", LOADS


def flag(name: str, value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """What takes trust in one flag of `vllm serve`: the keys inside its value, and what it would do."""
    meant = _meant(name, FLAGS)
    if meant and value is not False and not _harmless(meant, value):
        yield (), FLAGS[meant]
        return
    if value is not False and NAMES.fullmatch(name) and not meant:
        yield (), LOADS
    section = INSIDE.get(_meant(name, INSIDE) or "", {})
    for leaf in _leaves(value):
        for depth, key in enumerate(leaf.keys):
            inner = leaf.value if depth + 1 == len(leaf.keys) else None
            if inner is not False and not _harmless(key, inner) and (key in section or NAMES.fullmatch(key)):
                yield leaf.keys[: depth + 1], section.get(key, LOADS)
        place = ".".join((_meant(name, ("speculative_config", "spec_model", "spec_method")) or name, *leaf.keys))
        if place in DRAFTS and isinstance(leaf.value, str) and DRAFT_CLASS.fullmatch(leaf.value):
            yield leaf.keys, LOADS


def harmless_variable(name: str, value: str) -> bool:
    """Whether a variable of the environment is of a known family, and neither names code nor a place."""
    if not FAMILY.fullmatch(name) or NAMES_CODE.search(name):
        return False
    return bool((SWITCH if NAMES_PLACE.search(name) else PLAIN).fullmatch(value))


def _block(block: Mapping[str, Any]) -> Iterator[Finding]:
    """What takes trust in a check or a benchmark, besides its class."""
    if ADDRESS.search(str(block.get("image", ""))):
        yield "image", FETCHES
    if any(isinstance(leaf.value, str) and ADDRESS.search(leaf.value) for leaf in _leaves(block.get("extra_body"))):
        yield "extra_body", FETCHES
    if not ENDPOINT.fullmatch(str(block.get("endpoint", ""))):  # it stands right behind the port, or the host
        yield "endpoint", BENCH_FLAGS["endpoint"]
    for name, value in _mapping(block, "extra_args").items():
        if (meant := _meant(name.replace("-", "_"), BENCH_FLAGS)) and value is not False:
            yield f"extra_args.{name}", BENCH_FLAGS[meant]


def _meant(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str | None:
    """The flag that a name stands for; vLLM's parser takes the beginning of a name for the whole."""
    if name in known or name in FULL_NAMES:
        return name if name in known else None
    return next((flag for flag in known if flag.startswith(name)), None)


def _harmless(name: str, value: Any) -> bool:
    return isinstance(value, str) and value in HARMLESS.get(name, ())


def _leaves(value: Any) -> Iterator[Leaf]:
    """The values in a flag's value, also where it is JSON in a text."""
    left = [Leaf((), value)]
    while left:
        keys, value = left.pop()
        if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):  # nor can vLLM read it then
                value = json.loads(value)
        if isinstance(value, Mapping):
            left += [Leaf((*keys, str(key).replace("-", "_")), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [Leaf(keys, inner) for inner in value]
        else:
            yield Leaf(keys, value)


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}
