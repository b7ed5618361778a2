"""What a server counted, read from its own page."""

import pytest

from recipe_runner.client import Client
from recipe_runner.figures import counters
from recipe_runner.figures.counters import Counters
from tests.running import free_port

PAGE = """\
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 3.0
vllm:request_success_total{engine="1",finished_reason="length",model_name="m"} 48.0
# TYPE vllm:request_success_created gauge
vllm:request_success_created{engine="0",finished_reason="stop",model_name="m"} 1.7e+09
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 13056.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 3264.0
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1000.0
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 390.0
# TYPE vllm:num_preemptions_total counter
vllm:num_preemptions_total{engine="0",model_name="m"} 2.0
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 7.0
"""


def test_all_engines_together() -> None:
    read = Counters.read(PAGE)
    assert read == Counters(51, 13056, 3264, 1000, 390, 2)
    assert read.as_dict() == {
        **{"requests": 51, "prompt_tokens": 13056, "generation_tokens": 3264, "preemptions": 2},
        "prefix_hit_share": 0.39,
    }


def test_what_was_added() -> None:
    before, after = Counters(50, 100, 10, 20, 10, 1), Counters(60, 300, 25, 40, 10, 1)
    assert after - before == Counters(10, 200, 15, 20, 0, 0)
    assert (after - before).prefix_hit_share == 0
    assert (after - after).prefix_hit_share == 0


@pytest.mark.parametrize("text", ["", "# a page without vLLM\nup 1\n"])
def test_a_page_without_counters(text: str) -> None:
    assert Counters.read(text) is None


def test_a_server_that_does_not_say() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "m", 1) as client:
        assert Counters.of(client) is None


def test_a_page_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with Client("http://127.0.0.1:1", "m", 1) as client:
        monkeypatch.setattr(client, "metrics", lambda: "<html>{{{")
        assert Counters.of(client) is None


def test_the_last_request_may_be_counted_late(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter(PAGE.replace("48.0", count) for count in ("47.0", "48.0", "49.0"))
    with Client("http://127.0.0.1:1", "m", 1) as client:
        monkeypatch.setattr(client, "metrics", lambda: next(pages))
        assert Counters.since(None, client, 3) is None
        assert Counters.since(Counters(requests=1), client, 50) == Counters(50, 13056, 3264, 1000, 390, 2)


def test_what_still_runs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter((PAGE, PAGE.replace('name="m"} 7.0', 'name="m"} 0.0').replace("48.0", "55.0")))
    with Client("http://127.0.0.1:1", "m", 1) as client:
        monkeypatch.setattr(client, "metrics", lambda: next(pages))
        settled = Counters.settled(client)
    assert settled is not None
    assert (settled.requests, settled.running) == (58, 0)


def test_what_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "LATE_S", 0.1)
    with Client("http://127.0.0.1:1", "m", 1) as client:
        monkeypatch.setattr(client, "metrics", lambda: PAGE)
        settled = Counters.settled(client)
    assert settled is not None
    assert settled.running == 7


def test_one_that_is_never_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "LATE_S", 0.1)
    with Client("http://127.0.0.1:1", "m", 1) as client:
        monkeypatch.setattr(client, "metrics", lambda: PAGE)
        counted = Counters.since(Counters(), client, 1000)
    assert counted is not None
    assert counted.requests == 51
