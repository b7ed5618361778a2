"""`plan`: the exact commands, and where each flag came from; starts nothing."""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence

from recipe_runner import prepare
from recipe_runner.composition.layers import TYPED, Origin
from recipe_runner.model.parallel import Choice
from recipe_runner.plan import Plan
from recipe_runner.process import shell
from recipe_runner.serialize import json_document, one_line
from recipe_runner.verbs import run as run_verb

SUMMARY = "show the exact commands and where each flag came from; starts nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    run_verb.add_trust(parser)
    parser.add_argument("-m", "--multirun", action="store_true", help="plan each point of a sweep: key=a,b")


def run(args: argparse.Namespace) -> int:
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is no result
        plans = prepare.plans(args.overrides, args.config_dir, sweep=args.multirun, launching=False, trust=args.trust)
        documents = [plan.as_dict() if args.json else "\n".join(_text(plan)) for plan in plans]
    if args.json:
        print(json_document(documents if args.multirun else documents[0]))
    else:
        print(*documents, sep="\n\n")
    return 0


def _text(plan: Plan) -> Iterator[str]:
    """A page that a shell accepts as it is: everything but the commands is a comment."""
    request = plan.request
    place = (
        plan.url if plan.attached else f"{request.hardware_name} ({plan.hardware.count} × {plan.hardware.accelerator})"
    )
    yield f"# {one_line(request.recipe)} on {one_line(place)}{' — simulated' if plan.simulated else ''}"
    if request.summary:
        yield f"# {one_line(request.summary)}"
    yield from (f"# note: {one_line(warning)}" for warning in plan.warnings)
    for command in plan.commands:
        yield f"\n# {command.role}"
        yield shell(command.argv, command.env)
    if plan.provenance:
        yield "\n# where it came from"
        rows = [(name, one_line(str(value)), _origin(origin)) for name, (value, origin) in plan.provenance.items()]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        yield from (f"#   {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows)
    yield from (f"#{one_line(line)}" for line in _memory(plan))
    if plan.checks:
        listing = ", ".join(f"{name} ({check.uses})" for name, check in plan.checks.items())
        yield f"\n# checks: {one_line(listing)}"
    for name, benchmark in plan.benchmarks.items():
        times = plan.times(name)
        often = f", {times} times after a warm-up" if times > 1 else ""
        about = f"{name} ({one_line(benchmark.uses)}){often}"
        argv = benchmark.argv(plan.target)
        how = "from another terminal once the server answers" if argv else "measured by recipe-runner itself"
        yield f"\n# benchmark {about}, {how}"
        if argv:
            yield shell(argv)


def _origin(origin: Origin) -> str:
    return TYPED if origin.layer == TYPED else f"{origin.layer}: {one_line(str(origin))}"


def _memory(plan: Plan) -> Iterator[str]:
    """What each GPU would hold, and the other ways to spread the model that were weighed."""
    if plan.spread is None:
        return
    found, verdict = plan.spread.chosen.memory, plan.spread.chosen.verdict.replace("_", " ")
    yield ""
    if found.verdict == "unknown":
        reason = "there are no facts about the model" if plan.facts.model is None else found.reason
        yield f" memory: unknown; {reason}"
    else:
        kv = f"KV {found.kv_gib_per_gpu:.2f} GiB = {found.kv_tokens:,} tokens"
        yield f" memory of each device: weights {found.weights_gib_per_gpu:.2f} GiB, {kv}: {verdict}"
        yield from (f"   {assumption}" for assumption in found.assumptions)
    if found.verdict != "unknown" and len(plan.spread.weighed) > 1:
        yield " weighed:  tp  dp  pp  KV tokens a copy"
        for choice in _telling(plan.spread.weighed):
            tokens = "" if choice.memory.kv_tokens is None else f"{choice.memory.kv_tokens:,}"
            verdict = choice.verdict.replace("_", " ")
            yield f"           {choice.tp:>2}  {choice.dp:>2}  {choice.pp:>2}  {tokens:>16}  {verdict}"


def _telling(weighed: Sequence[Choice]) -> list[Choice]:
    """The legal choices without pipelines; those with pipelines only where no other fits."""
    legal = [choice for choice in weighed if not choice.why_not]
    plain = [choice for choice in legal if choice.pp == 1]
    return plain if any(choice.verdict == "fits" for choice in plain) else legal
