"""Our own benchmarks, proven as anybody's are; those of vLLM where there is a real one."""

from pathlib import Path

import pytest

from recipe_runner.conformance.benchmarks import BenchmarkProof

TINY = Path(__file__).parents[2] / "recipes" / "assets" / "internvl3-tiny"
TOKENIZER = {"extra_args": {"tokenizer": str(TINY)}}
FEW = {"num_prompts": 4, "max_concurrency": 2}


class TestLoad(BenchmarkProof):
    block = {"uses": "load", "input_len": 8, "output_len": 4, **FEW}
    refuses = (({"seed": "a"}, "benchmark.it.seed — 'a' does not fit here; it should be a valid integer"),)


class TestLoadSlo(BenchmarkProof):
    block = {
        **{"uses": "load_slo", "input_len": 8, "output_len": 4, "slo": {"p95_ttft_ms": 5000}},
        **{"highest": 2, "probes": 3, "num_prompts": 4, "requests_per_load": 1},
    }
    refuses = (
        (
            {"slo": {}},
            "benchmark.it.slo — {} does not fit here; "
            "name a metric and the most that it may be, as in {p95_ttft_ms: 500}",
        ),
    )


@pytest.mark.real
class TestVllmBench(BenchmarkProof):
    block = {"uses": "vllm_bench", "random_input_len": 8, "random_output_len": 4, **FEW, **TOKENIZER}
    engine = {"environment": "cpu"}


@pytest.mark.real
class TestVllmBenchSlo(BenchmarkProof):
    block = {
        **{"uses": "vllm_bench_slo", "random_input_len": 8, "random_output_len": 4, "slo": {"p95_ttft_ms": 5000}},
        **{"highest": 2, "probes": 3, "num_prompts": 4, "requests_per_load": 1},
        **TOKENIZER,
    }
    engine = {"environment": "cpu"}
    test_it_says_nothing_of_a_server_that_is_broken = None  # as long as it takes `vllm_bench` at its word
