import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from recipe_runner import paths
from recipe_runner.composition.schema import ModelFacts
from recipe_runner.model import hub as hub_module
from recipe_runner.model.hub import ask, listing, within
from recipe_runner.model.refusals import problem, reason
from recipe_runner.model.weights import Problem, hub_cache
from tests.model.hub_server import COMMIT, CONFIG, Hub, Model, asked_by, safetensors

WEIGHTS = safetensors({"a": ("BF16", [64, 32])})
FILES = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": WEIGHTS, "README.md": b"#"}
LOGIN = "`hf auth login`, or set HF_TOKEN"
NETWORK = "check the network, HF_ENDPOINT and HTTPS_PROXY, or name the folder of the model with model.path"
SECRET = "hf_thisIsASecret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    models = {"a/model": Model(dict(FILES), parameters={"BF16": 2048})}
    with asked_by(monkeypatch, models=models, tokens=(SECRET,)) as hub:
        yield hub


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)


def known() -> list[Path]:
    return list((paths.cache() / "models").glob("*"))


def test_the_facts_of_a_model(hub: Hub) -> None:
    facts = ask("a/model")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert facts == ModelFacts(
        source=f"{hub.url}/a/model/tree/{COMMIT}, asked on {today}",
        revision=COMMIT,
        licence="apache-2.0",
        gated=False,
        parameters={"BF16": 2048},
        bytes=len(WEIGHTS),
        config=CONFIG,
    )
    assert hub.asked == ["GET /api/models/a/model", f"GET /a/model/resolve/{COMMIT}/config.json"]
    assert not hub_cache().exists()


def test_it_is_asked_once(hub: Hub) -> None:
    facts = ask("a/model", "main")
    asked = len(hub.asked)
    assert ask("a/model", "main") == ask("a/model") == facts
    assert len(hub.asked) == asked
    assert [file.suffix for file in known()] == [".json"]
    ask("a/model", COMMIT)
    assert len(hub.asked) == 2 * asked


def test_a_record_that_cannot_be_read_is_made_anew(hub: Hub) -> None:
    facts = ask("a/model")
    known()[0].write_text("{")
    assert ask("a/model") == facts
    assert len(hub.asked) == 4


def test_without_a_cache_it_is_asked_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setenv("HF_HOME", "/dev/null/hf")
    assert isinstance(ask("a/model"), ModelFacts)
    assert ask("a/model") == ask("a/model")
    assert len(hub.asked) == 6


@pytest.mark.parametrize(("revision", "asked"), [("main", 4), (COMMIT, 2)])
def test_what_a_branch_said_is_old_after_a_day(revision: str, asked: int, hub: Hub) -> None:
    facts = ask("a/model", revision)
    os.utime(known()[0], (0, 0))
    assert ask("a/model", revision) == facts
    assert len(hub.asked) == asked


def test_old_news_are_better_than_none(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = ask("a/model")
    os.utime(known()[0], (0, 0))
    hub.answer = (503, b"")
    assert ask("a/model") == facts
    hub.hang = True
    assert ask("a/model", timeout_s=0.1) == facts
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert ask("a/model") == facts
    hub.hang, hub.answer = False, None
    monkeypatch.delenv("HF_HUB_OFFLINE")
    del hub.models["a/model"]
    assert isinstance(ask("a/model"), Problem)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ({"license": "other", "license_name": "qwen"}, "qwen"),
        ({"license": "other"}, "other"),
        ({"language": "en"}, None),
        (None, None),
    ],
)
def test_licences(card: dict[str, Any] | None, licence: str | None, hub: Hub) -> None:
    hub.models["a/model"].card = card
    facts = ask("a/model")
    assert isinstance(facts, ModelFacts)
    assert facts.licence == licence


def test_mistral_has_no_config_to_read(hub: Hub) -> None:
    hub.models["a/model"] = Model({"params.json": b"{}", "consolidated.safetensors": WEIGHTS}, gated="manual")
    facts = ask("a/model")
    assert isinstance(facts, ModelFacts)
    assert (facts.config, facts.gated, facts.parameters) == ({}, True, None)


def test_a_snapshot_in_the_cache_is_not_asked_for(hub: Hub) -> None:
    home = hub_cache() / "models--a--model" / "snapshots" / COMMIT
    home.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (home / name).write_bytes(FILES[name])
    facts = ask("a/model", COMMIT)
    source = f"the files of {hub.url}/a/model in {home}"
    assert facts == ModelFacts(
        source=source, revision=COMMIT, parameters={"BF16": 2048}, bytes=len(WEIGHTS), config=CONFIG
    )
    assert hub.asked == []
    (home / "model.safetensors").write_bytes(b"")
    again = ask("a/model", COMMIT)
    assert isinstance(again, ModelFacts)
    assert again.licence == "apache-2.0"


def test_no_such_model(hub: Hub) -> None:
    do = f"check the name; a private one looks the same without a token: {LOGIN}"
    assert ask("a/modle") == Problem("missing", f"there is no model a/modle at {hub.url}", do)


@pytest.mark.usefixtures("token")
def test_no_such_model_with_a_token(hub: Hub) -> None:
    do = "check the name; a private one looks the same to a token without access"
    assert ask("a/modle") == Problem("missing", f"there is no model a/modle at {hub.url}", do)


def test_no_such_name(hub: Hub) -> None:
    do = "write it as owner/name"
    assert ask("a/b/c") == Problem("missing", "'a/b/c' is not a name that a model can have", do)
    assert hub.asked == []


def test_gated_without_a_token(hub: Hub) -> None:
    hub.models["a/model"].gated = "auto"
    do = f"accept its terms at {hub.url}/a/model, then {LOGIN}"
    assert ask("a/model") == Problem("gated", "a/model is gated, and there is no token", do)
    assert known() == []


@pytest.mark.usefixtures("token")
def test_gated_without_access(hub: Hub) -> None:
    hub.models["a/model"].gated = "manual"
    do = f"ask for access at {hub.url}/a/model; a fine-grained token must also be allowed to read such models"
    assert ask("a/model") == Problem("gated", "a/model is gated, and this token has no access", do)
    hub.answer = (403, b"{}")
    assert ask("a/model") == Problem("gated", "this token may not read a/model", do)


@pytest.mark.usefixtures("token")
def test_gated_with_access(hub: Hub) -> None:
    hub.models["a/model"].gated, hub.models["a/model"].readers = "auto", (SECRET,)
    facts = ask("a/model")
    assert isinstance(facts, ModelFacts)
    assert facts.gated is True
    assert SECRET not in known()[0].read_text()


@pytest.mark.usefixtures("token")
def test_a_token_that_is_none(hub: Hub) -> None:
    hub.tokens = ()
    do = f"make another at {hub.url}/settings/tokens, then {LOGIN}"
    assert ask("a/model") == Problem("token", "the hub does not accept this token", do)


def test_no_such_revision(hub: Hub) -> None:
    do = f"choose a branch, tag or commit from {hub.url}/a/model/tree/main"
    assert ask("a/model", "v2") == Problem("revision", "a/model has no revision v2", do)


FORMAT = "name a model in the format of transformers, with config.json and *.safetensors"


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("model.safetensors",), "a/model has no config.json"),
        (("config.json",), "a/model has no weights"),
        (("config.json", "q4.gguf"), "a/model has no weights but GGUF"),
    ],
)
def test_a_model_that_cannot_be_served(files: tuple[str, ...], what: str, hub: Hub) -> None:
    hub.models["a/model"].files = dict.fromkeys(files, b"{}")
    assert ask("a/model") == Problem("content", what, FORMAT)


def test_sizes_that_no_model_has(hub: Hub) -> None:
    hub.models["a/model"].parameters = {"BF16": -1}
    what = f"{hub.url} answered something else than a description of a/model"
    assert ask("a/model") == Problem("network", what, NETWORK)


@pytest.mark.parametrize("text", [b"[1]", b"{", b"[" * 100_000])
def test_a_config_that_is_none(text: bytes, hub: Hub) -> None:
    hub.models["a/model"].files["config.json"] = text
    what = "the config.json of a/model is not a JSON object"
    assert ask("a/model") == Problem("content", what, f"look at {hub.url}/a/model")


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_a_hub_that_does_not_answer(way: str, hub: Hub) -> None:
    setattr(hub, way, True)
    start = time.monotonic()
    assert ask("a/model") == Problem("network", f"{hub.url} did not answer within 3 s", NETWORK)
    assert time.monotonic() - start < 3.3


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://someone:secret@127.0.0.1:9")
    what = "http://127.0.0.1:9 cannot be reached: [Errno 111] Connection refused"
    assert ask("a/model") == Problem("network", what, NETWORK)


@pytest.mark.parametrize(
    ("status", "do"), [(429, "wait a minute; with a token the limit is higher"), (502, "try again later")]
)
def test_a_hub_in_trouble(status: int, do: str, hub: Hub) -> None:
    hub.answer = (status, b"")
    assert ask("a/model") == Problem("network", f"{hub.url} answered {status} for a/model", do)


@pytest.mark.parametrize("body", [b"<html>Log in to this hotel", b"[]", b"{}"])
def test_something_else_than_a_hub(body: bytes, hub: Hub) -> None:
    hub.answer = (200, body)
    what = f"{hub.url} answered something else than a description of a/model"
    assert ask("a/model") == Problem("network", what, NETWORK)


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
    what = "http://[::1 answered something else than a description of a/model"
    assert ask("a/model") == Problem("network", what, NETWORK)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline(name: str, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    monkeypatch.setenv(name, "1")
    what = f"a/model is not in {hub_cache()}, and {name} forbids asking the hub"
    do = f"unset {name}, or copy the model there, or name its folder with model.path"
    assert ask("a/model") == Problem("offline", what, do)
    assert hub.asked == []
    monkeypatch.setenv(name, "0")
    assert isinstance(ask("a/model"), ModelFacts)


def test_which_files_a_download_takes(hub: Hub) -> None:
    found = listing("a/model", None, 3)
    assert found == hub_module.Listing(
        COMMIT, {name: len(FILES[name]) for name in ("config.json", "model.safetensors")}
    )
    assert isinstance(listing("a/other", None, 3), Problem)


@pytest.mark.usefixtures("token", "hub")
def test_a_full_disk_is_not_the_network() -> None:
    what = f"{hub_cache()} cannot be written: No space left on device"
    do = "make room there, or name another folder with HF_HOME"
    assert problem(OSError(28, "full"), "a/model", None) == Problem("disk", what, do)
    assert problem(ZeroDivisionError(), "a/model", None) is None
    nested = LocalEntryNotFoundError("the hub is gone")
    nested.__cause__ = OSError(13, "no")
    found = problem(nested, "a/model", None)
    assert found is not None
    assert found.what == f"{hub_cache()} cannot be written: Permission denied"
    assert reason(ValueError(f"no: {SECRET}\n at http://me:pass@host/x")) == "no: •••\\n at http://host/x"
    assert reason(ValueError()) == "ValueError"


def test_bugs_stay_bugs(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(1, broken)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *a, **k: broken())
    with pytest.raises(ZeroDivisionError):
        ask("a/model")
    monkeypatch.setattr("huggingface_hub.utils.get_session", broken)
    with pytest.raises(ZeroDivisionError):
        hub_module._config("a/model", COMMIT, 1)


PROGRAM = """
import sys, time
from recipe_runner.model.hub import ask
assert "huggingface_hub" not in sys.modules
start = time.monotonic()
print(ask("a/model").what)
print(time.monotonic() - start)
"""


def test_a_process_ends_although_the_hub_does_not_answer(hub: Hub) -> None:
    hub.drip = True
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    what, seconds = done.stdout.splitlines()
    assert (what, done.stderr) == (f"{hub.url} did not answer within 3 s", "")
    assert 2.9 < float(seconds) < 3.3
    assert time.monotonic() - start < 6
