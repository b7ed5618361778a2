"""What pytest loads wherever recipe-runner is installed: next to nothing, so that failed proofs are told in full."""

from typing import Final

import pytest

MODULES: Final = ("behind", "benchmarks", "checks", "engines", "proof", "reports", "simulated")

for _module in MODULES:
    pytest.register_assert_rewrite(f"recipe_runner.conformance.{_module}")
