from collections.abc import Callable

import pytest
from pydantic import ValidationError

from recipe_runner.engines.attach import Attach
from tests.conftest import Answer


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://host:8000", "http://host:8000"),
        ("http://host:8000/", "http://host:8000"),
        ("https://host/v1", "https://host"),
        ("https://host/v1/", "https://host"),
        ("http://[::1]:8000/prefix", "http://[::1]:8000/prefix"),
    ],
)
def test_an_address_as_people_paste_it(typed: str, url: str) -> None:
    assert Attach(uses="attach", url=typed).url == url


@pytest.mark.parametrize(
    "typed",
    [
        *("", "host:8000", "ftp://host", "http://", "http:host", "http://host:port", "http://host:99999"),
        *("http://host:0", "http://[::1", "http://host\x00", "http://host/\x1b[2J"),
    ],
)
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(ValidationError, match="write it as http://HOST:PORT"):
        Attach(uses="attach", url=typed)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("http://me:s3cret@host", "http://***@host"),
        ("http://host/?api_key=s3cret", "http://host/?api_key=***"),
        ("http://host/v1?", "http://host/v1?"),
        ("http://host#access_token=s3cret", "http://host#access_token=***"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_an_address_holds_no_secret(typed: str, shown: str, verb: str, cli: Callable[..., Answer]) -> None:
    assert cli(verb, "recipe=internvl3", "engine=attach", f"engine.url='{typed}'").refusal == [
        f"engine.url — '{shown}' does not fit here; take out the password, and what is behind ? or #: "
        "reports would show it; a key goes into VLLM_API_KEY"
    ]


def test_nothing_is_launched_and_vllm_measures_if_it_is_here() -> None:
    located = Attach(uses="attach", url="http://host:8000", command="env vllm").locate()
    assert (located.server, located.client, located.faults) == ((), ("env", "vllm"), ())


def test_without_vllm_here_nothing_measures_and_nothing_is_wrong() -> None:
    located = Attach(uses="attach", url="http://host:8000", command="/no/such/vllm").locate()
    assert (located.server, located.client, located.faults) == ((), None, ())
