"""What a file in an added folder may hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Answer

TAKES = "it takes names of files beside this one"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "hardware/x",
            "# X\n# @package _global_\nengine: {command: evil}\n",
            ":2 — a header would set keys of other sections; remove it, or begin the comment otherwise",
        ),
        ("engine/x", "uses: vllm\nenv: {X: '${oc.env:X}'}\n", ":2 — `${` is not read in a choice; write the value out"),
        ("hardware/x", "count: 1\nsources: {'${x}': a}\n", ":2 — `${` is not read in a choice; write the value out"),
        (
            "hardware/x",
            "defaults:\n  - /engine@engine: sim\ncount: 1\n",
            ":1 — `defaults` may not hold {'/engine@engine': 'sim'}; "
            f"{TAKES} and override /engine@_global_.engine: NAME",
        ),
        ("engine/x", "defaults: [/hardware/x]\n", f":1 — `defaults` may not hold '/hardware/x'; {TAKES}"),
        ("engine/x", "defaults: [../x]\n", f":1 — `defaults` may not hold '../x'; {TAKES}"),
        (
            "benchmark/x",
            "a: &a [1]\nb: *a\n",
            ":2 — YAML aliases are not read; write the value out, or inherit from a recipe",
        ),
        (
            "validation/x",
            "a: !!python/name:os.system x\n",
            ":1 — the tag !!python/name:os.system is not read; write the value without it, in quotes if it is text",
        ),
    ],
)
def test_it_holds_the_facts_of_one_choice(
    name: str, text: str, told: str, write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write(f"my/{name}.yaml", text)
    answer = cli("plan", "recipe=internvl3", "hardware=a100x2", "--config-dir", "my")
    assert answer.refusal == [f"my/{name}.yaml{told}"]


def test_one_may_inherit_from_its_neighbours(write: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    write("my/hardware/base.yaml", "accelerator: X\ncount: 2\nmemory_gib: 500\n")
    write("my/hardware/x.yaml", "# An X\ndefaults: [base, _self_]\ncount: 4\n")
    page = cli("plan", "recipe=internvl3", "hardware=x", "--config-dir", "my").page
    assert page.startswith("# internvl3 on x (4 × X)\n")


def test_hydras_own_settings_are_not_theirs(write: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    write("my/hydra/launcher/basic.yaml", "_target_: evil\n")
    assert cli("plan", "recipe=internvl3", "hardware=a100x2", "--config-dir", "my").refusal == [
        "my/hydra — this would replace settings of Hydra's own; remove it, or rename it"
    ]


def test_the_first_of_two_folders_wins(write: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    for folder in ("one", "two"):
        write(f"{folder}/hardware/x.yaml", f"accelerator: {folder}\ncount: 2\n")
    page = cli("plan", "recipe=internvl3", "hardware=x", "--config-dir", "one", "--config-dir", "two").page
    assert page.startswith("# internvl3 on x (2 × one)\n")
