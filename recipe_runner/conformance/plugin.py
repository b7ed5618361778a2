"""What pytest loads wherever recipe-runner is installed: next to nothing, so that failed proofs are told in full."""

import pytest

for _module in ("behind", "benchmarks", "checks", "engines", "proof", "reports", "simulated"):
    pytest.register_assert_rewrite(f"recipe_runner.conformance.{_module}")
