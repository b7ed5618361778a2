"""Secrets: refused in recipes, masked in text, sent nowhere by accident."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.errors import Fault
from recipe_runner.secrets import beginning, exposed, inherited, mask, may_send_key, refused

WHAT = "a secret does not belong here: plans and reports would show it"
AWAY = "take it away, and pass it in the environment"
HF = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
ENVIRON = {
    "VLLM_API_KEY": "abc",
    "HF_TOKEN": HF,
    "MY_SECRET": 'qu"ote/long secret',
    "PASSWORD": "hunter2hunter2",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "LANG": "en",
}


@pytest.mark.parametrize(
    ("serve", "where", "do"),
    [
        ({"api_key": "x"}, "serve.api_key", "set VLLM_API_KEY in the environment"),
        ({"api_key": ["x", "y"]}, "serve.api_key", "set VLLM_API_KEY in the environment"),
        ({"api-key": "x"}, "serve.api-key", AWAY),
        ({"hf_token": "x"}, "serve.hf_token", "set HF_TOKEN in the environment"),
        ({"kv_transfer_config": {"extra": {"access_key": "x"}}}, "serve.kv_transfer_config.extra.access_key", AWAY),
        ({"download_dir": HF}, "serve.download_dir", AWAY),
        ({"middleware": ["a", "sk-abcdefghijklmnopqrst"]}, "serve.middleware", AWAY),
    ],
)
def test_a_flag_with_a_secret_is_refused(serve: dict[str, Any], where: str, do: str) -> None:
    assert list(refused(serve, {}, {})) == [Fault(where, WHAT, do)]


def test_a_variable_with_a_secret_is_refused() -> None:
    env = {"HF_TOKEN": "x", "AWS_ACCESS_KEY_ID": "x", "a_password": "x", "OTHER": f"Bearer {HF}", "KEY": "x"}
    assert list(refused({}, env, {})) == [
        Fault(f"env.{name}", WHAT, f"set {name} in your environment; the server inherits it") for name in env
    ]


def test_what_only_sounds_like_a_secret_is_fine() -> None:
    overrides = {"classifier_from_token": ["no", "yes"], "image_token": "<image>", "pad_token_id": 0, "sort_key": "a"}
    serve = {"hf_token": True, "hf_overrides": overrides, "return_tokens_as_token_ids": True, "ssl_keyfile": "/k.pem"}
    env = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "TOKENIZERS_PARALLELISM": "false", "HF_TOKEN": "", "KEYS": "abc"}
    assert list(refused(serve, env, {})) == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("the key is abc.", "the key is ***."),
        ("abcd and xabc", "abcd and xabc"),
        (f"got {HF}!", "got ***!"),
        ("hf_zyxwvutsrqponmlkj is another", "*** is another"),
        ("hf_overrides and task-abcdefghijklmnopqrst stay", "hf_overrides and task-abcdefghijklmnopqrst stay"),
        ("sk-abcdefghijklmnopqrstuv", "***"),
        ('"qu\\"ote/long secret"', '"***"'),
        ("?q=qu%22ote%2Flong%20secret", "?q=***"),
        ("xhunter2hunter2x", "x***x"),
        ("Authorization: Bearer x1y", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcg==", "authorization: Basic ***"),
        ("{'authorization': 'Bearer x1y', 'a': 1}", "{'authorization': 'Bearer ***', 'a': 1}"),
        ("(b'authorization', b'Bearer x1y')", "(b'authorization', b'Bearer ***')"),
        ("Authorization: Token x1y, no", "Authorization: Token ***, no"),
        ("Authorization: Unheard x1y, no", "Authorization: ***, no"),
        ("a bearer 12345678 came", "a bearer *** came"),
        ("Bearer token is missing", "Bearer token is missing"),
        ("args: {'api_key': ['k1', 'k2'], 'port': 8000}", "args: {'api_key': [***], 'port': 8000}"),
        ("api_key=['k1', 'k2", "api_key=[***]"),
        ("AWS_SECRET_ACCESS_KEY=a/b+c.", "AWS_SECRET_ACCESS_KEY=***"),
        ("refresh_token=a, session_token: b", "refresh_token=***, session_token: ***"),
        ('{"private_key": "a", "PASSWD": "b"}', '{"private_key": "***", "PASSWD": "***"}'),
        ("--api-key foo --port 1", "--api-key *** --port 1"),
        ("--api-key foo bar --port 1", "--api-key *** --port 1"),
        ("the password 'foo' is wrong", "the password '***' is wrong"),
        ("Invalid password supplied", "Invalid password supplied"),
        ("--hf-token=foo --port 1", "--hf-token=*** --port 1"),
        ("hf_token=None, api_key=None", "hf_token=None, api_key=None"),
        ("max_tokens: 5, the token 7", "max_tokens: 5, the token 7"),
        ("http://bob:pw@host/x?a@b", "http://***@host/x?a@b"),
        ("nothing 1 en", "nothing 1 en"),
    ],
)
def test_secrets_in_text_are_masked(text: str, masked: str) -> None:
    assert mask(text, ENVIRON) == masked
    assert mask(masked, ENVIRON) == masked


pieces = st.lists(
    st.sampled_from(("Authorization: ", "api_key=", "--api-key ", "://", "'", '"', "[", "Bearer ", "\n", " "))
    | st.text(max_size=5)
)


@given(pieces.map("".join), pieces.map("".join))
def test_no_secret_survives_whatever_stands_around_it(before: str, after: str) -> None:
    masked = mask(f"{before}{HF}{after}", {"HF_TOKEN": HF})
    assert HF not in masked
    assert mask(masked, {"HF_TOKEN": HF}).count(HF) == 0


@pytest.mark.parametrize("secret", [HF, "hunter2hunter2", "x" * 3000, "sk-abcdefghijklmnopqrstuv"])
@pytest.mark.parametrize("long", [0, 10_000])
def test_a_text_is_masked_before_it_is_cut(secret: str, long: int) -> None:
    environ = {"A_TOKEN": secret, "HF_TOKEN": "", "B_KEY": "another-secret"}
    for before in (*range(90, 110), *range(90 + 2 * 256, 110 + 2 * 256, 5)):
        told = beginning(f"{'-' * before}{secret} {'another-secret ' * 50}{'+' * long}", 100, environ)
        assert set(told) <= {*"-*+ …"}, told
        assert len(told) <= 101


@pytest.mark.parametrize(("text", "told"), [("", ""), ("abcde", "abcde"), ("abcdef", "abcde…"), ("x" * 9999, "xxxxx…")])
def test_a_text_that_is_cut_says_so(text: str, told: str) -> None:
    assert beginning(text, 5, {}) == told


def test_what_a_server_inherits_is_shown_without_secrets() -> None:
    environ = ENVIRON | {"CUDA_VISIBLE_DEVICES": "0", "TORCHINDUCTOR_X": "abc", "HF_ENDPOINT": "http://a:b@h"}
    environ |= {"NCCL_P2P_DISABLE": "1", "PATH": "/bin"}
    assert list(inherited(environ).items()) == [
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("HF_ENDPOINT", "http://***@h"),
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ("HF_TOKEN", "***"),
        ("NCCL_P2P_DISABLE", "1"),
        ("TORCHINDUCTOR_X", "***"),
        ("VLLM_API_KEY", "***"),
    ]


@pytest.mark.parametrize("host", [None, "", "0.0.0.0", "::"])
def test_a_server_that_everybody_reaches_is_told(host: str | None) -> None:
    note = "the server listens on all interfaces, and asks for no key; set VLLM_API_KEY, or serve.host=127.0.0.1"
    assert exposed(host, {}) == note
    assert exposed(host, {"VLLM_API_KEY": ""}) == note
    assert exposed(host, {"VLLM_API_KEY": "x"}) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "10.0.0.1"])
def test_a_server_on_one_interface_is_fine(host: str) -> None:
    assert exposed(host, {}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "HTTP://LOCALHOST",
        "http://a.localhost",
        "http://127.0.0.1",
        "http://127.8.9.1:1",
        "http://[::1]:8000",
        "http://[::ffff:127.0.0.1]",
        "https://host",
    ],
)
def test_a_key_goes_to_this_machine_or_through_tls(url: str) -> None:
    assert may_send_key(url, False) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8000", "http://host:8000"),
        ("http://10.0.0.1", "http://10.0.0.1"),
        ("http://127.0.0.1@host", "http://***@host"),
        ("http://localhost.example.org", "http://localhost.example.org"),
        ("http://[::ffff:10.0.0.1]", "http://[::ffff:10.0.0.1]"),
        ("http://", "http://"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_a_key_goes_nowhere_else_unless_trusted(url: str, shown: str) -> None:
    assert str(may_send_key(url, False)) == (
        f"engine.url — the key would go over the network readable, to {shown}; "
        "use https://, or a tunnel to 127.0.0.1; --trust sends it all the same"
    )
    if "[bad" not in url:
        assert may_send_key(url, True) is None


IN_BLOCKS = {
    "extra_args.header": ({"header": "Authorization=Bearer abcdef123456"}, {"header": ["A=b", "Authorization: x"]}),
    "extra_body.api_key": ({"api_key": "x"}, {"api_key": ["x"]}),
    "extra_body.user": ({"user": HF}, {"user": [{"id": HF}]}),
    "extra_body.user.password": ({"user": {"password": "x"}}, {"user": [1, {"password": "x"}]}),
}


@pytest.mark.parametrize(("at", "held"), [(at, held) for at, both in IN_BLOCKS.items() for held in both])
@pytest.mark.parametrize("section", ["validation", "benchmark"])
def test_a_check_or_a_benchmark_with_a_secret_is_refused(at: str, held: dict[str, Any], section: str) -> None:
    do = "take it away; the client sends VLLM_API_KEY of the environment"
    blocks = {"b": {at.partition(".")[0]: held, "prompt": "?"}}
    found = list(refused({}, {}, {section: blocks}))
    assert [(fault.what, fault.do) for fault in found] == [(WHAT, do)]
    assert found[0].where.startswith(f"{section}.b.{at}")


def test_checks_and_benchmarks_without_secrets() -> None:
    blocks = {"a": {"extra_args": {"tokenizer": "x", "header": ["A=b"]}}, "b": 3, "c": {"extra_args": 3}, "d": {}}
    blocks["password"] = {
        "prompt": "What is a password? api_key=x",
        "extra_body": {"ignore_eos": True, "bad_words": [1]},
    }
    assert list(refused({}, {}, {"benchmark": blocks, "validation": blocks})) == []
