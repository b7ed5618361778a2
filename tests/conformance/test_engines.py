"""Our own engines, proven as anybody's are; those of vLLM where there is a real one."""

from pathlib import Path

import pytest

from recipe_runner.conformance.engines import EngineProof

TINY = Path(__file__).parents[2] / "recipes" / "assets" / "internvl3-tiny"


class TestSim(EngineProof):
    block = {"uses": "sim", "replies": {"a": "b"}}


class TestAttach(EngineProof):
    block = {"uses": "attach", "url": "http://127.0.0.1:8000"}
    refuses = (({"url": "host:8000"}, "engine.url — 'host:8000' does not fit here; write it as http://HOST:PORT"),)


@pytest.mark.real
class TestVllm(EngineProof):
    block = {"uses": "vllm", "environment": "cpu"}
    model = {"id": "internvl3-tiny", "path": str(TINY)}
    serve = {"dtype": "float32", "gpu_memory_utilization": 0.3, "max_model_len": 1024}
    env = {"VLLM_CPU_KVCACHE_SPACE": "1"}
