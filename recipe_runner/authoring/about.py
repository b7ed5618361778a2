"""What each key of a recipe means, in a line: editors show it, and so does the reference. A test wants all of them."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from recipe_runner.composition.schema import (
    Address,
    Expected,
    Figure,
    Hardware,
    Model,
    ModelFacts,
    Parallelism,
    Rule,
)

SECTIONS: Final[Mapping[str, str]] = {
    "summary": "What the recipe is for, in a line.",
    "defaults": "Recipes to inherit from, and presets; `_self_` is this one.",
    "model": "Which model, and what is known of it.",
    "parallelism": "How the model is spread over devices.",
    "serve": "Flags of `vllm serve`, with underscores.",
    "env": "Variables of the server's environment.",
    "validation": "Checks by name: what the server must answer.",
    "benchmark": "Benchmarks by name: what is measured.",
    "expected": "What somebody reported, by benchmark; a gate if it must be reached.",
    "diagnosis": "What a line of a failed server's log means, by name.",
    "profiles": "What differs by hardware, by the profile's name.",
}

FIELDS: Final[Mapping[type[BaseModel], Mapping[str, str]]] = {
    Model: {
        "id": "The model's name on the hub, and the one under which it is known.",
        "path": "A folder with config.json and weights, instead of the hub.",
        "revision": "The branch, tag or commit on the hub.",
        "vllm": "The versions of vLLM that can serve it, such as `>=0.20,<0.40`.",
        "facts": "What planning needs to know; without them the hub is asked, once and for at most 3 s. "
        "They hold, as `revision` does, for the id that they stand with: another id takes them away.",
    },
    ModelFacts: {
        "source": "Where the facts are from.",
        "revision": "The commit that they are of.",
        "licence": "The licence, as the hub has it.",
        "gated": "Whether the hub gives it only to those who asked for it.",
        "parameters": "Parameters by dtype, as safetensors names them.",
        "bytes": "The size of all weight files.",
        "config": "The keys of config.json that planning reads.",
    },
    Parallelism: {
        "tp": "GPUs that share one copy of the model (tensor parallel).",
        "dp": "Copies that serve side by side (data parallel).",
        "pp": "Stages that a copy is cut into, by layers (pipeline parallel).",
    },
    Address: {
        "host": "The address on which the server listens; `0.0.0.0` is all of them.",
        "port": "The port; 0 takes a free one.",
        "served_model_name": "The name, or names, under which the model is served.",
    },
    Expected: {
        "source": "Who says so: an address, or a run's folder.",
        "kind": "What kind of source that is.",
        "workload": "The benchmark that it is about; by default the one of this name.",
        "hardware": "A profile's name, or words; only on that profile its gates are gates.",
        "vllm": "The version that it was seen with.",
        "date": "When it was seen.",
        "note": "What a reader should know.",
        "metrics": "The figures, by the metric's name.",
    },
    Figure: {
        "value": "The number.",
        "unit": "Its unit.",
        "per": "Of all devices together, or of each.",
        "tolerance": "By how many percent a gate may be missed.",
        "gate": "Whether it is a condition.",
        "better": "Which way is better, where the metric's name does not say so.",
    },
    Rule: {
        "pattern": "A regular expression that is looked for in the log.",
        "cause": "What happened; `{name}` is what the group of that name matched.",
        "cure": "What to do about it.",
        "vllm": "The versions for which it holds.",
    },
    Hardware: {
        "accelerator": "What each device is called; `cpu` for none.",
        "count": "How many there are.",
        "nodes": "Hosts; more than one is not supported.",
        "memory_gib": "Memory of one device in GiB, as torch sees it.",
        "compute_capability": "NVIDIA's compute capability.",
        "interconnect": "How the devices reach each other.",
        "nvml_names": "What NVML calls the device; with it the profile takes part in `hardware=auto`.",
        "sources": "Where each figure is from.",
    },
}
