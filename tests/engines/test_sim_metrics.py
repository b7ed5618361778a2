import pytest

from recipe_runner.engines.sim_metrics import BLOCK, KV_TOKENS, Metrics


def value(metrics: Metrics, name: str, more: str = "") -> float:
    (line,) = [line for line in metrics.text().splitlines() if line.startswith(f"vllm:{name}{{") and more in line]
    assert 'engine="0",model_name="m"' in line
    return float(line.rpartition(" ")[2])


def test_a_request_is_counted_while_it_runs_and_after() -> None:
    metrics = Metrics("m")
    with metrics.request(["a"] * 10, 6, "length"):
        assert value(metrics, "num_requests_running") == 1
        assert value(metrics, "kv_cache_usage_perc") == 16 / KV_TOKENS
        assert value(metrics, "generation_tokens_total") == 0
    assert value(metrics, "num_requests_running") == value(metrics, "kv_cache_usage_perc") == 0
    assert value(metrics, "prompt_tokens_total") == 10
    assert value(metrics, "generation_tokens_total") == 6
    assert value(metrics, "request_success_total", 'finished_reason="length"') == 1
    assert value(metrics, "num_requests_waiting") == value(metrics, "num_preemptions_total") == 0


def test_how_requests_end() -> None:
    metrics = Metrics("m")
    with metrics.request([], 1, "tool_calls"):
        pass
    with pytest.raises(ConnectionError), metrics.request([], 1, "stop"):
        raise ConnectionError
    metrics.error()
    ends = {end: value(metrics, "request_success_total", f'"{end}"') for end in ("stop", "length", "abort", "error")}
    assert ends == {"stop": 1, "length": 0, "abort": 1, "error": 1}
    assert value(metrics, "generation_tokens_total") == 1


def test_a_prefix_that_was_seen_is_cached_in_whole_blocks() -> None:
    metrics = Metrics("m")
    first = [f"w{number}" for number in range(3 * BLOCK)]
    hits = []
    for prompt in (first, [*first, "x"], first[: BLOCK + 5], ["other", *first[1:]], first[BLOCK:]):
        before = value(metrics, "prefix_cache_hits_total")
        with metrics.request(prompt, 1, "stop"):
            pass
        hits.append((value(metrics, "prefix_cache_hits_total") - before) / BLOCK)
    assert hits == [0, 3, 1, 0, 0]
    assert value(metrics, "prefix_cache_queries_total") == value(metrics, "prompt_tokens_total")


def test_every_metric_says_what_it_is() -> None:
    lines = Metrics("m").text().splitlines()
    assert lines[0] == "# simulated"
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {line.partition("{")[0] for line in lines if not line.startswith("#")} == typed
