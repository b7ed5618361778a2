"""How long requests may be: what vLLM refuses to serve of a model, and what it refuses to answer. Pure."""

from collections.abc import Iterator
from typing import Final

from recipe_runner.composition.schema import ModelFacts, Request
from recipe_runner.errors import Fault
from recipe_runner.facts import Facts
from recipe_runner.model.architecture import Architecture
from recipe_runner.model.serving import Serving

ALLOWED: Final = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"  # envs.py: 1 or true
CHANGING: Final = ("rope", "position", "model_max_length")  # what in hf_overrides changes how long requests may be
ANYWAY: Final = "preflight.model=warn tries all the same"


def faults(request: Request, facts: Facts) -> Iterator[Fault]:
    """What is longer than it may be: requests at all, and those of the benchmarks."""
    stated, made_for = Serving.of(request.serve).max_model_len, _made_for(request, facts.model)
    where = request.folded.where
    allowed = request.env.get(ALLOWED) or str(facts.environ.get(ALLOWED, ""))
    if stated and made_for and stated > made_for.most_len and allowed.strip().lower() not in ("1", "true"):
        what = f"{stated} is more than the {made_for.most_len} tokens that {request.model.id} was made for"
        do = f"write {made_for.most_len} or less, scale its positions with serve.hf_overrides, or set env.{ALLOWED}=1"
        yield Fault(where("serve.max_model_len"), what, f"{do}; {ANYWAY}")
    longest = stated or (made_for and made_for.model_len)
    for name, benchmark in request.benchmarks.items():
        if longest and (asked := benchmark.longest() or 0) > longest:
            what = f"its requests take {asked} tokens, prompt and answer, and max_model_len is {longest}"
            do = "make them shorter, or raise serve.max_model_len: vLLM would refuse them, or cut their answers"
            yield Fault(where(f"benchmark.{name}"), what, f"{do}; {ANYWAY}")


def doubt(request: Request, facts: Facts) -> Iterator[str]:
    """A length that only some releases of vLLM take: before 0.32 they multiplied what YaRN's `factor` says."""
    stated, made_for = Serving.of(request.serve).max_model_len, _made_for(request, facts.model)
    if stated and made_for and made_for.model_len < stated <= made_for.most_len:
        yield f"serve.max_model_len={stated} is more than {made_for.model_len}, which vLLM since 0.32 refuses with YaRN"


def _made_for(request: Request, model: ModelFacts | None) -> Architecture | None:
    """The architecture, where how long requests may be follows from its config.json."""
    overrides = str(request.serve.get("hf_overrides", ""))
    if model is None or any(part in overrides for part in CHANGING) or "model_max_length" in str(model.config):
        return None
    return Architecture.of(model.config)
