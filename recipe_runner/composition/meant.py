"""Where a flag of `vllm serve`, or a key that was typed without its section, has its place here."""

from typing import Final

from recipe_runner.secrets import KEY, TOKENS, mask

GROUPS: Final = ("recipe", "hardware", "engine", "parallelism", "validation", "benchmark")
OF_THEIR_OWN: Final = {  # flags of vLLM, long and short, that have a place of their own
    **dict.fromkeys(("tensor_parallel_size", "tp"), "parallelism.tp"),
    **dict.fromkeys(("data_parallel_size", "dp"), "parallelism.dp"),
    **dict.fromkeys(("pipeline_parallel_size", "pp"), "parallelism.pp"),
    **{"model": "model.id", "revision": "model.revision"},
}
ONE_WORD: Final = frozenset(  # other flags of vLLM 0.20 to 0.32; all the rest have several words
    (
        *("convert", "dtype", "grpc", "headless", "host", "middleware", "nnodes", "port", "quantization", "runner"),
        *("seed", "tokenizer", "uds", "watermark"),
    )
)
MEASURING: Final = frozenset(  # flags of `vllm bench serve`
    (
        *("dataset_name", "dataset_path", "ignore_eos", "max_concurrency", "metric_percentiles", "num_prompts"),
        *("num_warmups", "percentile_metrics", "random_input_len", "random_output_len", "random_prefix_len"),
        *("random_range_ratio", "request_rate"),
    )
)
VARIABLES: Final = {"api_key": KEY, "hf_token": TOKENS[0]}
GPUS: Final = ("gpu", "gpus", "num_gpus", "gpu_count")


def place(name: str) -> str | None:
    """The key that a name stands for; None where that cannot be known."""
    if name.isupper() and "_" in name:
        return f"env.{name}"
    flag = name.replace("-", "_").lower()
    if not flag.replace(".", "_").isidentifier():
        return None
    if flag in GPUS:
        return OF_THEIR_OWN["tp"]
    if flag in MEASURING:
        return f"benchmark.NAME.{flag}"
    several = "_" in flag.partition(".")[0].strip("_")
    return OF_THEIR_OWN.get(flag) or (f"serve.{flag}" if several or flag in ONE_WORD else None)


def cure(name: str, word: str) -> str:
    """What to do about a name, where `word` is what it should have been with its value."""
    flag = name.replace("-", "_").lower()
    if mask(word, {}) != word:
        return f"set {VARIABLES.get(flag, name)} in the environment: a secret does not belong here"
    if word.startswith("env."):
        return f"set it before the command, or write {word}"
    if flag in GPUS:
        return f"write hardware=NAME to say which GPUs there are, and {word} to spread a model over them"
    if flag == "dry_run":
        return "take it away: `recipe-run plan` starts nothing"
    return f"write {word}"
