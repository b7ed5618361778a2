"""Which (tp, dp, pp) a model allows on some devices, what each leaves for KV, and the best of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from recipe_runner.model.architecture import Architecture
from recipe_runner.model.memory import Memory, memory
from recipe_runner.model.serving import Device, Serving


@dataclass(frozen=True)
class Choice:
    """One way to spread a model over devices: dp copies of tp × pp devices. `why_not` where vLLM would refuse it."""

    tp: int
    dp: int
    pp: int
    memory: Memory
    why_not: str | None = None

    @property
    def world(self) -> int:
        return self.tp * self.dp * self.pp

    @property
    def verdict(self) -> str:
        """`illegal`, or what memory says."""
        return "illegal" if self.why_not else self.memory.verdict

    def as_dict(self) -> dict[str, Any]:
        """A row of the table that `plan` shows. `kv_tokens` is what one copy holds."""
        return {
            "tp": self.tp,
            "dp": self.dp,
            "pp": self.pp,
            "kv_tokens": self.memory.kv_tokens,
            "verdict": self.verdict,
            "why_not": self.why_not or self.memory.reason,
        }


def legal(architecture: Architecture, tp: int, pp: int = 1, dp: int = 1) -> str | None:
    """Why vLLM would refuse to spread this model so, or None."""
    a, seen, experts = architecture, architecture.vision, architecture.experts
    if a.heads % tp:
        return f"{a.heads} attention heads are not divisible by tp={tp}"
    if a.kv_heads % tp and tp % a.kv_heads:
        return f"{a.kv_heads} KV heads can neither be divided among tp={tp} nor replicated evenly"
    if a.padded_vocabulary % tp:
        return f"the vocabulary, padded to {a.padded_vocabulary}, is not divisible by tp={tp}"
    if seen and seen.heads and seen.heads % tp:
        return f"{seen.heads} attention heads of the image encoder are not divisible by tp={tp}"
    if seen and seen.intermediate % tp:
        return f"the image encoder's MLP of {seen.intermediate} is not divisible by tp={tp}"
    widths = [(a.intermediate, tp)] if a.dense_layers else []
    if experts:
        if tp > experts.count:
            return f"tp={tp} is more than the {experts.count} experts"
        widths += [(experts.intermediate, tp * dp)] + (
            [(experts.shared_intermediate, tp)] if experts.shared_intermediate else []
        )
    for width, parts in widths:
        if refused := _width(a, width, parts, f"tp={tp}" if parts == tp else f"tp × dp = {parts}"):
            return refused
    return f"{a.layers} layers are fewer than pp={pp}" if a.layers < pp else None


def _width(architecture: Architecture, width: int, parts: int, told: str) -> str | None:
    """An MLP's width must divide, and its parts be whole groups of quantised weights."""
    if width % parts:
        return f"the MLP of {width} is not divisible by {told}"
    group = architecture.quantization.group
    if group and parts > 1 and (width // parts) % group:
        return f"the MLP of {width} leaves {width // parts} for each GPU at {told}, not whole groups of {group} weights"
    return None


def larger(architecture: Architecture, tp: int, pp: int, dp: int, count: int) -> tuple[int, ...]:
    """Legal tensor-parallel sizes beyond `tp` within `count` devices."""
    most = count // (pp * dp)
    return tuple(wider for wider in range(tp + 1, most + 1) if legal(architecture, wider, pp, dp) is None)


def judged(
    architecture: Architecture | None,
    serving: Serving,
    device: Device,
    count: int,
    *,
    tp: int = 1,
    dp: int = 1,
    pp: int = 1,
    parameter_bytes: int | None = None,
) -> Choice:
    """One choice: is it legal, and does it fit; what would make it fit is looked for within `count` devices."""
    why_not = legal(architecture, tp, pp, dp) if architecture else None
    if why_not:
        return Choice(tp, dp, pp, Memory(), why_not)
    wider = larger(architecture, tp, pp, dp, count) if architecture else ()
    found = memory(architecture, serving, device, tp=tp, pp=pp, dp=dp, parameter_bytes=parameter_bytes, larger=wider)
    return Choice(tp, dp, pp, _beyond(found, serving))


def _beyond(found: Memory, serving: Serving) -> Memory:
    """The same with what it leaves out; not known where that could turn the verdict round."""
    left = tuple(dict.fromkeys((*serving.more, *serving.less)))
    if not left or found.verdict == "unknown":
        return found
    told = f"what changes with {' and '.join(left)} is not counted"
    turned = serving.more if found.verdict == "fits" else serving.less
    if turned:
        verdict = found.verdict.replace("_", " ").replace("does", "would").replace("fits", "would fit")
        reason = f"it {verdict} without {' and '.join(turned)}, and what that changes is not counted"
        return replace(found, verdict="unknown", reason=reason, cure=None)
    return replace(found, assumptions=(*found.assumptions, told))


def choices(
    architecture: Architecture | None,
    serving: Serving,
    device: Device,
    count: int,
    parameter_bytes: int | None = None,
) -> tuple[Choice, ...]:
    """Every (tp, dp, pp) within `count` devices, the illegal ones too."""
    return tuple(
        judged(architecture, serving, device, count, tp=tp, dp=dp, pp=pp, parameter_bytes=parameter_bytes)
        for tp in range(1, count + 1)
        for pp in range(1, count // tp + 1)
        for dp in range(1, count // (tp * pp) + 1)
    )


def auto(found: Iterable[Choice]) -> Choice | None:
    """The best of what `choices` found, or None where nothing fits.

    The rule: it must be legal and fit, with KV for at least one request of the full length in each copy. Of those,
    use as many devices as possible; then as few devices a copy as possible, so as many copies as possible; then
    tensor rather than pipeline parallelism.

    Why: a model that fits on one GPU needs no other for a request, one that does not is spread with tensor parallelism
    within a host, and pipeline parallelism is for counts that do not divide
    (https://docs.vllm.ai/en/latest/serving/parallelism_scaling/). Copies multiply throughput without exchanging
    activations at every layer. Where one request's latency matters more, choose a larger tp than this.
    """
    fitting = [choice for choice in found if choice.verdict == "fits"]
    return min(fitting, key=lambda choice: (-choice.world, choice.tp * choice.pp, choice.pp), default=None)


def alternatives(found: Iterable[Choice]) -> tuple[Choice, ...]:
    """One choice for each (tp, pp), for people: that with the most copies, unless only another one fits."""
    best: dict[tuple[int, int], Choice] = {}
    for choice in found:
        key, old = (choice.tp, choice.pp), best.get((choice.tp, choice.pp))
        if old is None or choice.verdict == "fits" or old.verdict != "fits":
            best[key] = choice
    return tuple(best.values())
