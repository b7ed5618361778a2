"""What a recipe that is not the person's own may not do without `--trust`, and whose a file is."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.composition.trust import FLAGS, FULL_NAMES, NAMES, REMOTE, flag, harmless_variable
from recipe_runner.verbs import plan, run, serve, show
from tests.conftest import Answer

ON = "hardware=a100x2"
READ = "and the recipe is not yours; read it, then say --trust, or copy the recipe into ./recipes"
MODEL = "model: {id: a/model}\n"
VLLM_FLAGS = sorted((Path(__file__).parents[1] / "data" / "vllm_flags").glob("*.txt"))


@pytest.fixture
def stranger(write: Callable[..., Path]) -> Callable[[str], str]:
    """Write a recipe that came from somewhere; the word that names it."""
    return lambda text: f"recipe={write('downloads/theirs.yaml', MODEL + text)}"


@pytest.mark.parametrize(
    ("text", "key", "does"),
    [
        ("serve: {trust_remote_code: true}", "serve.trust_remote_code", REMOTE),
        ("serve: {reasoning_parser_plugin: x.py}", "serve.reasoning_parser_plugin", "loads code"),
        ("serve: {middlew: [a.B]}", "serve.middlew", "loads code"),
        ("serve: {download_dir: /etc/cron.d}", "serve.download_dir", "writes files wherever it says"),
        ("serve: {uds: /x/socket}", "serve.uds", "writes files wherever it says"),
        ("serve: {config: flags.yaml}", "serve.config", "reads more flags from a file"),
        ("serve: {compilation_config: {backend: a.b}}", "serve.compilation_config.backend", "loads code"),
        ("serve: {tool_server: demo}", "serve.tool_server", "has the server talk to another machine"),
        ("env: {LD_PRELOAD: x.so}", "env.LD_PRELOAD", "may load code, or redirect programs"),
        ("profiles: {a100x2: {env: {PATH: /x}}}", "env.PATH", "may load code, or redirect programs"),
        ("validation: {v: {uses: 'os:system'}}", "validation.v.uses", "loads code"),
        ("benchmark: {b: {uses: 'evil:B'}}", "benchmark.b.uses", "loads code"),
        (
            "validation: {v: {uses: image, prompt: p, expect: {contains: x}, image: 'https://example.org/x.png'}}",
            "validation.v.image",
            "has the server fetch from an address",
        ),
        (
            "validation: {v: {uses: chat, prompt: p, expect: {contains: x}, extra_body: {a: [{url: 'http://h/'}]}}}",
            "validation.v.extra_body",
            "has the server fetch from an address",
        ),
        (
            "benchmark: {b: {uses: vllm_bench, extra_args: {base_u: x}}}",
            "benchmark.b.extra_args.base_u",
            "sends requests, and the key, elsewhere",
        ),
        (
            "benchmark: {b: {uses: vllm_bench, endpoint: '@evil/v1'}}",
            "benchmark.b.endpoint",
            "sends requests, and the key, elsewhere",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_takes_trust_is_refused_with_its_line(
    text: str, key: str, does: str, verb: str, stranger: Callable[[str], str], cli: Callable[..., Answer]
) -> None:
    assert cli(verb, stranger(text), ON).refusal == [f"{key} (downloads/theirs.yaml:2) — this {does}, {READ}"]


TAKES_TRUST = "serve: {trust_remote_code: true}\nenv: {LD_PRELOAD: x}\n"


def test_what_is_trusted_is_planned(
    stranger: Callable[[str], str], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    named = stranger(TAKES_TRUST)
    assert "--trust-remote-code" in cli("plan", named, ON, "--trust", "engine=sim").page
    text = Path(named.removeprefix("recipe=")).read_text()
    own = write("recipes/team/mine.yaml", text)
    write("recipes/mine.yaml", text)
    for word in ("recipe=mine", "recipe=recipes/mine.yaml", f"recipe={own}"):
        assert "--trust-remote-code" in cli("plan", word, ON, "engine=sim").page
    typed = ("serve.trust_remote_code=true", "env.LD_PRELOAD=x", "validation.v={uses: models}")
    assert "--trust-remote-code" in cli("plan", "recipe=internvl3", ON, "engine=sim", *typed).page


def test_show_is_as_careful(stranger: Callable[[str], str], cli: Callable[..., Answer]) -> None:
    file = stranger(TAKES_TRUST).removeprefix("recipe=")
    assert len(cli("show", file, ON).refusal) == 2
    assert "trust_remote_code: true" in cli("show", file, ON, "--trust").page


def test_no_code_is_imported_before_it_is_trusted(
    stranger: Callable[[str], str], write: Callable[..., Path], cli: Callable[..., Answer], tmp_path: Path
) -> None:
    write(
        "evil_check.py",
        "from pathlib import Path\nPath('ran').touch()\nfrom recipe_runner.api import Check\n"
        "class C(Check):\n    def run(self, server): ...\n",
    )
    word = stranger("validation: {v: {uses: 'evil_check:C'}}")
    for verb in ("plan", "run", "serve"):
        assert len(cli(verb, word, ON).refusal) == 1
    assert not (tmp_path / "ran").exists()
    assert "v (evil_check:C)" in cli("plan", word, ON, "--trust", "engine=sim").page
    assert (tmp_path / "ran").exists()


def test_each_layer_is_judged_by_its_own_file(
    recipe: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("serve: {trust_remote_code: true}\nenv: {LD_PRELOAD: mine}\n", "parent")
    words = ("plan", "recipe=downloads/theirs.yaml", ON, "engine=sim")
    write("downloads/theirs.yaml", "defaults: [parent, _self_]\nserve: {enforce_eager: true}\n")
    assert cli(*words).code == 0
    write("downloads/theirs.yaml", "defaults: [parent, _self_]\nenv: {LD_PRELOAD: theirs}\n")
    assert cli(*words).refusal == [
        f"env.LD_PRELOAD (downloads/theirs.yaml:2) — this may load code, or redirect programs, {READ}"
    ]
    assert cli(*words, "env.LD_PRELOAD=null").code == 0


@pytest.mark.parametrize("defaults", ["[parent, _self_]", "[_self_, parent]"])
def test_what_a_stranger_adds_to_an_own_mapping_is_a_strangers(
    defaults: str, recipe: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    recipe("serve: {kv_transfer_config: {kv_connector: X}}\n", "parent")
    write(
        "downloads/theirs.yaml",
        f"defaults: {defaults}\nserve: {{kv_transfer_config: {{kv_connector_module_path: m}}}}\n",
    )
    (told,) = cli("plan", "recipe=downloads/theirs.yaml", ON).refusal
    assert told == f"serve.kv_transfer_config (downloads/theirs.yaml:2) — this loads code, {READ}"


def test_an_own_recipe_that_inherits_from_a_stranger_does_not_vouch_for_it(
    recipe: Callable[..., Path], write: Callable[..., Path], cli: Callable[..., Answer]
) -> None:
    write("theirs/recipes/base.yaml", "model: {id: a/b}\nserve: {trust_remote_code: true}\n")
    recipe("defaults: [base, _self_]\n", "child")
    assert cli("plan", "recipe=child", ON, "--config-dir", "theirs").refusal == [
        f"serve.trust_remote_code (theirs/recipes/base.yaml:2) — this {REMOTE}, {READ}"
    ]


def test_an_added_folder_is_a_strangers_unless_it_lies_in_the_persons_configuration(
    write: Callable[..., Path], cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "me"))
    files = {
        "engine/theirs.yaml": "uses: vllm\ncommand: [evil]\nenv: {LD_PRELOAD: x}\n",
        "hardware/lab.yaml": "defaults: [override /engine@_global_.engine: theirs]\naccelerator: X\ncount: 2\n",
    }
    for name, text in files.items():
        write(f"theirs/{name}", text)
        write(f"me/recipe-runner/{name}", text)
    words = (
        "plan",
        "recipe=internvl3",
        "hardware=lab",
        "preflight.model=warn",
        "preflight.memory=warn",
        "--config-dir",
    )
    place = "and the file is not yours; read it, then say --trust, or put the file below me/recipe-runner"
    does = "decides which program is started, or which server gets the key"
    assert cli(*words, "theirs").refusal == [
        f"env.LD_PRELOAD (theirs/engine/theirs.yaml:3) — this may load code, or redirect programs, {place}",
        f"engine.command (theirs/engine/theirs.yaml:2) — this {does}, {place}",
    ]
    assert "evil serve" in cli(*words, "theirs", "--trust").page
    assert "evil serve" in cli(*words, "me/recipe-runner").page
    assert cli(*words, "theirs", "engine.command=[mine]", "env.LD_PRELOAD=null").code == 0


def test_a_recipe_cannot_choose_the_engine(stranger: Callable[[str], str], cli: Callable[..., Answer]) -> None:
    for text in ("engine: {command: evil}", "profiles: {a100x2: {engine: {command: evil}}}"):
        (told,) = cli("plan", stranger(text), ON).refusal
        assert re.match(r"downloads/theirs.yaml:2 — unknown section (profiles\.a100x2\.)?engine;", told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trust_remote_code", False),
        ("reasoning_parser", "qwen3"),
        ("distributed_executor_backend", "mp"),
        ("compilation_config", {"mode": 3, "backend": "inductor", "pass_config": {"x": True}}),
        ("compilation_config", '{"cudagraph_mode": "FULL"}'),
        ("speculative_config", {"method": "mtp", "num_speculative_tokens": 2}),
        ("speculative_config", {"model": "org/model.v2"}),
        ("hf_overrides", {"architectures": ["X"]}),
        ("chat_template", "template.jinja"),
        ("load_format", "dummy"),
        ("x", "[not json"),
    ],
)
def test_flags_that_load_nothing_need_no_trust(name: str, value: Any) -> None:
    assert list(flag(name, value)) == []


@pytest.mark.parametrize(
    ("name", "value", "inside"),
    [
        ("trust_remote_code", None, ()),
        ("trust_remote", True, ()),
        ("distributed_executor_backend", "evil.Executor", ()),
        ("distributed_executor_backend", ["evil.Executor"], ()),
        ("compilation_config", '{"backend": "evil.b"}', ("backend",)),
        ("compilation_config", ['{"inductor_passes": {"x": "os.system"}}'], ("inductor_passes",)),
        ("compilation_c", {"cache_dir": "x"}, ("cache_dir",)),
        ("speculative_config", {"model": "evil.Proposer"}, ("model",)),
        ("speculative_config", {"method": "custom_class"}, ("method",)),
        ("spec_model", "evil.Proposer", ()),
        ("structured_outputs_config", {"reasoning-parser-plugin": "x.py"}, ("reasoning_parser_plugin",)),
        ("mm_processor_kwargs", {"a": [{"trust_remote_code": True}]}, ("a", "trust_remote_code")),
        ("some_new_plugin", "x", ()),
    ],
)
def test_flags_that_load_code_are_known_in_every_spelling(name: str, value: Any, inside: tuple[str, ...]) -> None:
    assert [keys for keys, _ in flag(name, value)] == [inside]


@pytest.mark.parametrize("file", VLLM_FLAGS, ids=lambda file: file.stem)
def test_no_flag_of_vllm_is_taken_for_the_beginning_of_another(file: Path) -> None:
    flags = {found[2:].replace("-", "_") for found in re.findall(r"--[a-z][a-z0-9-]*", file.read_text())}
    begun = {name for name in flags if any(known.startswith(name) for known in FLAGS) and name not in FLAGS}
    assert begun <= FULL_NAMES | {"model"}  # which has a place of its own
    assert {name for name in flags if NAMES.fullmatch(name)} <= FLAGS.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_USE_V1", "1"),
        ("VLLM_DISABLE_COMPILE_CACHE", "1"),
        ("VLLM_WORKER_MULTIPROC_METHOD", "spawn"),
        ("NCCL_IB_HCA", "mlx5_0,mlx5_1"),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("HF_HUB_OFFLINE", "1"),
        ("OMP_NUM_THREADS", "1"),
    ],
)
def test_variables_that_only_tune_need_no_trust(name: str, value: str) -> None:
    assert harmless_variable(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME")),
        *((name, "x") for name in ("PATH", "BASH_ENV", "VLLM_PLUGINS", "CUDA_INJECTION64_PATH", "NCCL_NET_PLUGIN")),
        ("VLLM_ALLOW_INSECURE_SERIALIZATION", "1"),
        ("VLLM_SERVER_DEV_MODE", "1"),
        ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1"),
        *((name, "https://evil") for name in ("HF_ENDPOINT", "VLLM_USAGE_STATS_SERVER", "HTTPS_PROXY")),
        ("NCCL_TOPO_FILE", "x"),
        ("VLLM_CACHE_ROOT", "cache"),
        ("VLLM_CACHE_ROOT", ".."),
        ("VLLM_HOST_IP", "203.0.113.7"),
        ("VLLM_DP_MASTER_IP", "203.0.113.7"),
        ("VLLM_LOGGING_CONFIG_PATH", "7"),
        ("VLLM_USE_V1", "/x"),
        ("OMP_TOOL_LIBRARIES", "x.so"),
        ("FLASHINFER_EXTRA_CFLAGS", "-fplugin=x"),
        ("SOMETHING", "1"),
    ],
)
def test_variables_that_load_code_or_redirect_take_trust(name: str, value: str) -> None:
    assert not harmless_variable(name, value)


@pytest.mark.parametrize("verb", [run, plan, serve, show])
def test_every_verb_that_reads_recipes_takes_trust(verb: Any) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert parser.parse_args(["--trust"]).trust is True
