"""What a plan remarks: what a person would want to know, and nobody would be stopped for."""

from collections.abc import Iterator

from recipe_runner.composition.schema import Hardware, Request
from recipe_runner.errors import choose
from recipe_runner.facts import Facts
from recipe_runner.figures.gates import instead
from recipe_runner.model.length import doubt
from recipe_runner.model.serving import GIB


def misnamed(request: Request) -> Iterator[str]:
    """Expected figures beside which no measured one will ever stand: a name that the benchmark does not know."""
    for name, item in request.expected.items():
        benchmark = request.benchmarks.get(item.workload or name)
        for metric in item.metrics:
            if benchmark and (do := instead(metric, benchmark)):
                yield f"{request.folded.where(f'expected.{name}.metrics.{metric}')}: {benchmark.uses} gives none; {do}"


def remarks(request: Request, facts: Facts, hardware: Hardware) -> Iterator[str]:
    """Each remark, in words."""
    for key, others in request.folded.missed.items():
        yield f"{key} is not there to be taken away; {choose(key.rpartition('.')[2], others)}"
    stated = request.folded.values["model"]
    for key in (key for key in ("facts", "revision") if key in stated and getattr(request.model, key) is None):
        what = f"of another model than {request.model.id}, and left out"
        yield f"{request.folded.where(f'model.{key}')}: this is {what}; state it where the id stands"
    if facts.exposed and not request.engine.simulated:
        yield facts.exposed
    if facts.options is None and not (facts.launching or request.engine.simulated):
        here = "`recipe-run doctor --flags` asks this vLLM once which it knows (10 to 25 s)"
        none = "there is no vLLM here to ask which it knows; a run where there is one does"
        yield f"flags not checked: {none if facts.located.faults else here}"
    if facts.to_fetch:
        yield f"{facts.to_fetch / GIB:.2f} GiB of weights will be fetched first"
    yield from doubt(request, facts)
    names = facts.architecture_names()
    if facts.architectures and facts.architectures.whose(names) == "transformers":
        yield f"vLLM {facts.vllm} has no {names[0]} of its own; it would run that of transformers"
    asked, count = request.parallelism, hardware.count
    link = facts.host.link
    if asked.world > 1 and link and (hardware.interconnect or link).split()[0] != link:
        yield f"the profile says {hardware.interconnect} between GPUs, and here they are linked by {link}"
    if count and asked.world < count and request.hardware.accelerator != "cpu":
        copy = asked.tp * asked.pp
        more = f"; parallelism.dp={count // copy} takes {count // copy * copy}" if count // copy > asked.dp else ""
        yield f"only {asked.world} of {count} devices would be used{more}"
