"""The text of a first recipe. Pure; its comments say what to write next."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from recipe_runner.authoring.fit import Fit
from recipe_runner.authoring.subject import Subject
from recipe_runner.evidence.lock import Dumper

SCHEMA: Final = "recipe.schema.json"  # beside the recipes: editors complete and check them by it
INPUT_LEN, OUTPUT_LEN = 1024, 256
FEW_SHOTS: Final = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"
ASKS: Final = {"prompt": "What is the capital of France?", "max_tokens": 100, "temperature": 0}
PARIS: Final = {"expect": {"contains": "Paris"}}
HEAD: Final = """\
# yaml-language-server: $schema={schema}
# A first recipe, written by `recipe-run new`. Change what is not yours; `recipe-run validate FILE` says what is wrong.
"""


def text(subject: Subject, path: str | None, fits: Sequence[Fit], checks: Collection[str], image: str) -> str:
    """The recipe: `path` is where its weights are beside it, `image` a red one; `checks` are those that there are."""
    return "\n".join(_lines(subject, path, fits, checks, image)).rstrip() + "\n"


def model(subject: Subject, path: str | None) -> dict[str, Any]:
    """The section `model`: facts stand in it where the files are not beside the recipe."""
    facts = subject.facts.model_dump(exclude_none=True) if subject.facts and path is None else None
    return {"id": subject.id, **({"path": path} if path else {}), **({"facts": facts} if facts else {})}


def _lines(
    subject: Subject, path: str | None, fits: Sequence[Fit], checks: Collection[str], image: str
) -> Iterator[str]:
    yield HEAD.format(schema=SCHEMA)
    yield _yaml({"summary": f"{subject.id.rpartition('/')[2]} as vLLM serves it by default"}, wide=False) + "\n"
    if subject.facts and path is None:
        yield "# `facts` let it be planned without asking the hub; whoever changes the model writes them anew."
    yield _yaml({"model": model(subject, path)}) + "\n"
    yield "parallelism:                   # tp GPUs share one copy of the model, and there are dp copies"
    yield "  tp: 1\n  dp: 1\n"
    yield "serve:                         # any flag of `vllm serve`, with underscores"
    yield "  host: 127.0.0.1\n  port: 8000\n"
    yield "# What a server must answer to be taken for a good one; `recipe-run list checks` names more."
    yield _yaml({"validation": _checks(subject, checks, image)}) + "\n"
    yield from _benchmark(subject, [fit.max_model_len for fit in fits])
    if profiles := {fit.hardware: fit.profile for fit in fits if fit.profile}:
        yield "# What differs by hardware, chosen so that it fits; `recipe-run plan` shows what else would."
        yield _yaml({"profiles": profiles})


def _checks(subject: Subject, known: Collection[str], image: str) -> dict[str, Any]:
    found: dict[str, Any] = {"models": {"uses": "models"}}
    if subject.kind == "embedding":
        return found | ({"similar": {"uses": "embedding"}} if "embedding" in known else {})
    if subject.kind == "text":
        return found | {
            "capital": {"uses": "completion", "prompt": FEW_SHOTS, "max_tokens": 8, "temperature": 0} | PARIS
        }
    found["capital"] = {"uses": "chat", **ASKS, **PARIS}
    if subject.kind == "vision":
        asks = {"prompt": "What colour is this image? Answer in one word.", "max_tokens": 32, "temperature": 0}
        found["red"] = {"uses": "image", "image": image, **asks, "expect": {"any_of": ["red", "Red"]}}
    return found


def _benchmark(subject: Subject, lengths: Sequence[int | None]) -> Iterator[str]:
    """Prompts and answers that the shortest context has room for."""
    if subject.kind == "embedding":
        return
    own = subject.architecture.model_len if subject.architecture else None
    shortest = min((length for length in (own, *lengths) if length), default=INPUT_LEN * 2)
    yield "# What is measured. What somebody reported for it goes into `expected:`, a gate where it must be reached."
    yield _yaml({"benchmark": {"random": _random(shortest)}}, wide=False) + "\n"


def _random(length: int) -> dict[str, Any]:
    fits = length > INPUT_LEN + OUTPUT_LEN
    return {
        "uses": "vllm_bench",
        "dataset_name": "random",
        "random_input_len": INPUT_LEN if fits else length // 2,
        "random_output_len": OUTPUT_LEN if fits else length // 8,
        "max_concurrency": 16,
        "num_prompts": 100,
        "ignore_eos": True,
    }


def _yaml(value: Mapping[str, Any], *, wide: bool = True) -> str:
    """As a person would write it: `wide` keeps a mapping of plain values on one line."""
    style = None if wide else False
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=style)
    return str(text).rstrip()
