"""A model's architecture as memory and parallelism need it, read from its `config.json`. Pure.

Sizes are in parameters. How vLLM spreads each module over tensor-parallel GPUs is read from its source, version 0.32:
`model_executor/models/{qwen2,qwen3,llama,mixtral,qwen3_moe,interns1,interns1_vit,qwen2_5_vl}.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from recipe_runner.model.parts import PLAIN, Experts, Quantization, Vision, experts, quantization, size, vision
from recipe_runner.model.serving import MOST

DTYPE_BYTES: Final = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
VOCABULARY_PADDING: Final = 64  # layers/vocab_parallel_embedding.py: to 64, not to 64 × tp
YARN: Final = ("yarn", "deepseek_yarn")
SCALED: Final = ("su", "longrope", "llama3", *YARN)  # rope types whose length counts the factor already

# text model: what distinguishes its layers
FAMILIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {"qkv_bias": True},
    "Qwen3ForCausalLM": {"qk_norm": True},
    "Qwen2MoeForCausalLM": {"qkv_bias": True},
    "Qwen3MoeForCausalLM": {"qk_norm": True},
    "MixtralForCausalLM": {},
}
# by model_type, where the text model's architecture is not named
TYPES: Final = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "qwen3_moe": "Qwen3Moe"}
MULTIMODAL: Final = ("InternVLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration")


@dataclass(frozen=True)
class Stage:
    """What one GPU of a pipeline stage holds, in parameters; what its MLPs hold of a token at once, in activations."""

    linear: int
    other: int
    rotary: int
    layers: int
    kv_heads: int
    mlp: int
    vision_intermediate: int


@dataclass(frozen=True)
class Architecture:
    """What one copy of the model is made of.

    `model_len` is the longest request that vLLM derives; `most_len` the longest that any release of it does.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    positions: int
    model_len: int
    most_len: int
    tied: bool
    tied_stated: bool
    dtype: str
    qkv_bias: bool = False
    qk_norm: bool = False
    quantization: Quantization = PLAIN
    experts: Experts | None = None
    vision: Vision | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], parameters: int | None = None) -> "Architecture | None":
        """The architecture of a `config.json`, or None: unknown, so nothing may be concluded from it.

        `parameters`, the number that the checkpoint holds, decides whether the embeddings are tied where the
        configuration does not say so. Without it they are taken as untied, which needs more memory.
        """
        try:
            found = _read(cls, config)
            if found is None or not found.plausible:
                return None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        if found.tied_stated or parameters is None:
            return found
        embedding = found.vocabulary * found.hidden
        return _with_tied(found, tied=parameters < found.parameters - embedding // 2)

    @property
    def plausible(self) -> bool:
        """Whether these can be the sizes of a model; a `config.json` is from anybody."""
        sizes = [self.layers, self.hidden, self.heads, self.kv_heads, self.head_dim, self.intermediate]
        sizes += [self.vocabulary, self.positions, self.model_len, self.most_len, self.parameters]
        inner = [size for part in (self.vision, self.experts) if part for size in vars(part).values()]
        bits, group = self.quantization.bits, self.quantization.group
        return (
            all(0 < size < MOST for size in sizes)
            and all(size is None or size < MOST for size in inner)
            and (self.quantization is PLAIN or 0 < bits <= 64)
            and (group is None or 0 < group < MOST)
        )

    @property
    def rotary(self) -> int:
        """Elements of the rotary cache, whole on every GPU (rotary_embedding/base.py; mrope.py has 4 times as many)."""
        return self.positions * self.head_dim * (4 if self.name.startswith("Qwen2_5_VL") else 1)

    @property
    def padded_vocabulary(self) -> int:
        """Rows of the embedding: vLLM pads to a multiple of 64."""
        return -(-self.vocabulary // VOCABULARY_PADDING) * VOCABULARY_PADDING

    @property
    def dense_layers(self) -> int:
        """Layers with one MLP instead of experts."""
        return self.layers - (self.experts.sparse_layers if self.experts else 0)

    @property
    def parameters(self) -> int:
        """Parameters in the checkpoint: nothing padded, nothing replicated."""
        text = self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden
        linear, other = self.stage_parameters(0, self.layers)
        return text + linear + other + (self.vision.replicated + self.vision.sharded if self.vision else 0)

    def stages(self, tp: int = 1, pp: int = 1, dp: int = 1) -> tuple[Stage, ...]:
        """What a GPU of each pipeline stage holds.

        The embedding is on the first stage, the head on the last (a tied one is the embedding again), the image encoder
        on all. Copies (dp) share the experts: they are spread over tp × dp GPUs (fused_moe/config.py).
        """
        table = self.padded_vocabulary * self.hidden // tp
        encoder = self.vision.replicated + self.vision.sharded // tp if self.vision else 0
        shards = tp * dp
        mlp = 3 * self.intermediate // tp
        if self.experts:  # two workspaces (fused_moe/experts/triton_moe.py, `workspace_shapes`)
            wide = self.experts.intermediate // shards
            mlp = self.experts.active * (max(wide, self.hidden) + max(2 * wide, self.hidden))
        found, first = [], 0
        for rank, layers in enumerate(layers_of_stages(self.layers, pp)):
            linear, other = self.stage_parameters(first, first + layers, tp, shards)
            head = rank == pp - 1
            tables = (rank == 0) + head - (self.tied and pp == 1)
            whole = encoder + tables * table + (self.hidden if head else 0)
            kv_heads, seen = max(1, self.kv_heads // tp), self.vision.intermediate // tp if self.vision else 0
            found.append(Stage(linear, other + whole, self.rotary, layers, kv_heads, mlp, seen))
            first += layers
        return tuple(found)

    def stage_parameters(self, first: int, last: int, tp: int = 1, expert_shards: int = 1) -> tuple[int, int]:
        """Parameters of the layers `first` to `last` on one GPU: in linear layers (quantised, if any), and others.

        KV heads are replicated once tp exceeds them (layers/linear.py, QKVParallelLinear); norms and routers always.
        Experts are spread over `expert_shards` GPUs.
        """
        layers, dim = last - first, self.head_dim
        projected = (self.heads // tp + 2 * max(1, self.kv_heads // tp)) * dim
        attention = projected * self.hidden + self.heads * dim * self.hidden // tp
        norms = 2 * self.hidden + (2 * dim if self.qk_norm else 0) + (projected if self.qkv_bias else 0)
        sparse = round(self.experts.sparse_layers * layers / self.layers) if self.experts else 0
        linear = layers * attention + (layers - sparse) * 3 * self.hidden * self.intermediate // tp
        other = layers * norms
        if self.experts:
            wide, shared = self.experts.intermediate, self.experts.shared_intermediate
            linear += sparse * 3 * self.hidden * (self.experts.count * wide // expert_shards + shared // tp)
            other += sparse * self.hidden * (self.experts.count + (1 if shared else 0))
        return linear, other


def layers_of_stages(layers: int, pp: int) -> tuple[int, ...]:
    """How vLLM cuts the layers into stages: what is left over goes to the last stages but one (`get_pp_indices`)."""
    parts = [layers // pp] * pp
    for back in range(2, layers % pp + 2):
        parts[-back] += 1
    return tuple(parts)


def _with_tied(found: Architecture, *, tied: bool) -> Architecture:
    return Architecture(**{**vars(found), "tied": tied})


def _read(cls: type[Architecture], config: Mapping[str, Any]) -> Architecture | None:
    (name,) = config["architectures"]
    text = config.get("text_config") or config
    family = _family(name, text)
    quantised = quantization(config.get("quantization_config") or text.get("quantization_config"))
    if family is None or quantised is None or not _full_attention(text):
        return None
    heads = size(text["num_attention_heads"])
    tied = config.get("tie_word_embeddings", text.get("tie_word_embeddings"))
    stated = "tie_word_embeddings" in config and tied is not None
    return cls(
        name=name,
        layers=size(text["num_hidden_layers"]),
        hidden=size(text["hidden_size"]),
        heads=heads,
        kv_heads=size(text.get("num_key_value_heads") or heads),
        head_dim=size(text.get("head_dim") or size(text["hidden_size"]) // heads),
        intermediate=size(text["intermediate_size"]),
        vocabulary=size(text["vocab_size"]),
        positions=size(text["max_position_embeddings"]),
        model_len=_model_len(text),
        most_len=max(_model_len(text), _stretched(text)),
        tied=bool(tied),
        tied_stated=stated,
        dtype=str(text.get("dtype") or text.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")),
        qkv_bias=bool(text.get("attention_bias", FAMILIES[family].get("qkv_bias", False))),
        qk_norm=FAMILIES[family].get("qk_norm", False),
        quantization=quantised,
        experts=experts(family, text),
        vision=vision(name, config, size(text["hidden_size"])) if name in MULTIMODAL else None,
    )


def _family(name: str, text: Mapping[str, Any]) -> str | None:
    """The text model's architecture. Qwen2.5-VL's is Qwen2's whatever its configuration calls it."""
    if name == "Qwen2_5_VLForConditionalGeneration":
        return "Qwen2ForCausalLM"
    if name in MULTIMODAL:
        named = (text.get("architectures") or [None])[0] or f"{TYPES.get(text.get('model_type', ''))}ForCausalLM"
        return named if named in FAMILIES else None
    return name if name in FAMILIES else None


def _full_attention(text: Mapping[str, Any]) -> bool:
    """Whether every layer attends to everything: only then is KV the same for each layer and token."""
    window = text.get("sliding_window") if text.get("use_sliding_window", True) else None
    return window is None and set(text.get("layer_types") or ()) <= {"full_attention"} and not text.get("mlp_bias")


def _model_len(text: Mapping[str, Any]) -> int:
    """The longest request, in tokens, that vLLM derives by itself (config/model.py, `_get_and_verify_max_len`)."""
    kind, factor, _ = _rope(text)
    return int(size(text["max_position_embeddings"]) * (1.0 if kind in SCALED else factor))


def _stretched(text: Mapping[str, Any]) -> int:
    """What releases before 0.32 derive with YaRN, whose `factor` they multiply."""
    kind, factor, original = _rope(text)
    return int(size(original or text["max_position_embeddings"]) * factor) if kind in YARN else 0


def _rope(text: Mapping[str, Any]) -> tuple[Any, float, Any]:
    """How positions are scaled: the kind, by what, and how many there were before."""
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    kind = rope.get("rope_type") or rope.get("type")
    return kind, float(rope.get("factor") or 1), rope.get("original_max_position_embeddings")
