"""How a request's model is spread over the hardware, and whether it fits. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from recipe_runner.composition.schema import Hardware, ModelFacts, Parallelism, Request
from recipe_runner.errors import Fault
from recipe_runner.model.architecture import Architecture
from recipe_runner.model.parallel import Choice, alternatives, auto, choices, judged
from recipe_runner.model.serving import Device, Serving, space_gib

CPU_KV: Final = "VLLM_CPU_KVCACHE_SPACE"


@dataclass(frozen=True)
class Spread:
    """The choice that a plan makes, those that it weighed, and what speaks against it."""

    chosen: Choice
    weighed: tuple[Choice, ...] = ()
    illegal: Fault | None = None
    too_large: Fault | None = None

    def apply(self, request: Request) -> Request:
        """The request with the parallelism that was chosen."""
        chosen = Parallelism(tp=self.chosen.tp, dp=self.chosen.dp, pp=self.chosen.pp)
        return replace(request, parallelism=chosen)


def spread(request: Request, model: ModelFacts | None, hardware: Hardware) -> Spread:
    """Judge what was asked for, or choose for `parallelism=auto`."""
    count = hardware.count or 1  # of none nothing is planned: preflight refuses it
    serving = Serving.of(request.serve)
    device = Device(hardware.memory_gib, hardware.accelerator or "", space_gib(request.env.get(CPU_KV, "")))
    sizes = model.parameters or {} if model else {}
    architecture = Architecture.of(model.config, sum(sizes.values()) or None) if model else None
    size = model.bytes if model else None
    weighed = choices(architecture, serving, device, count, size)
    if request.spread_by != "auto":
        asked = request.parallelism
        chosen = judged(
            architecture, serving, device, count, tp=asked.tp, dp=asked.dp, pp=asked.pp, parameter_bytes=size
        )
        return Spread(chosen, alternatives(weighed), *_against(request, chosen, weighed))
    agreeing = [choice for choice in weighed if _agrees(request, choice)]
    best = auto(agreeing)
    if best is not None:
        return Spread(best, alternatives(weighed))
    return Spread(judged(None, serving, device, count), alternatives(weighed), _nothing_fits(request, agreeing))


def _agrees(request: Request, choice: Choice) -> bool:
    """Whether a choice is what was typed, as far as something was."""
    typed = request.folded.values.get("parallelism", {})
    return all(getattr(choice, key) == value for key, value in typed.items())


def _against(request: Request, chosen: Choice, weighed: tuple[Choice, ...]) -> Iterator[Fault | None]:
    """Why vLLM would refuse the choice, and why it does not fit; each None if it does not."""
    where = f"{request.model.id} on {request.hardware_name}"
    if chosen.why_not:
        legal = sorted({choice.tp for choice in weighed if not choice.why_not})
        do = f"tp can be {', '.join(map(str, legal))} here, or say parallelism=auto"
        yield Fault(request.folded.where("parallelism"), chosen.why_not, do)
    else:
        yield None
    if chosen.verdict == "does_not_fit":
        what = f"{where} does not fit: {chosen.memory.reason}"
        do = f"{chosen.memory.cure}; preflight.memory=warn tries all the same"
        yield Fault("memory", what, do)
    else:
        yield None


def _nothing_fits(request: Request, agreeing: list[Choice]) -> Fault:
    """What to say when `auto` finds nothing."""
    reasons = dict.fromkeys(choice.why_not or choice.memory.reason or "" for choice in reversed(agreeing))
    why = next(iter(reasons), "nothing agrees with what was typed")
    what = f"auto finds nothing that fits {request.model.id} on {request.hardware_name}: {why}"
    return Fault("parallelism", what, "name larger hardware, or tp, dp and pp yourself")
