"""The proof of a benchmark: it measures a good server, and says nothing of a bad one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import pytest

from recipe_runner.api import Benchmark
from recipe_runner.conformance.proof import BlockProof
from recipe_runner.conformance.simulated import Ran, left, recipe, run
from recipe_runner.serialize import to_json

SECOND: Final = 2  # the first request is the one that shows that the server is ready
BROKEN: Final[Mapping[str, Mapping[str, Any]]] = {
    **{fault: {"fault": fault, "fault_every": SECOND} for fault in ("error", "garbage", "empty", "truncated")},
    **{fault: {"fault": fault, "fault_at": SECOND} for fault in ("dies", "hangs")},
}
BENCHMARK_S: Final = 4  # until one that a server keeps waiting is ended


class BenchmarkProof(BlockProof):
    """Derive from it, and give `block`: a small one, that takes a second or two."""

    kind = "benchmarks"
    key = "benchmark.it"

    def test_what_it_asks_is_data(self) -> None:
        made = cast(Benchmark, self.made())
        assert to_json(made.asked())
        assert made.unmeasured() >= 0
        assert made.shared_prefix() is None or 0 <= cast(float, made.shared_prefix()) <= 1

    def test_it_measures_a_good_server_and_leaves_nothing(self, tmp_path: Path) -> None:
        ran = self._ran(tmp_path, {})
        item = ran.item("benchmarks")
        assert (item["verdict"], bool(item["metrics"])) == ("measured", True), ran.told
        names = cast(Benchmark, self.made()).metrics
        assert not names or {*item["metrics"]} <= {*names}, f"`metrics` does not name all of {[*item['metrics']]}"
        assert left(tmp_path) == []

    @pytest.mark.parametrize("fault", BROKEN)
    def test_it_says_nothing_of_a_server_that_is_broken(self, fault: str, tmp_path: Path) -> None:
        limits = [f"timeouts.benchmark_s={BENCHMARK_S}"] if fault == "hangs" else []
        ran = self._ran(tmp_path, BROKEN[fault], *limits)
        assert ran.item("benchmarks")["verdict"] not in ("measured", "passed"), ran.told
        assert left(tmp_path) == []

    def _ran(self, folder: Path, fault: Mapping[str, Any], *words: str) -> Ran:
        recipe(folder, serve=self.serve, benchmark={"it": self.block})
        return run(folder, {"uses": "sim", **self.engine, **fault}, "hardware=cpu", *words)
