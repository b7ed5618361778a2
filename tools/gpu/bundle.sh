#!/usr/bin/env bash
# Packs all that session.sh needs on a GPU host that reaches no package index and no model hub: vLLM and what it needs
# beside torch (Python 3.12, torch 2.11 for CUDA 13 are taken to be there), recipe-runner, and a folder of InternVL3-8B
# with a hole in place of its weights. Needs Python 3.12 (PYTHON312=…) and PyPI; takes minutes, most of them xz.
# usage: tools/gpu/bundle.sh OUT TOKENIZER      TOKENIZER: a folder with InternVL3-8B-hf's
set -euo pipefail
out=${1:?usage: bundle.sh OUT TOKENIZER} tokenizer=${2:?usage: bundle.sh OUT TOKENIZER}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON312:-python3.12}" -m venv "$work/venv"
python=$work/venv/bin/python
pip() { "$python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install pyyaml
mkdir -p "$out"
"$python" "$here/models.py" "$work/internvl3-8b" "$tokenizer"
tar cSf - -C "$work" internvl3-8b | xz -T0 > "$out/model.tar.xz"

pip download --no-deps --dest "$work/wheels" vllm==0.25.1 --requirement "$here/site-cp312.txt"
pip wheel --no-deps --wheel-dir "$work/wheels" --requirement "$here/runner-cp312.txt" "$here/../.."
pip install --no-deps --no-index --target "$work/site" "$work"/wheels/*.whl
tar cf - -C "$work/site" . | xz -T0 -4 > "$out/site.tar.xz"
cp "$here/session.sh" "$here/environment.py" "$out"
du -sh "$out"
