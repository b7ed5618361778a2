"""What `recipe-run --help` teaches."""

from typing import Final

from recipe_runner.verdict import MEANINGS

OVERRIDES: Final = """\
choices:
  recipe=NAME|FILE.yaml      what to run (recipe-run list recipes)
  hardware=NAME              a profile, or auto (the default): what this host has
  engine=NAME                vllm, vllm_cpu, attach (with engine.url=http://HOST:PORT), sim
  validation=NAME            recipe (the default), smoke, none
  benchmark=NAME             recipe (the default), smoke, none, load, load_slo, slo

values, over whatever the recipe says:
  parallelism.tp=1 parallelism.dp=2      how the model is spread
  serve.max_model_len=8192               any flag of `vllm serve`, with underscores
  serve.enforce_eager=null               take a flag away; ~serve.enforce_eager does the same
  validation.capital.temperature=0       any field of a check or a benchmark
  model.path=DIR                         weights from a folder
"""

_FRONT: Final = """\
usage: recipe-run [VERB] [options] recipe=NAME [hardware=NAME] [key=value …]

Runs a recipe: launches vLLM on your hardware, checks that it answers, measures it, judges, reports, tears down.

  recipe-run recipe=internvl3 hardware=a100x2
  recipe-run recipe=internvl3 hardware=a100x2 parallelism.tp=1 parallelism.dp=2
  recipe-run recipe=internvl3-tiny hardware=cpu        a minute on a laptop (after `recipe-run setup cpu`)

verbs:
  run       launch, check, measure, judge, report, tear down (the default)
  plan      show the exact commands and where each flag came from; starts nothing
  serve     launch and check, then stay up until Ctrl-C
  list      what there is: recipes, hardware, engines, presets, checks, benchmarks, reports
  show      one recipe: what it says and what it expects
  setup     build an environment with real vLLM for CPU
  doctor    look at this machine: GPUs, vLLM, disk, ports, …; say what is wrong and the cure
  compare   two runs: what differs, and what of that is more than noise
  record    keep what a run came to as evidence beside its recipe
  validate  does evidence still hold, can a recipe be composed
  new       write a first recipe for a model
  schema    the JSON Schema of a recipe, for editors

options:
  -m, --multirun     run each point of a sweep: parallelism.tp=1,2
  --resume FOLDER    with -m alone: go on with a sweep that was interrupted
  --config-dir DIR   a folder with hardware/, engine/, recipes/, … of your own
  --trust            let a recipe that is not yours load code
  --json             one JSON document on stdout, errors too
  --help, --version  `recipe-run VERB --help` says more

"""

_COMPLETION: Final = 'Tab completion: eval "$(register-python-argcomplete recipe-run)"'


def front() -> str:
    """The front page."""
    codes = "\n".join(f"  {code:<3}  {told}" for code, told in MEANINGS.items())
    return f"{_FRONT}{OVERRIDES}\nexit codes:\n{codes}\n\n{_COMPLETION}"
