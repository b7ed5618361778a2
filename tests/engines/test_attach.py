import pytest
from pydantic import ValidationError

from recipe_runner.engines.attach import Attach


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


def test_nothing_is_launched_and_vllm_measures_if_it_is_here() -> None:
    located = Attach(uses="attach", url="http://host:8000", command="env vllm").locate()
    assert (located.server, located.client, located.faults) == ((), ("env", "vllm"), ())


def test_without_vllm_here_nothing_measures_and_nothing_is_wrong() -> None:
    located = Attach(uses="attach", url="http://host:8000", command="/no/such/vllm").locate()
    assert (located.server, located.client, located.faults) == ((), None, ())
