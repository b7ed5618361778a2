"""A lock is a recipe with a section `lock`: what is refused in it, and where it may lead."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recipe_runner import paths, prepare
from recipe_runner.composition import compose
from recipe_runner.composition.meant import GROUPS
from recipe_runner.composition.space import SECTIONS
from tests.conftest import Answer

BLOCK = """\
summary: One
model: {id: a/model}
lock:
  format: 1
  recipe: mine
  file: recipes/mine.yaml
  choices: {hardware: cpu, engine: sim, parallelism: recipe, validation: recipe, benchmark: recipe}
  overrides: {}
  files: {}
  environment: {}
  argv: []
"""
KEYS = ", ".join(sorted({*GROUPS, *SECTIONS}))
CURE = "use the lock as it was written; a copy may lack something"
AT = "runs/x.lock.yaml"
WORD = f"recipe={AT}"
NOT_YOURS = "and the recipe is not yours; read it, then say --trust, or copy the recipe into ./recipes"
CHECK = "from recipe_runner.api import Check\nclass Mine(Check):\n    {}: int = 1\n    def run(self, server): ...\n"


@pytest.fixture
def lock(write: Callable[..., Path]) -> Callable[..., Path]:
    """Write a lock with these lines for some of its own."""

    def lock(*swaps: tuple[str, str], more: str = "", at: str = AT) -> Path:
        text = BLOCK
        for old, new in swaps:
            assert old in text
            text = text.replace(old, new)
        return write(at, text + more)

    return lock


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  argv: []\n", "", [f"lock.argv ({AT}:3) — this is missing; {CURE}"]),
        (
            "  format: 1\n  recipe: mine\n",
            "",
            [f"lock.{name} ({AT}:3) — this is missing; {CURE}" for name in ("format", "recipe")],
        ),
        (
            "format: 1",
            "format: 2",
            [
                f"lock.format ({AT}:4) — the lock is of format 2, and this recipe-runner reads up to 1; "
                "repeat the run with a newer recipe-runner"
            ],
        ),
        (
            "format: 1",
            "format: 2\n  also: new",
            [
                f"lock.format ({AT}:4) — the lock is of format 2, and this recipe-runner reads up to 1; "
                "repeat the run with a newer recipe-runner"
            ],
        ),
        ("format: 1", "format: one", [f"lock.format ({AT}:4) — 'one' does not fit here; {CURE}"]),
        ("argv: []", "argv: []\n  also: x", [f"lock.also ({AT}:12) — this is not a part of a lock; {CURE}"]),
        ("engine: sim, ", "", [f"lock.choices.engine ({AT}:7) — this is missing; {CURE}"]),
        ("recipe: mine", "recipe: ../../x", [f"lock.recipe ({AT}:5) — '../../x' does not fit here; {CURE}"]),
        ("recipe: mine", "recipe: ..", [f"lock.recipe ({AT}:5) — '..' does not fit here; {CURE}"]),
        ("files: {}", "files: {a: 1}", [f"lock.files.a ({AT}:9) — 1 does not fit here; {CURE}"]),
        ("argv: []", "argv: [x]", [f"lock.argv.0 ({AT}:11) — 'x' does not fit here; {CURE}"]),
        (
            "overrides: {}",
            "overrides: {server.port: 1, b: 2}",
            [
                f"lock.overrides.server.port ({AT}:8) — unknown key server; did you mean serve? There are: {KEYS}",
                f"lock.overrides.b ({AT}:8) — unknown key b; did you mean benchmark? There are: {KEYS}",
            ],
        ),
        (
            "overrides: {}",
            "overrides: {serve.a: 1, serve.a.b: 2}",
            [f"lock.overrides.serve.a.b ({AT}:8) — a was given a value of its own before; give one of the two"],
        ),
        ("overrides: {}", "overrides: {serve.port: x}", [f"serve.port ({AT}:8) — 'x' does not fit here; {{}}"]),
    ],
)
def test_a_lock_that_is_not_as_we_write_it_is_refused(
    old: str, new: str, told: list[str], lock: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    lock((old, new))
    told = [one.format("it should be a valid integer") for one in told]
    assert cli("plan", WORD).refusal == told
    assert cli("show", AT).refusal == told


@pytest.mark.parametrize("block", ["null", "[]", "x"])
def test_a_lock_that_is_no_mapping(block: str, write: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    write(AT, f"model: {{id: a/model}}\nlock: {block}\n")
    shown = {"null": "None", "[]": "[]", "x": "'x'"}[block]
    assert cli("plan", WORD).refusal == [f"lock ({AT}:2) — {shown} does not fit here; {CURE}"]


def test_a_choice_that_is_not_there_is_the_locks(lock: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    lock(("hardware: cpu", "hardware: lab"), ("benchmark: recipe", "benchmark: lad"))
    hardware, benchmark = sorted(cli("plan", WORD).refusal, reverse=True)
    known = ", ".join(sorted(file.stem for file in paths.shipped("conf").glob("hardware/*.yaml")))
    assert hardware.startswith(f"lock.choices.hardware ({AT}:7) — there is no hardware lab; choose one of: {known[:9]}")
    assert benchmark.startswith(f"lock.choices.benchmark ({AT}:7) — there is no benchmark lad; did you mean load? ")
    assert cli("plan", WORD, "hardware=cpu", "benchmark=none").code == 0


def test_a_lock_is_nobody_elses(recipe: Callable[..., Path], lock: Callable[..., Path]) -> None:
    lock(("overrides: {}", "overrides: {serve.x: 1}"), at="recipes/kept.yaml")
    recipe("defaults: [kept, _self_]\nserve: {y: 2}\n")
    _, child = prepare.requested(["recipe=mine", "hardware=a100x2"], [])
    assert (child.engine_name, child.serve, child.typed) == ("vllm", {"y": 2}, {})
    composed, kept = prepare.requested(["recipe=kept"], [])
    assert (kept.engine_name, kept.serve, kept.typed, kept.recipe) == ("sim", {"x": 1}, {"serve.x": 1}, "mine")
    assert composed.lock is not None


@pytest.mark.parametrize(
    ("override", "key", "does"),
    [
        ("engine.command: /tmp/x", "engine.command", "decides which program is started, or which server gets the key"),
        ("engine.load_s: 1", "engine.load_s", "decides which program is started, or which server gets the key"),
        ("serve.trust_remote_code: true", "serve.trust_remote_code", "runs code from the model's repository"),
        ("env.LD_PRELOAD: x", "env.LD_PRELOAD", "may load code, or redirect programs"),
        ("report.folder: /etc", "report.folder", "writes files wherever it says"),
        ("report.formats: ['evil:Report']", "report.formats", "loads code"),
        ("validation.v: {uses: 'evil:Check'}", "validation.v.uses", "loads code"),
    ],
)
def test_what_a_lock_sets_is_not_typed_by_the_person(
    override: str, key: str, does: str, lock: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    lock(("overrides: {}", f"overrides: {{{override}}}"))
    assert cli("plan", WORD).refusal == [f"{key} ({AT}:8) — this {does}, {NOT_YOURS}"]
    assert cli("plan", WORD, f"~{key.removesuffix('.uses')}").code in (0, 2)


def test_a_lock_among_ones_own_recipes_is_ones_own(lock: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    swap = ("overrides: {}", "overrides: {engine.load_s: 1, report.folder: elsewhere}")
    lock(swap, at="recipes/kept.lock.yaml")
    assert cli("plan", "recipe=kept.lock").code == 0
    lock(swap)
    assert cli("plan", WORD).code == 2
    assert cli("plan", "--trust", WORD).code == 0


IMAGE = "validation: {i: {uses: image, image: assets/x.png, prompt: p, expect: {contains: x}}}\n"


def image() -> str:
    _, asked = prepare.requested([WORD], [])
    return str(Path(asked.checks["i"].image).relative_to(Path.cwd()))  # type: ignore[attr-defined]


def test_assets_are_beside_the_lock_or_beside_its_recipe(lock: Callable[..., Path], write: Callable[..., Path]) -> None:
    lock(more=IMAGE)
    write("recipes/assets/x.png", "1")
    assert image() == "recipes/assets/x.png"
    write("runs/assets/x.png", "2")
    compose._hydra.cache_clear()
    assert image() == "runs/assets/x.png"


@pytest.mark.parametrize("place", ["downloads", "recipes/../downloads", "/etc", "recipes/below"])
def test_no_other_folder_is_looked_into_without_trust(
    place: str, lock: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write("recipes/mine.yaml", "model: {id: a/model}\n")
    lock(("file: recipes/mine.yaml", f"file: {place}/mine.yaml"), more=IMAGE)
    write("downloads/assets/x.png", "1")
    assert cli("plan", WORD).refusal == [
        f"validation.i.image ({AT}:12) — assets/x.png is not beside the lock, and {place} is not a folder of recipes; "
        "copy it there, or read the lock, then say --trust"
    ]
    assert cli("plan", "--trust", WORD).code == (0 if "downloads" in place else 2)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "assets/link.png"])
def test_nothing_outside_those_folders_is_read(
    path: str, lock: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    lock(more=IMAGE.replace("assets/x.png", path))
    write("secret.png", "1")
    Path("recipes/assets").mkdir(parents=True)
    Path("recipes/assets/link.png").symlink_to(Path("secret.png").resolve())
    for words in (["plan"], ["plan", "--trust"]):
        (line,) = cli(*words, WORD).refusal
        assert line.startswith(f"validation.i.image ({AT}:12) — {path!r} does not fit here; ")


def test_the_models_folder_is_found_likewise(lock: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "small", "recipes/weights")
    lock(("id: a/model", "id: a/model, path: weights"))
    assert f"{Path('recipes/weights').resolve()}" in cli("plan", WORD).page
    lock(("id: a/model", "id: a/model, path: /etc"))
    assert cli("plan", WORD).refusal == [
        f"model.path ({AT}:2) — /etc is outside the recipe's folder; give it as model.path=…"
    ]


def test_a_path_that_was_typed_takes_trust(lock: Callable[..., Path], cli: Callable[..., Answer]) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "small", "elsewhere/weights")
    for path in ("elsewhere/weights", str(Path("elsewhere/weights").resolve())):
        lock(("overrides: {}", f"overrides: {{model.path: {path}}}"), ("recipes/mine", "none/mine"))
        assert cli("plan", WORD).refusal == [
            f"model.path ({AT}:8) — {path} is not beside the lock, and none is not a folder of recipes; "
            "copy it there, or read the lock, then say --trust"
        ]
        assert f" {Path('elsewhere/weights').resolve()}" in cli("plan", "--trust", WORD).page


def test_a_check_of_ones_own_is_found_beside_the_recipe(
    recipe: Callable[..., Path], lock: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    uses = "validation: {v: {uses: 'lock_checks:Mine'}}\n"
    write("recipes/lock_checks.py", CHECK.format("word"))
    lock(more=uses)
    assert cli("plan", WORD).refusal == [f"validation.v.uses ({AT}:12) — this loads code, {NOT_YOURS}"]
    assert "v (lock_checks:Mine)" in cli("plan", "--trust", WORD).page


def test_the_shipped_recipes_are_recipes_too(lock: Callable[..., Path]) -> None:
    tiny = paths.shipped("recipes").resolve() / "internvl3-tiny.yaml"
    lock(("recipes/mine.yaml", paths.short(tiny)), more=IMAGE.replace("x.png", "red.png"))
    _, asked = prepare.requested([WORD], [])
    assert asked.checks["i"].image == str(tiny.parent / "assets/red.png")  # type: ignore[attr-defined]


def test_the_name_of_the_recipe_is_the_run_folders(lock: Callable[..., Path]) -> None:
    lock()
    composed, asked = prepare.requested([WORD], [])
    assert (asked.recipe, asked.choices["recipe"], asked.recipe_file.name) == ("mine", "mine", "x.lock.yaml")
    assert asked.hardware_name == "cpu"
    assert composed.warnings == ()
