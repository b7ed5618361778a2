"""`recipe-run plan`: a page that a shell accepts, and the same as JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer

ON = "hardware=a100x2"
FAKE = f"""#!{sys.executable}
import json, os, sys
print(json.dumps({{"argv": sys.argv, "env": {{key: os.environ.get(key) for key in ("CUDA_VISIBLE_DEVICES", "A")}}}}))
"""
NASTY = r"""
summary: "first line\ntouch summary-was-run\r\u2028touch too"
model: {id: a/model}
env: {A: "x y'\n; touch env-was-run"}
serve:
  port: 8123
  text: "it's $HOME `touch serve-was-run` \"q\" \\ #"
  lines: "a\ntouch lines-was-run"
  list: ["a --b", "c"]
  mapping: {"k": ["v w", null]}
validation: {"v": {uses: models}}
benchmark: {b: {uses: vllm_bench, extra_args: {header: "a --b=c 'd'", empty: ""}}}
"""


@pytest.fixture
def fake_vllm(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `vllm` on PATH that prints how it was called."""
    file = write("bin/vllm", FAKE)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("recipe_runner.engines.vllm.find", lambda program: str(file))
    return file


@pytest.mark.parametrize(
    "words",
    [
        ["recipe=internvl3", ON],
        ["recipe=internvl3-tiny", "hardware=cpu", "engine=vllm"],
        ["recipe=nasty", ON, "serve.typed='a\nb'", "parallelism.tp=2"],
    ],
)
def test_the_page_pasted_into_a_shell_runs_what_the_json_says(
    words: list[str], recipe: Callable[..., Path], cli: Callable[..., Answer], fake_vllm: Path, tmp_path: Path
) -> None:
    recipe(NASTY, "nasty")
    plan: dict[str, Any] = json.loads(cli("plan", *words, "--json").page)
    before = set(tmp_path.rglob("*"))
    done = subprocess.run(["bash", "-c", cli("plan", *words).page], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert set(tmp_path.rglob("*")) == before, "something in the page was run that is no command"
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    (server,), benchmarks = plan["processes"], plan["benchmarks"]
    assert [call["argv"][1:] for call in calls] == [server["argv"][1:], *(b["argv"][1:] for b in benchmarks)]
    assert {key: value for key, value in calls[0]["env"].items() if value is not None}.items() <= server["env"].items()
    assert calls[0]["env"]["CUDA_VISIBLE_DEVICES"] == server["env"].get("CUDA_VISIBLE_DEVICES")
    assert plan["warnings"] == [note for note in plan["warnings"] if "no vllm" not in note]


@pytest.mark.usefixtures("no_vllm")
def test_the_page_word_for_word(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe(
        "summary: Mine\nmodel: {id: a/model, facts: {source: here}}\nserve: {x: 1, host: 127.0.0.1}"
        "\nenv: {A: b c}\nvalidation: {v: {uses: models}}\n"
        "benchmark: {b: {uses: vllm_bench, num_prompts: 3}}\nprofiles: {a100x2: {serve: {y: [1, 2]}}}\n"
    )
    assert cli("plan", "recipe=mine", ON, "serve.z=false").page == (
        "# mine on a100x2 (2 × A100-SXM4-40GB)\n"
        "# Mine\n"
        "# note: there is no vllm command here; `pip install vllm` on a GPU host, "
        "`recipe-run setup cpu` without one, or set engine.command\n"
        "# note: the profile says 2 × A100-SXM4-40GB, this host has no NVIDIA GPU: a run here would be refused\n"
        "# note: flags not checked: there is no vLLM here to ask which it knows; a run where there is one does\n"
        "# note: only 1 of 2 devices would be used; parallelism.dp=2 takes 2\n"
        "\n# server\n"
        "A='b c' \\\n  CUDA_VISIBLE_DEVICES=0 \\\n  vllm serve a/model \\\n  --x 1 \\\n"
        "  --host 127.0.0.1 \\\n  --y 1 2 \\\n  --no-z\n"
        "\n# where it came from\n"
        "#   --x                   1          recipe: recipes/mine.yaml:3\n"
        "#   --host                127.0.0.1  recipe: recipes/mine.yaml:3\n"
        "#   --y                   [1, 2]     profile: recipes/mine.yaml:7\n"
        "#   --z                   False      command line\n"
        "#   A                     b c        recipe: recipes/mine.yaml:4\n"
        "#   CUDA_VISIBLE_DEVICES  0          recipe-runner: tp × dp × pp devices\n"
        "#   HF_HUB_OFFLINE        1          environment: HF_HUB_OFFLINE\n"
        "#\n"
        "# memory: unknown; recipe-runner does not know how vLLM spreads this architecture over GPUs\n"
        "\n# checks: v (models)\n"
        "\n# benchmark b (vllm_bench), from another terminal once the server answers\n"
        "vllm bench serve \\\n  --host 127.0.0.1 \\\n  --port 8000 \\\n  --model a/model \\\n"
        "  --dataset-name random \\\n  --num-prompts 3\n"
    )


def test_a_benchmark_without_a_command(
    recipe: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write(
        "planned_own.py",
        "from recipe_runner.api import Benchmark\n\nclass Own(Benchmark):\n    def run(self, name, bench): ...\n",
    )
    recipe("benchmark: {own: {uses: 'planned_own:Own'}, b: {uses: load}}\n")
    page = cli("plan", "recipe=mine", ON, "engine=sim").page
    assert "\n# benchmark own (planned_own:Own), measured by recipe-runner itself\n\n# benchmark b (load), from" in page


@pytest.mark.parametrize(
    ("words", "head"),
    [
        (["engine=sim", ON], "# mine on a100x2 (2 × A100-SXM4-40GB) — simulated"),
        (["engine=attach", "engine.url=http://host:1"], "# mine on http://host:1"),
        (["hardware=cpu"], "# mine on cpu (1 × cpu)"),
    ],
)
@pytest.mark.usefixtures("no_vllm")
def test_the_first_line_says_where(
    words: list[str], head: str, recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("")
    assert cli("plan", "recipe=mine", *words).page.splitlines()[0] == head


@pytest.mark.usefixtures("no_vllm")
def test_a_sweep_is_one_page_or_one_list(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("")
    words = ("recipe=mine", ON, "serve.x=1,2")
    pages = cli("plan", "-m", *words).page.split("\n\n\n")
    assert len(pages) == 1
    assert cli("plan", "-m", *words).page.count("# server\n") == 2
    documents = json.loads(cli("plan", *words, "--multirun", "--json").page)
    assert [document["processes"][0]["argv"][-1] for document in documents] == ["1", "2"]


def test_a_missing_environment_for_cpu_names_setup(recipe: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    recipe("")
    note = "# note: vLLM for CPU is not set up; run `recipe-run setup cpu`, or set engine.command"
    assert note in cli("plan", "recipe=mine", "hardware=cpu").page.splitlines()
