"""What a recipe comes to on each hardware profile, for each TP and DP: real plans, made on nobody's machine.

Used by generate.py. Whatever a page or its picker shows as a command was planned here.
"""

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from generate_reference import HOSTS_OWN, profiles
from generate_text import GIB, gib, portable

from recipe_runner.api import Located
from recipe_runner.composition.compose import compose
from recipe_runner.composition.reading import request as read_request
from recipe_runner.composition.schema import ModelFacts, Request
from recipe_runner.composition.space import Space
from recipe_runner.errors import RecipeError
from recipe_runner.facts import Facts
from recipe_runner.host.hardware import Gpu, Host, profile_facts
from recipe_runner.model.memory import Memory
from recipe_runner.model.parallel import auto
from recipe_runner.model.weights import of_folder
from recipe_runner.plan import Plan, plan
from recipe_runner.process import shell
from recipe_runner.secrets import exposed

SIZES: Final = (1, 2, 4, 8)
VLLM: Final = Located(("vllm", "serve"), ("vllm",))  # as it is typed wherever vLLM is installed
SMALL_GIB: Final = 1.0  # weights that a CPU serves well: such a model is shown on one first
Pair = tuple[int, int]


@dataclass(frozen=True)
class Offer:
    """What a person types, and the plan that comes of it, or the words that refuse it."""

    words: str
    plan: Plan | None
    refusal: str = ""

    @property
    def server(self) -> str:
        """The server's command, with its environment."""
        assert self.plan is not None
        (command,) = self.plan.commands
        return portable(shell(command.argv, command.env))

    @property
    def memory(self) -> Memory:
        """What each device holds."""
        assert self.plan is not None
        assert self.plan.spread is not None
        return self.plan.spread.chosen.memory

    @property
    def parts(self) -> tuple[str, str]:
        """Its weights and its KV cache, in words for a table."""
        weights, tokens = self.memory.weights_gib_per_gpu, self.memory.kv_tokens
        return (
            "not known" if weights is None else gib(round(weights * GIB)),
            "not known" if tokens is None else f"{tokens:,} tokens",
        )

    @property
    def told(self) -> str:
        """One sentence: does it fit."""
        if self.plan is None:
            return f"Refused: {self.refusal}."
        if self.memory.verdict == "unknown":
            return f"Whether it fits is not known: {self.memory.reason or 'there are no facts about the model'}."
        world = self.plan.request.parallelism.world
        gpus = "1 GPU" if world == 1 else f"each of {world} GPUs"
        weights, tokens = self.parts
        where = "the CPU" if self.plan.hardware.accelerator == "cpu" else gpus
        return f"Fits: weights {weights}, KV cache for {tokens} on {where}."

    @property
    def notes(self) -> tuple[str, ...]:
        """What the plan remarks; which flags vLLM knows, only an installed one can tell."""
        assert self.plan is not None
        return tuple(note for note in self.plan.warnings if not note.startswith("flags not checked"))


@dataclass(frozen=True)
class Offers:
    """A recipe on one profile, by TP and DP: the recipe's own, and the one to begin with."""

    profile: str
    devices: str
    own: Pair
    start: Pair
    each: dict[Pair, Offer]

    @property
    def first(self) -> Offer:
        return self.each[self.start]

    @property
    def fits(self) -> bool:
        return self.first.plan is not None


@functools.cache
def offers(recipe: str) -> tuple[Offers, ...]:
    """On every profile, in the order of the profiles."""
    return tuple(_on(recipe, profile) for profile in profiles())


@functools.cache
def bare(recipe: str) -> Request:
    """The recipe itself, without what a profile adds."""
    return read_request(compose({"recipe": recipe, "hardware": HOSTS_OWN, "engine": "vllm"}, Space()), {})


def known(request: Request) -> ModelFacts | None:
    """What the recipe, or the folder that it brings, says of the model; nobody is asked."""
    if request.model.path is None:
        return request.model.facts
    found = of_folder(Path(request.model.path))
    return found if isinstance(found, ModelFacts) else None


def shown_first(found: Iterable[Offers]) -> Offers:
    """The profile that a page begins with: the first that takes the recipe as it is; a CPU for what is small."""
    listed = list(found)
    fitting = [one for one in listed if one.fits] or listed
    taking = [one for one in fitting if one.start == one.own] or fitting
    facts = taking[0].first.plan.facts.model if taking[0].first.plan else None
    small = facts is not None and (facts.bytes or 0) < SMALL_GIB * GIB
    return next((one for one in taking if small and one.profile == "cpu"), taking[0])


def document(recipe: str) -> str:
    """All of it for the picker, as JSON: texts once, and for each profile and `TP,DP` which of them are shown."""
    texts: dict[str, int] = {}

    def place(text: str) -> int:
        return texts.setdefault(text, len(texts))

    def entry(offer: Offer) -> dict[str, Any]:
        if offer.plan is None:
            return {"told": place(offer.told)}
        shown = {"told": place(offer.told), "run": place(offer.words), "server": place(offer.server)}
        return shown | ({"notes": [place(note) for note in offer.notes]} if offer.notes else {})

    lines = []
    for one in offers(recipe):
        each = {f"{tp},{dp}": entry(offer) for (tp, dp), offer in one.each.items()}
        lines.append(f"  {json.dumps(one.profile)}: {_dense({'start': list(one.start), 'plans': each})}")
    listed = ",\n".join(f"  {json.dumps(text, ensure_ascii=False)}" for text in texts)
    hardware = ",\n".join(lines)
    return f'{{"recipe": {json.dumps(recipe)},\n "hardware": {{\n{hardware}}},\n "texts": [\n{listed}]}}\n'


def _on(recipe: str, profile: str) -> Offers:
    composed = compose({"recipe": recipe, "hardware": profile}, Space())
    facts = profile_facts(profile, Space())
    asked = read_request(composed, {}).parallelism
    own, each = (asked.tp, asked.dp), {}
    for pair in _grid(own):
        changed = {f"parallelism.{key}": pair[at] for at, key in enumerate(("tp", "dp")) if pair[at] != own[at]}
        words = " ".join(f"{key}={value}" for key, value in {"recipe": recipe, "hardware": profile, **changed}.items())
        each[pair] = _offer(f"recipe-run {words}", lambda changed=changed: read_request(composed, changed), facts)
    best = auto(offer.plan.spread.chosen for offer in each.values() if offer.plan and offer.plan.spread)
    start = own if each[own].plan else (best.tp, best.dp) if best else (1, 1)
    return Offers(profile, f"{facts['count']} × {facts['accelerator']}", own, start, each)


def _grid(own: Pair) -> Iterator[Pair]:
    for tp in sorted({*SIZES, own[0]}):
        yield from ((tp, dp) for dp in sorted({*SIZES, own[1]}))


def _offer(words: str, asked: Any, profile: dict[str, Any]) -> Offer:
    try:
        request = asked()
        here = Facts(_host(profile), VLLM, model=known(request), exposed=exposed(request.address.host, {}))
        return Offer(words, plan(request, here))
    except RecipeError as exc:
        return Offer(words, None, portable("; ".join(f"{fault.what}; {fault.do}" for fault in exc.faults)))


def _host(profile: dict[str, Any]) -> Host:
    """A host that is what the profile says, and has nothing else to do."""
    if profile["accelerator"] == "cpu":
        return Host((), None, "", 1, 0.0, "")
    name = next(iter(profile.get("nvml_names", ())), profile["accelerator"])
    memory, capability = profile.get("memory_gib", 0.0), str(profile.get("compute_capability", ""))
    gpus = (Gpu(str(n), f"GPU-{n}", name, memory, 0.0, capability) for n in range(profile["count"]))
    return Host(tuple(gpus), None, "", 1, 0.0, "")


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
