"""Scripts of `tools/` that need machines which tests do not have: as much of them as runs anywhere."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe_runner.model.weights import ModelFacts, of_folder
from tests.model.test_architecture_facts import LOGS

ROOT = Path(__file__).resolve().parent.parent
GPU = ROOT / "tools" / "gpu"
SCRIPTS = sorted((ROOT / "tools").rglob("*.sh"))


def python(*words: str | Path) -> str:
    argv = [sys.executable, *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_bash_accepts_a_script(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_sitting_refuses_a_step_that_it_does_not_know(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "WORK": str(tmp_path)}
    argv = ["bash", GPU / "session.sh", "60", "graph"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (2, "no step graph; usage: session.sh BUDGET_S STEP…\n")


def test_a_sitting_wants_gpus(tmp_path: Path) -> None:
    env = {"PATH": "/nowhere", "WORK": str(tmp_path)}
    argv = ["/bin/bash", GPU / "session.sh", "60", "graphs"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "no nvidia-smi here: session.sh measures on a GPU host",
    )


def test_the_model_s_folder_has_the_configuration_that_was_measured(tmp_path: Path) -> None:
    tokenizer, out = tmp_path / "tokenizer", tmp_path / "model"
    tokenizer.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (tokenizer / name).write_text('{"of": "the tokenizer"}')
    python(GPU / "models.py", out, tokenizer)
    facts = of_folder(out)
    assert isinstance(facts, ModelFacts)
    assert facts.parameters == {"BF16": 7_944_373_760}
    assert (out / "model.safetensors").stat().st_blocks * 512 < 1_000_000
    written = {file.name: json.loads(file.read_text()) for file in out.glob("*.json")}
    assert set(written) == {"config.json", "processor_config.json", "tokenizer.json"}
    log = yaml.safe_load((LOGS / "internvl3-8b-h200-recipe-graphs-2.yaml").read_text())
    measured, now = flat(log["config"]), flat(written["config.json"])
    assert {path: value for path, value in measured.items() if now.get(path) != value} == {
        "tie_word_embeddings": False,  # not in the checkpoint's file: said by serve.hf_overrides
        "text_config.max_window_layers": 70,  # without a meaning where no window slides
        "vision_config.architectures": ["InternVisionModel"],  # nobody reads it
    }
    processors = written["processor_config.json"]
    assert processors["image_seq_length"] == 256
    assert processors["image_processor"]["size"] == {"height": 448, "width": 448}


def flat(config: dict[str, Any], at: str = "") -> dict[str, Any]:
    nested = {key: flat(value, f"{at}{key}.") for key, value in config.items() if isinstance(value, dict)}
    plain = {f"{at}{key}": value for key, value in config.items() if key not in nested}
    return plain | {path: value for inner in nested.values() for path, value in inner.items()}


def test_first_tokens_are_told_by_waves_and_the_gpu_by_measurement(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "eager" / "internvl3" / "h200x1" / "ID"
    folder.mkdir(parents=True)
    event = {"event": "measurement", "name": "guide.1", "at": "2026-11-23T23:00:10+00:00", "seconds": 5, "seed": 1}
    cut_off = {**event, "name": "guide.2", "metrics": {}}
    events = [{"event": "phase"}, {**event, "metrics": {"completed": 4}}, cut_off]
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    detail = {"start_times": [3.0, 1.0, 1.01, 3.02], "ttfts": [0.07, 0.2, 0.1, 0.3], "max_concurrency": 2}
    (folder / "guide.1.json").write_text(json.dumps(detail))
    rows = [("04.0", 1, 99), ("06.0", 8, 0), ("07.0", 8, 30), ("08.0", 9, 40), ("09.0", 8, 50), ("11.0", 1, 99)]
    csv = [f"2026/11/23 23:00:{at}00, 0, {used} MiB, {busy} %" for at, used, busy in rows]
    (tmp_path / "eager.smi.csv").write_text("\n".join([*csv, "2026/11"]))
    assert json.loads(python(GPU / "figures.py", tmp_path)) == {
        "eager": {
            "most_used_mib": 9,
            "measurements": {
                "guide.1": {
                    "seed": 1,
                    "gpu_busy_percent_mean": 40.0,
                    "gpu_busy_percent_quartiles": [30, 40, 50],
                    "gpu_samples": 3,
                    "waves": [
                        {"sent_ms": [0, 10], "ttft_ms": [200, 100], "first_tokens_at_ms": [110, 200]},
                        {"sent_ms": [0, 20], "ttft_ms": [70, 300], "first_tokens_at_ms": [70, 320]},
                    ],
                }
            },
        }
    }
