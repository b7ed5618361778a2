"""From words to layers: choices, values, sweeps, and every way to get them wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner import prepare
from recipe_runner.composition import compose, library
from recipe_runner.composition.compose import Point, points
from recipe_runner.composition.layers import Folded
from recipe_runner.composition.meant import GROUPS
from recipe_runner.composition.space import SECTIONS, Space
from recipe_runner.errors import RecipeError
from tests.conftest import Answer

AT_MOST = "sweep over at most 10,000 points at once"
ON = "hardware=a100x2"
KEYS = ", ".join(sorted({*GROUPS, *SECTIONS}))
BENCHMARKS = ", ".join(sorted(Space().names("benchmark")))
HARDWARE = ", ".join(sorted({"auto", *Space().names("hardware")}))


def recipes() -> str:
    return ", ".join(sorted(library.names(library.folders())))


def folded(*words: str, config_dir: Path | None = None) -> Folded:
    return prepare.requested([*words], [config_dir] if config_dir else [])[1].folded


def parsed(*words: str, sweep: bool = False) -> list[Point]:
    found, faults = points(list(words), Space(), sweep=sweep)
    assert not faults
    return found


@pytest.mark.parametrize(
    ("words", "point"),
    [
        (["recipe=x", "hardware=cpu"], Point({"recipe": "x", "hardware": "cpu"}, {})),
        (["serve.port=1", "serve.x=a b"], Point({}, {"serve.port": 1, "serve.x": "a b"})),
        (["serve.x=null", "~serve.y", "~serve.z=3"], Point({}, {"serve.x": None, "serve.y": None, "serve.z": None})),
        (["+serve.x=1", "++serve.y=2"], Point({}, {"serve.x": 1, "serve.y": 2})),
        (["serve.x=${oc.env:HOME}"], Point({}, {"serve.x": "${oc.env:HOME}"})),
        (["serve.x=[1,{a: b}]", "env={A: '1'}"], Point({}, {"serve.x": [1, {"a": "b"}], "env": {"A": "1"}})),
        (["hardware=cpu", "hardware=host"], Point({"hardware": "host"}, {})),
        (["hardware=cpu", "~hardware"], Point({}, {})),
        (["engine=sim", "engine=null", "recipe=x", "recipe=null"], Point({}, {})),
        (["validation=smoke", "validation=null"], Point({"validation": "smoke"}, {"validation": None})),
        (["validation=null", "validation=smoke"], Point({"validation": "smoke"}, {})),
        (["hardware={count: 4}"], Point({}, {"hardware": {"count": 4}})),
        (["recipe=3"], Point({"recipe": "3"}, {})),
    ],
)
def test_a_group_by_its_name_is_a_choice_and_everything_else_a_value(words: list[str], point: Point) -> None:
    assert parsed(*words) == [point]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["serve.x=1,2"], [{"serve.x": 1}, {"serve.x": 2}]),
        (["serve.x=a,b", "serve.y=1,2"], [{"serve.x": x, "serve.y": y} for x in "ab" for y in (1, 2)]),
        (["serve.x=range(1,4)"], [{"serve.x": x} for x in (1, 2, 3)]),
        (["serve.x=choice(a,true)"], [{"serve.x": "a"}, {"serve.x": True}]),
        (["serve.x='a,b','c d'"], [{"serve.x": "a,b"}, {"serve.x": "c d"}]),
        (["serve.x=[1,2],[3]"], [{"serve.x": [1, 2]}, {"serve.x": [3]}]),
        (["serve.x={a: 1},{a: 2}"], [{"serve.x": {"a": 1}}, {"serve.x": {"a": 2}}]),
        (["serve.x=sort(3,1,2)"], [{"serve.x": x} for x in (1, 2, 3)]),
        (["serve.x=[1,2]"], [{"serve.x": [1, 2]}]),
    ],
)
def test_sweeps_are_the_cross_product_in_order(words: list[str], values: list[dict[str, Any]]) -> None:
    assert [point.typed for point in parsed(*words, sweep=True)] == values


def test_choices_can_be_swept_and_globbed() -> None:
    swept = parsed("hardware=h100x2,a100x2", "validation=smoke,none", sweep=True)
    assert [tuple(point.choices.values()) for point in swept] == [
        (hardware, preset) for hardware in ("h100x2", "a100x2") for preset in ("smoke", "none")
    ]
    assert [p.choices["hardware"] for p in parsed("hardware=glob(a100*,exclude=*80g*)", sweep=True)] == [
        name for name in sorted(Space().names("hardware")) if name.startswith("a100") and "80g" not in name
    ]
    assert {p.choices["recipe"] for p in parsed("recipe=glob(*)", sweep=True)} == set(library.names(library.folders()))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve.port"], ["serve.port — there is no = in it; write serve.port=VALUE"]),
        (["a b"], ["a b — there is no = in it; write a=b"]),
        (
            ["serve..x=1"],
            ["serve..x=1 — 'serve..x' is not a key; write names joined by dots, such as serve.port=8000"],
        ),
        (
            ["serve.x=[1"],
            ["serve.x=[1 — the bracket [ is not closed; close it, or put all of the value in quotes: 'serve.x=\"[1\"'"],
        ),
        (["=3"], ["=3 — there is no key before the =; write key=value"]),
        (["sreve.port=1"], [f"sreve.port — unknown key sreve; did you mean serve? There are: {KEYS}"]),
        (["hydra.run.dir=x"], [f"hydra.run.dir — unknown key hydra; choose one of: {KEYS}"]),
        (["profiles.cpu={}"], [f"profiles.cpu — unknown key profiles; choose one of: {KEYS}"]),
        (["hardware@serve=cpu"], ["hardware@serve=cpu — a package cannot be chosen; write hardware=…"]),
        (["serve.x=1,2"], ["serve.x — serve.x=1,2 is a sweep; add -m to run each of its points"]),
        (["recipe=glob(*)"], ["recipe — recipe=glob(*) is a sweep; add -m to run each of its points"]),
        (
            ["serve.port=1", "serve.port.x=2"],
            ["serve.port.x — port was given a value of its own before; give one of the two"],
        ),
    ],
)
def test_words_that_cannot_be_read(words: list[str], told: list[str], cli: Callable[..., Answer]) -> None:
    assert cli("plan", "recipe=internvl3", ON, *words).refusal == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (
            "hardware=glob(zz*)",
            f"hardware — hardware=glob(zz*) matches nothing; choose one of: {HARDWARE.replace('auto, ', '')}",
        ),
        (
            "serve.x=glob(*)",
            "serve.x — glob takes the names of choices; "
            "use it with recipe, hardware, engine, parallelism, validation, benchmark",
        ),
        (
            "parallelism.tp=interval(1,2)",
            "parallelism.tp — parallelism.tp=interval(1,2) has no points to run; list them: a,b or range(1,5)",
        ),
        (
            "serve.x=range(1,4),range(1,4)",
            "serve.x — serve.x=range(1,4),range(1,4) is a sweep of sweeps; list them: a,b or range(1,5)",
        ),
        *(
            (f"serve.x={sweep}", f"serve.x — serve.x={sweep} has more points than can be run; {AT_MOST}")
            for sweep in ("range(1,1000000000)", "shuffle(range(1,1000000000))", "range(1,2,0)", "range(0,1,0.00001)")
        ),
    ],
)
def test_sweeps_that_cannot_be_run(word: str, told: str, cli: Callable[..., Answer]) -> None:
    words = [] if word.startswith("hardware") else [ON]
    assert cli("plan", "-m", "recipe=internvl3", *words, word).refusal == [told]


def test_sweeps_that_are_too_many_together(cli: Callable[..., Answer]) -> None:
    words = ("serve.x=range(0,200)", "serve.y=range(0,200)")
    assert cli("plan", "-m", "recipe=internvl3", ON, *words).refusal == [
        f"-m — the sweeps have 40,000 points; {AT_MOST}"
    ]


@pytest.mark.parametrize("name", ["x" * 300, "loop/z"])
def test_names_that_no_file_can_have(name: str, cli: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert cli("plan", f"recipe={name}.yaml", ON).refusal == [f"recipe — there is no file {name}.yaml; check the path"]
    assert cli("plan", "recipe=internvl3", ON, "--config-dir", name).refusal == [
        f"--config-dir — there is no folder {name}; check the path"
    ]
    assert cli("plan", "recipe=internvl3", ON, f"model.path={name}").code == 2
    assert cli("plan", f"recipe={name}", ON).code == 2


def test_a_word_nested_without_end_is_no_bug(cli: Callable[..., Answer]) -> None:
    (told,) = cli("plan", "recipe=internvl3", ON, f"serve.x={'[' * 900}{']' * 900}").refusal
    assert told.startswith("serve.x=[[[")
    assert told.endswith(" — it is nested too deeply; write it more simply")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "recipe — no recipe was named; choose one of: {recipes}"),
        (["recipe=null"], "recipe — no recipe was named; choose one of: {recipes}"),
        (["recipe="], "recipe — there is no recipe ''; choose one of: {recipes}"),
        (["recipe=internvl"], "recipe — there is no recipe internvl; did you mean internvl3? There are: {recipes}"),
        (["recipe=.."], "recipe — there is no recipe ..; choose one of: {recipes}"),
        (["recipe=${x}"], "recipe — there is no recipe ${{x}}; choose one of: {recipes}"),
        (["recipe=none.yaml"], "recipe — there is no file none.yaml; check the path"),
        (["recipe=../none"], "recipe — there is no file ../none; check the path"),
        (["recipe=/etc"], "recipe — /etc is a folder; name a recipe's file in it"),
        (["recipe=internvl3.yaml"], "recipe — there is no file internvl3.yaml; write recipe=internvl3"),
        (["recipe=recipes/internvl3.yaml"], "recipe — there is no file recipes/internvl3.yaml; write recipe=internvl3"),
        (["recipe=my/internvl3.yaml"], "recipe — there is no file my/internvl3.yaml; check the path"),
        (["recipe=Qwen/Qwen3-8B"], "recipe — Qwen/Qwen3-8B is a model; write recipe=qwen3-8b"),
        (["Qwen/Qwen3-8B"], "recipe — Qwen/Qwen3-8B is a model; write recipe=qwen3-8b"),
        (["recipe=InternVL3-8B"], "recipe — InternVL3-8B is a model; write recipe=internvl3"),
        (
            ["recipe=own/er"],
            "recipe — there is no file own/er; `recipe-run new NAME --model own/er` writes a first recipe for a model",
        ),
        (["recipe=other"], "recipe — recipes/other.yml is not read: recipes end in .yaml; rename it to other.yaml"),
        (["recipe=./mine.yml"], "recipe — ./mine.yml is not the name of a recipe's file; let it end in .yaml"),
    ],
)
def test_recipes_that_are_not_there(
    words: list[str], told: str, cli: Callable[..., Answer], write: Callable[..., Path]
) -> None:
    write("mine.yml", "model: {id: m}\n")
    write("recipes/other.yml", "model: {id: m}\n")
    write("recipes/internvl3.yml", "model: {id: m}\n")
    assert cli("plan", ON, *words).refusal == [told.format(recipes=recipes())]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("hardware=a100x3", f"there is no hardware a100x3; did you mean a100x8? There are: {HARDWARE}"),
        ("hardware=auot", f"there is no hardware auot; did you mean auto? There are: {HARDWARE}"),
        ("hardware=", f"there is no hardware ''; choose one of: {HARDWARE}"),
        ("engine=vlm", "there is no engine vlm; did you mean vllm? There are: attach, sim, vllm, vllm_cpu"),
        ("parallelism=four", "there is no parallelism four; choose one of: auto, recipe"),
        ("validation=smok", "there is no validation smok; did you mean smoke? There are: none, recipe, smoke"),
        ("benchmark=../none", f"there is no benchmark ../none; did you mean none? There are: {BENCHMARKS}"),
    ],
)
def test_choices_that_are_not_there(word: str, told: str, cli: Callable[..., Answer]) -> None:
    group = word.partition("=")[0]
    words = [word] if group == "hardware" else [ON, word]
    assert cli("plan", "recipe=internvl3", *words).refusal == [f"{group} — {told}"]


def test_faults_of_words_choices_and_values_are_told_at_once(cli: Callable[..., Answer]) -> None:
    answer = cli(
        "plan", "recipe=internvl3", "hardware=a100x3", "validation=smok", "sve.port=1", "serve.port=99999", "x"
    )
    assert answer.refusal == [
        f"sve.port — unknown key sve; did you mean serve? There are: {KEYS}",
        "x — there is no = in it; write x=VALUE",
        "validation — there is no validation smok; did you mean smoke? There are: none, recipe, smoke",
        f"hardware — there is no hardware a100x3; did you mean a100x8? There are: {HARDWARE}",
        "serve.port — 99999 does not fit here; it should be less than or equal to 65535",
    ]


def test_an_unknown_recipe_is_told_with_the_other_unknown_choices(cli: Callable[..., Answer]) -> None:
    assert cli("plan", "recipe=x", "engine=y", ON, "--config-dir", "nowhere").refusal == [
        "--config-dir — there is no folder nowhere; check the path",
        "engine — there is no engine y; choose one of: attach, sim, vllm, vllm_cpu",
        f"recipe — there is no recipe x; choose one of: {recipes()}",
    ]


def test_typed_values_never_enter_hydra_and_points_with_the_same_choices_are_composed_once(
    monkeypatch: pytest.MonkeyPatch, recipe: Callable[..., Path]
) -> None:
    recipe("")
    seen: list[list[str]] = []

    def spy(config: str, overrides: list[str], **kwargs: Any) -> Any:
        seen.append(overrides)
        return composed(config, overrides, **kwargs)

    composed = compose.hydra_compose
    monkeypatch.setattr(compose, "hydra_compose", spy)
    words = ["recipe=mine", "hardware=a100x2", "serve.x=1,2,${oc.env:HOME}", "env.A='b'"]
    assert len(prepare.plans(words, [], sweep=True, launching=False)) == 3
    defaults = [
        "benchmark='recipe'",
        "hardware='a100x2'",
        "parallelism='recipe'",
        "recipe='mine'",
        "validation='recipe'",
    ]
    assert seen == [defaults]


@pytest.mark.parametrize("name", ["it's", "a,b", "a=b", "ä b", "a.b", "x-y_z", "1", "a\nb", "x\\", "\\'"])
def test_names_of_recipes_may_hold_what_the_grammar_uses(name: str, recipe: Callable[..., Path]) -> None:
    recipe("model: {id: found}\n", name)
    for chosen in (name, f"recipes/{name}.yaml"):
        assert folded(f"recipe='{compose._quotable(chosen)}'", ON).values["model"]["id"] == "found"


@pytest.mark.parametrize("name", [".", "..", "${x}", "a${", "???", "_self_"])
def test_names_that_no_recipe_can_have(name: str, write: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    write(f"elsewhere/{name}.yaml", "model: {id: found}\n")
    assert cli("plan", f"recipe='elsewhere/{name}.yaml'", ON).refusal == [
        f"recipe — a recipe's file cannot be called {name}.yaml: that means something else; give it another name"
    ]


def test_a_folder_may_be_called_anything(write: Callable[..., Path]) -> None:
    """Not taken for two folders, so that a recipe of the same name would be found in one of them."""
    write("recipes/mine.yaml", "model: {id: another}\n")
    for folder in ("fol\nder", "f${x}", "..."):
        write(f"{folder}/mine.yaml", "model: {id: found}\n")
        assert folded(f"recipe='{folder}/mine.yaml'", ON).values["model"]["id"] == "found"


def test_a_recipe_by_its_path_finds_its_parents_beside_it(
    write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write("elsewhere/parent.yaml", "model: {id: parent}\n")
    write("elsewhere/child.yaml", "defaults: [parent, _self_]\n")
    write("recipes/parent.yaml", "model: {id: another}\n")
    found = folded("recipe=elsewhere/child.yaml", ON)
    assert (found.values["model"]["id"], str(found.origins["model.id"])) == ("parent", "elsewhere/parent.yaml:1")


@pytest.mark.usefixtures("no_vllm")
def test_an_own_recipe_goes_before_a_shipped_one_and_says_so(
    recipe: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("summary: My own\nmodel: {id: own}\n", "internvl3")
    page = cli("plan", "recipe=internvl3", ON).page
    assert page.splitlines()[:3] == [
        "# internvl3 on a100x2 (2 × A100-SXM4-40GB)",
        "# My own",
        "# note: recipe internvl3: recipes/internvl3.yaml is used instead of the shipped recipe of that name",
    ]
    assert "instead of the shipped" not in cli("plan", "recipe=internvl3-tiny", ON).page


def test_a_config_dir_adds_hardware_and_recipes_before_the_shipped_ones(
    write: Callable[..., Path], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    write("my/hardware/lab.yaml", "# Lab\naccelerator: X\ncount: 4\nnodes: 1\n")
    write("my/hardware/a100x2.yaml", "accelerator: Y\ncount: 3\nnodes: 1\n")
    write("my/recipes/lab.yaml", "model: {id: lab}\n")
    for name, hardware in (("lab", "4 × X"), ("a100x2", "3 × Y")):
        page = cli("plan", "recipe=lab", f"hardware={name}", "--config-dir", "my", "engine.command=vllm").page
        assert page.splitlines()[0] == f"# lab on {name} ({hardware})"
    assert (
        cli("plan", "recipe=lab", "hardware=labb", "--config-dir", "my")
        .refusal[0]
        .startswith("hardware — there is no hardware labb; did you mean lab? There are: a100-80gx1,")
    )


def test_a_config_dir_may_not_replace_our_own_configuration(
    write: Callable[..., Path], cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/me/.config")
    write("my/config.yaml", "")
    assert cli("plan", "recipe=internvl3", ON, "--config-dir", "my").refusal == [
        "my/config.yaml — a config.yaml here would replace our own; put defaults into "
        "/home/me/.config/recipe-runner/config.yaml, and choices into my/hardware/NAME.yaml"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "count: [\n",
            "my/hardware/x.yaml:2 — YAML error: did not find expected node content; correct the line, or the one above",
        ),
        ("- a\n", "my/hardware/x.yaml:1 — this is not a mapping; write `key: value` lines"),
        (
            "defaults: [nope]\n",
            "configuration — In 'hardware/x': Could not load 'hardware/nope'; correct the file that it names",
        ),
        (
            "defaults: x\n",
            "configuration — Invalid defaults list in 'hardware/x', defaults must be a list (got str); "
            "correct the file that it names",
        ),
        (
            "accelerator: ${oc.env:NO_SUCH}\ncount: 1\n",
            "my/hardware/x.yaml:1 — `${` is not read in a choice; write the value out",
        ),
        (
            "accelerator: X\ncuont: 1\n",
            "hardware.cuont (my/hardware/x.yaml:2) — unknown key cuont; did you mean count? There are: accelerator, "
            "compute_capability, count, interconnect, memory_gib, nodes, nvml_names, sources",
        ),
        (
            "accelerator: X\ncount: 1\nmemory_gib: 49140\n",
            "hardware.memory_gib (my/hardware/x.yaml:3) — 49140 does not fit here; write GiB, which is 47.99 if these "
            "are MiB, as nvidia-smi has them",
        ),
        (
            "accelerator: X\n",
            "hardware.count (my/hardware/x.yaml) — this is missing; say how many devices the profile has",
        ),
    ],
)
def test_a_faulty_profile_of_a_person_is_told_in_words(
    text: str, told: str, write: Callable[..., Path], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    write("my/hardware/x.yaml", text)
    answer = cli("plan", "recipe=internvl3-tiny", "hardware=x", "--config-dir", "my")
    assert answer.refusal == [told.replace("{folder}", str(tmp_path))]


def test_a_profile_that_inherits_from_itself_is_told_in_words(
    write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write("my/hardware/x.yaml", "defaults: [x]\n")
    (told,) = cli("plan", "recipe=internvl3", "hardware=x", "--config-dir", "my").refusal
    assert told.startswith("configuration — maximum recursion depth exceeded")


def test_cpu_brings_its_engine_and_a_typed_engine_wins(recipe: Callable[..., Path]) -> None:
    recipe("")
    space = Space()
    chosen = [
        compose.compose({"recipe": "mine", "hardware": "cpu", **engine}, space).choices["engine"]
        for engine in ({}, {"engine": "vllm"}, {"engine": "sim"})
    ]
    assert chosen == ["vllm_cpu", "vllm", "sim"]


def test_an_unknown_choice_is_composed_as_its_default_so_that_the_rest_can_be_judged(
    recipe: Callable[..., Path],
) -> None:
    recipe("")
    composed = compose.compose({"recipe": "mine", "validation": "x"}, Space())
    assert composed.choices["validation"] == "recipe"
    assert [fault.where for fault in composed.faults] == ["validation"]
    with pytest.raises(RecipeError):
        compose.compose({"recipe": "unheard-of"}, Space())
