"""What a new recipe is about: a model, as the hub or a folder describes it."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from recipe_runner.composition.schema import ModelFacts
from recipe_runner.errors import Fault, RecipeError
from recipe_runner.model.architecture import Architecture
from recipe_runner.model.refusals import endpoint, page, problem
from recipe_runner.model.weights import Problem, cached, of_folder
from recipe_runner.paths import there
from recipe_runner.serialize import from_json

MODEL_ID: Final = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
CHATS: Final = re.compile(r"(?:^|[-_.])(?:instruct|chat|it)(?:$|[-_.])", re.IGNORECASE)
FOLDER: Final = "give the folder of a transformers model, with its config.json"
ELSEWHERE: Final = "say --offline to do without the model's facts, or --model ./FOLDER to read them there"
PLANNED: Final = frozenset(  # keys of config.json that planning reads, at its top and in text_config
    (
        *("architectures", "model_type", "torch_dtype", "dtype", "tie_word_embeddings", "quantization_config"),
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
        *("intermediate_size", "vocab_size", "max_position_embeddings", "rope_scaling", "rope_parameters"),
        *("sliding_window", "use_sliding_window", "layer_types", "attention_bias", "mlp_bias"),
        *("num_experts", "num_local_experts", "num_experts_per_tok", "moe_intermediate_size"),
        *("shared_expert_intermediate_size", "decoder_sparse_step", "mlp_only_layers"),
        *("text_config", "vision_config", "downsample_ratio", "image_seq_length"),
    )
)
Kind = Literal["embedding", "vision", "chat", "text"]


@dataclass(frozen=True)
class Subject:
    """A model: its id; what is known of it; the folder with its files, if that was named; how it is talked to."""

    id: str
    facts: ModelFacts | None
    folder: Path | None
    kind: Kind

    @property
    def architecture(self) -> Architecture | None:
        """Its architecture, as planning understands it."""
        return None if self.facts is None else _architecture(self.facts, self.facts.config)


def look(model: str, *, offline: bool) -> Subject:
    """Ask the hub, or read a folder, where `model` names one; `offline` asks nobody.

    Raises:
        RecipeError: there is no such model, it may not be read, or nobody answers.

    """
    try:
        folder = Path(model).expanduser()
    except RuntimeError as exc:  # ~ of nobody
        raise RecipeError(Fault("--model", f"there is no folder {model[:80]}", FOLDER)) from exc
    if model.startswith((".", "/", "~")) or there(folder, Path.is_dir):
        return _in_folder(folder)
    if not MODEL_ID.fullmatch(model):
        raise RecipeError(Fault("--model", f"{model!r} is not a name that a model can have", "write it as owner/name"))
    here = cached(model, None)
    if offline:
        source = f"the files of {page(model)} in the cache of Hugging Face"
        found = of_folder(here, source, here.name) if here else None
    else:
        from recipe_runner.model.hub import ask

        found = ask(model)
    if isinstance(found, Problem):
        do = ELSEWHERE if found.kind in ("network", "offline") else found.do
        raise RecipeError(Fault("--model", found.what, do))
    names = [] if CHATS.search(model) or offline or here or found is None else _listed(model, found.revision)
    return Subject(model, found and _trimmed(found), None, _kind(model, found, _has_template(here, names)))


def _in_folder(folder: Path) -> Subject:
    if not there(folder, Path.is_dir):
        raise RecipeError(Fault("--model", f"there is no folder {str(folder)[:80]}", FOLDER))
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name, flags=re.ASCII).strip("-.") or "model"
    found = of_folder(folder, f"the files in a folder {name}, read on {time.strftime('%Y-%m-%d', time.gmtime())}")
    if isinstance(found, Problem):
        raise RecipeError(found.fault("--model"))
    return Subject(name, _trimmed(found), folder, _kind(name, found, _has_template(folder, ())))


def _listed(model: str, revision: str | None) -> list[str]:
    """The names of the model's files, `chat_template` if its tokenizer has one; none where they cannot be had."""
    from huggingface_hub import HfApi

    from recipe_runner.model.hub import TIMEOUT_S, within

    try:
        api = HfApi(endpoint=endpoint())
        info = within(TIMEOUT_S, lambda: api.model_info(model, revision=revision, timeout=TIMEOUT_S))
    except Exception as exc:
        if problem(exc, model, revision) is None:
            raise
        return []
    within_tokenizer = ["chat_template"] if info and "chat_template" in str(info.config) else []
    return within_tokenizer + [file.rfilename for file in (info and info.siblings) or ()]


def _has_template(folder: Path | None, names: Iterable[str]) -> bool:
    """Whether a model brings a chat template: in a file of its own, or with its tokenizer."""
    files = {*names} | ({entry.name for entry in folder.iterdir()} if folder else set())
    if any(name.startswith("chat_template") for name in files):
        return True
    try:
        return folder is not None and "chat_template" in from_json((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _kind(name: str, facts: ModelFacts | None, template: bool) -> Kind:
    config = facts.config if facts else {}
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    if isinstance(config.get("vision_config"), dict):
        return "vision"
    if architecture.endswith("Model") or "Embedding" in architecture:  # a model without a head: BertModel, Qwen3Model
        return "embedding"
    return "chat" if template or CHATS.search(name) else "text"


def _trimmed(facts: ModelFacts) -> ModelFacts:
    """The facts with what planning reads of config.json; all of it, should that be another architecture without."""
    config = _kept(facts.config)
    same = _architecture(facts, config) == _architecture(facts, facts.config)
    return facts.model_copy(update={"config": config}) if same else facts


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key in PLANNED}
    for key, value in kept.items():
        if not isinstance(value, dict):
            continue
        if key == "text_config":
            kept[key] = _kept(value)
        elif key == "vision_config":
            kept[key] = {name: one for name, one in value.items() if isinstance(one, int | list)}
        elif key == "quantization_config":
            kept[key] = {name: one for name, one in value.items() if name != "ignore"}
    return kept


def _architecture(facts: ModelFacts, config: Mapping[str, Any]) -> Architecture | None:
    return Architecture.of(config, sum((facts.parameters or {}).values()) or None)
