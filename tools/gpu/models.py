"""Writes a folder of InternVL3-8B whose weights are a hole of their size, for `serve.load_format=dummy`.

    models.py OUT TOKENIZER

The configuration is the one that recipes/internvl3.yaml has as facts; the processors are those of internvl3-tiny, in
this model's sizes; the tokenizer is copied from the folder TOKENIZER, which should have OpenGVLab/InternVL3-8B-hf's.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import yaml

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TOKENIZER = ("tokenizer*", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template*")


def hole(file: Path, parameters: int) -> None:
    """A safetensors file as long as the real ones together, which takes no room on the disk."""
    size = 2 * parameters
    header = json.dumps({"all": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, size]}}).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        out.truncate(out.tell() + size)


def main() -> None:
    out, tokenizer = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    facts = yaml.safe_load((RECIPES / "internvl3.yaml").read_text(encoding="utf-8"))["model"]["facts"]
    config = {key: value for key, value in facts["config"].items() if value is not None}
    processors = json.loads((RECIPES / "assets" / "internvl3-tiny" / "processor_config.json").read_text())
    processors["image_seq_length"] = config["image_seq_length"]
    for part in ("image_processor", "video_processor"):
        processors[part]["size"] = dict(zip(("height", "width"), config["vision_config"]["image_size"], strict=True))
    processors["image_processor"]["max_patches"] = 12
    for file, document in {"config.json": config, "processor_config.json": processors}.items():
        (out / file).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    hole(out / "model.safetensors", facts["parameters"]["BF16"])
    for pattern in TOKENIZER:
        for file in sorted(tokenizer.glob(pattern)):
            shutil.copy(file, out)


if __name__ == "__main__":
    main()
