import errno
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from recipe_runner.composition.schema import ModelFacts
from recipe_runner.errors import Fault
from recipe_runner.model.weights import (
    Problem,
    cached,
    gib,
    hub_cache,
    missing_bytes,
    of_folder,
    room,
    snapshot,
    wanted,
    weight_files,
)
from tests.model.hub_server import COMMIT, CONFIG, safetensors

ONE = safetensors({"a": ("BF16", [64, 32]), "b": ("BF16", [10])}, {"format": "pt"})
TWO = safetensors({"c": ("BF16", [6]), "d": ("I32", [3, 4])})
CONFIG_TEXT = json.dumps(CONFIG)
INDEX = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}})
AGAIN = "download it again (with git, Git LFS must be installed)"

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Write:
    """A folder with these files; `_` in a name stands for what a name cannot hold."""

    def folder(files: dict[str, str | bytes], home: Path = tmp_path / "model") -> Path:
        home.mkdir(parents=True)
        for name, content in files.items():
            (home / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return home

    return folder


@pytest.fixture
def in_cache(folder: Write) -> Callable[..., Path]:
    """A snapshot of a/model in the cache, on branch main."""

    def in_cache(files: dict[str, str | bytes]) -> Path:
        home = hub_cache() / "models--a--model"
        made = folder(files, home / "snapshots" / COMMIT)
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text(COMMIT)
        return made

    return in_cache


def test_the_facts_of_a_folder(folder: Write) -> None:
    home = folder({"config.json": CONFIG_TEXT, "model.safetensors": ONE, "pytorch_model.bin": "?", "README.md": "?"})
    assert of_folder(home) == ModelFacts(
        source=f"the files in {home}",
        parameters={"BF16": 64 * 32 + 10},
        bytes=len(ONE),
        config=CONFIG,
    )


def test_shards_are_those_of_the_index(folder: Write) -> None:
    shards: dict[str, str | bytes] = {"model-1.safetensors": ONE, "model-2.safetensors": TWO}
    rest: dict[str, str | bytes] = {"consolidated.safetensors": TWO, "model.safetensors.index.json": INDEX}
    facts = of_folder(folder({"config.json": CONFIG_TEXT, **shards, **rest}), "the hub", COMMIT)
    assert isinstance(facts, ModelFacts)
    assert (facts.source, facts.revision) == ("the hub", COMMIT)
    assert (facts.parameters, facts.bytes) == ({"BF16": 2064, "I32": 12}, len(ONE) + len(TWO))


@pytest.mark.parametrize(
    "index", ["[]", "[" * 100_000, '{"weight_map": {"a": 5}}', '{"weight_map": {"a": "../b.bin"}}']
)
def test_an_index_that_cannot_be_read_counts_as_none(index: str, folder: Write) -> None:
    rest: dict[str, str | bytes] = {"model-1.safetensors": ONE, "model.safetensors.index.json": index}
    facts = of_folder(folder({"config.json": CONFIG_TEXT, **rest}))
    assert isinstance(facts, ModelFacts)
    assert facts.bytes == len(ONE)


def test_pickled_weights_say_no_parameters(folder: Write) -> None:
    facts = of_folder(folder({"config.json": CONFIG_TEXT, "pytorch_model.bin": "12345", "training_args.bin": "1"}))
    assert isinstance(facts, ModelFacts)
    assert (facts.parameters, facts.bytes) == (None, 5)


def test_a_config_of_mistral_says_nothing_yet(folder: Write) -> None:
    facts = of_folder(folder({"params.json": "{}", "consolidated.safetensors": ONE}))
    assert isinstance(facts, ModelFacts)
    assert (facts.config, facts.bytes) == ({}, len(ONE))


class Bad(NamedTuple):
    files: dict[str, str | bytes]
    what: str
    do: str


GOOD = "give the folder of a transformers model, with its config.json"
BAD = {
    "no config": Bad({"model.safetensors": ONE}, "{home} has no config.json", GOOD),
    "broken config": Bad({"config.json": "{"}, "{home}/config.json is not a JSON object", GOOD),
    "deep config": Bad({"config.json": "[" * 100_000}, "{home}/config.json is not a JSON object", GOOD),
    "other config": Bad({"config.json": "[]"}, "{home}/config.json is not a JSON object", GOOD),
    "no weights": Bad(
        {"config.json": "{}", "tiny.gguf": "?"}, "{home} has no weights", "give a folder with *.safetensors in it"
    ),
    "missing shards": Bad(
        {"config.json": "{}", "model.safetensors.index.json": INDEX},
        "{home} lacks model-1.safetensors and 1 more files",
        "download the model again: files that are complete are kept",
    ),
    "missing shard": Bad(
        {"config.json": "{}", "model.safetensors.index.json": INDEX, "model-1.safetensors": ONE},
        "{home} lacks model-2.safetensors",
        "download the model again: files that are complete are kept",
    ),
    "cut off": Bad(
        {"config.json": "{}", "model.safetensors": ONE[:-7]},
        f"{{home}}/model.safetensors is cut off: it has {len(ONE) - 7} of {len(ONE)} bytes",
        AGAIN,
    ),
    "LFS pointer": Bad(
        {"config.json": "{}", "model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"},
        "{home}/model.safetensors is not a safetensors file",
        AGAIN,
    ),
    "empty": Bad(
        {"config.json": "{}", "model.safetensors": ""}, "{home}/model.safetensors is not a safetensors file", AGAIN
    ),
    "deep header": Bad(
        {"config.json": "{}", "model.safetensors": struct.pack("<Q", 100_000) + b"[" * 100_000},
        "{home}/model.safetensors is not a safetensors file",
        AGAIN,
    ),
    "no tensors": Bad(
        {"config.json": "{}", "model.safetensors": struct.pack("<Q", 9) + b'{"a": {}}'},
        "{home}/model.safetensors is not a safetensors file",
        AGAIN,
    ),
}


@pytest.mark.parametrize("shape", [[1.5], ["2"], [-1], [2**40, 2**40], [2] * 100_000, 3, None])
def test_a_shape_that_no_tensor_has(shape: object, folder: Write) -> None:
    text = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    home = folder({"config.json": "{}", "model.safetensors": struct.pack("<Q", len(text)) + text})
    assert of_folder(home) == Problem("content", f"{home}/model.safetensors is not a safetensors file", AGAIN)


def test_a_folder_that_may_not_be_read(folder: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder({"config.json": "{}", "model.safetensors": ONE})

    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    do = "see to it that it can, or name another folder"
    assert of_folder(home) == Problem("content", f"{home} cannot be read: Permission denied", do)


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_folder(name: str, folder: Write) -> None:
    home = folder(BAD[name].files)
    found = of_folder(home)
    assert found == Problem("content", BAD[name].what.format(home=home), BAD[name].do)
    assert found.fault("model.path") == Fault("model.path", found.what, found.do)


def test_what_vllm_needs() -> None:
    text = ["config.json", "tokenizer.json", "chat_template.jinja", "modeling_x.py"]
    weights = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    foreign = ["README.md", ".gitattributes", "original/consolidated.00.pth", "onnx/model.onnx", "tf_model.h5", "a.pth"]
    foreign += ["pytorch_model.bin", "model.Q4_K_M.gguf", "consolidated.safetensors", "figures/a.png", "metal/x.bin"]
    assert wanted([*foreign, *text, *weights, index]) == [*text, *weights, index]
    assert weight_files([*foreign, *text, *weights, index]) == weights
    assert weight_files(["config.json", "consolidated.safetensors"]) == ["consolidated.safetensors"]
    assert weight_files(["pytorch_model.bin", "x.gguf", "optimizer.bin"]) == ["pytorch_model.bin"]
    assert wanted(["x.gguf", "config.json"]) == ["x.gguf", "config.json"]
    assert weight_files(["x.gguf", "lora/adapter.safetensors"]) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/a/hub"}, "/a/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/b/hub"}, "/b/hub"),
        ({"HF_HOME": "/c"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({"XDG_CACHE_HOME": ""}, "~/.cache/huggingface/hub"),
        ({"HF_HOME": "~/$WHERE", "WHERE": "e"}, "~/e/hub"),
        ({"HF_HUB_CACHE": "~nosuchuser/hub"}, "~nosuchuser/hub"),
    ],
)
def test_the_cache_is_where_hugging_face_has_it(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(hub_cache()) == os.path.expanduser(expected)  # noqa: PTH111 — Path's raises for ~nosuchuser


def test_a_whole_snapshot_is_found(in_cache: Write) -> None:
    home = in_cache({"config.json": "{}", "model.safetensors": ONE})
    assert cached("a/model", None) == cached("a/model", "main") == cached("a/model", COMMIT) == home
    assert cached("a/model", "other") is cached("a/model", "../../../x") is cached("b/model", None) is None
    assert missing_bytes("a/model", None, None) == 0


@pytest.mark.parametrize("lacks", ["config.json", "model-2.safetensors"])
def test_a_snapshot_in_part_is_not_whole(lacks: str, in_cache: Write) -> None:
    shards: dict[str, str | bytes] = {"model-1.safetensors": ONE, "model-2.safetensors": TWO}
    home = in_cache({"config.json": "{}", "model.safetensors.index.json": INDEX, **shards})
    assert cached("a/model", None) == home
    (home / lacks).unlink()
    (home / lacks).symlink_to("../../blobs/gone")
    assert cached("a/model", None) is None
    assert snapshot("a/model", None) == home


def test_how_much_is_missing(in_cache: Write) -> None:
    facts = ModelFacts(source="a test", bytes=len(ONE) + len(TWO))
    assert missing_bytes("a/model", None, facts) == len(ONE) + len(TWO)
    in_cache({"config.json": "{}", "model.safetensors.index.json": INDEX, "model-1.safetensors": ONE})
    assert missing_bytes("a/model", None, facts) == len(TWO)
    assert missing_bytes("a/model", None, ModelFacts(source="a test", bytes=1)) == 0
    assert missing_bytes("a/model", None, ModelFacts(source="a test")) is None
    assert missing_bytes("a/model", None, None) is None


def test_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 3 << 30))  # type: ignore[attr-defined]
    assert room(3 << 30) is None
    assert room(16 << 30) == Problem(
        "disk",
        f"the download takes 16.00 GiB, and {hub_cache()} has 3.00 GiB free",
        "make room, or name a folder on another disk with HF_HOME",
    )
    assert gib(16381516776) == "15.26 GiB"
