"""A server that stays up, and what attaches to it: checks, a benchmark, and a check that is made to fail."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Started, gone, start
from tests.running import DOWN


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    run = start(tmp_path_factory.mktemp("serve"), "serve", "recipe=internvl3-tiny", "hardware=cpu", "serve.port=0")
    run.wait_for(lambda: "Ctrl-C stops it" in run.told, "server")
    yield run
    workers = psutil.Process(run.popen.pid).children(recursive=True)
    assert workers
    assert run.end(signal.SIGINT) == 0, run.told
    assert run.report["verdict"] == "passed"
    assert run.report["benchmarks"] == []
    assert run.report["teardown"] | {"files_removed": 0} == DOWN
    assert not any(process.is_running() for process in workers)
    assert gone(run.port)


def attach(folder: Path, served: Started, *words: str) -> Started:
    url = f"engine.url=http://127.0.0.1:{served.port}"
    return start(folder, "recipe=internvl3-tiny", "engine=attach", url, *words, "--json")


def test_checks_and_benchmark_against_it(served: Started, tmp_path: Path) -> None:
    run = attach(tmp_path, served, "engine.environment=cpu")
    assert run.end() == 0, run.told
    report = json.loads((tmp_path / "stdout").read_text())
    assert report["hardware"] is None
    assert report["benchmarks"][0]["metrics"]["completed"] == 50
    assert report["teardown"] == DOWN | {"port_free": None}
    assert served.popen.poll() is None


def test_what_attached_is_no_evidence(served: Started, tmp_path: Path) -> None:
    run = attach(tmp_path, served, "benchmark=none")
    assert run.end() == 0, run.told
    told = "the server was attached to, not launched; record a run that launched it"
    kept = start(tmp_path, "record", str(run.run_folder), "--to", str(tmp_path / "kept"))
    assert kept.end() == 2
    assert told in kept.told
    assert not (tmp_path / "kept").exists()


SEARCH = (
    "benchmark.capacity={uses: load_slo, slo: {median_e2el_ms: LIMIT}, highest: 64, precision: 0.5, probes: 12, "
    "requests_per_load: 8, input_len: 16, output_len: 4}"
)


def capacity(folder: Path, served: Started, limit_ms: float) -> dict[str, Any]:
    words = ("validation=none", "~benchmark.small", SEARCH.replace("LIMIT", f"{limit_ms:.1f}"))
    run = attach(folder, served, *words)
    assert run.end() == 4, run.told  # nothing judges it
    (item,) = run.report["benchmarks"]
    assert isinstance(item, dict)
    return item


def test_a_search_finds_the_load_beyond_which_its_objective_is_missed(served: Started, tmp_path: Path) -> None:
    """The objective lies between what this machine does for one at a time and for 64 at once."""
    loose = {point["load"]: point["median_e2el_ms"] for point in capacity(tmp_path / "loose", served, 60_000)["curve"]}
    assert loose[64] > 1.5 * loose[1]
    limit_ms = (loose[1] * loose[64]) ** 0.5
    found = capacity(tmp_path / "tight", served, limit_ms)
    most, curve = found["metrics"]["slo_max_concurrency"], found["curve"]
    assert 1 <= most < 64
    beyond = min(point["load"] for point in curve if not point["met"] and point["load"] > most)
    assert beyond <= max(most * 1.5, most + 1) or len(curve) == 12  # noise can use up the probes
    assert all(point["met"] == (point["median_e2el_ms"] <= round(limit_ms, 1)) for point in curve)
    assert f"concurrency {most:g} meets median E2EL ≤ " in found["detail"]
    assert f" ({beyond:g} does not); {len(curve)} probes" in found["detail"]


def test_without_vllm_here_the_benchmark_is_skipped(served: Started, tmp_path: Path) -> None:
    run = attach(tmp_path, served)
    assert run.end() == 0, run.told
    assert run.report["benchmarks"][0]["verdict"] == "skipped"


def test_a_check_that_fails_stops_no_other(served: Started, tmp_path: Path) -> None:
    run = attach(tmp_path, served, "validation.capital.expect.contains=London", "benchmark=none")
    assert run.end() == 1, run.told
    checks = {check["name"]: check for check in run.report["checks"]}
    assert checks["capital"]["detail"] == "' The capital of France is Paris.' does not contain 'London'"
    assert {name: check["verdict"] for name, check in checks.items() if name != "capital"} == dict.fromkeys(
        ("models", "capital_chat", "another_capital", "red", "blue"), "passed"
    )


def test_the_colour_is_seen_in_the_picture(served: Started, tmp_path: Path) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    run = attach(tmp_path, served, f"validation.red.image={recipes}/assets/green.png", "benchmark=none")
    assert run.end() == 1, run.told
    details = {check["name"]: check["detail"] for check in run.report["checks"]}
    assert details["red"] == "'The image is green.' does not contain 'red'"


def test_another_model_is_refused_before_anything_is_asked(served: Started, tmp_path: Path) -> None:
    run = attach(tmp_path, served, "serve.served_model_name=llama")
    assert run.end() == 2
    (error,) = json.loads((tmp_path / "stdout").read_text())["errors"]
    assert error == {
        "where": "engine.url",
        "what": f"the server at http://127.0.0.1:{served.port} serves internvl3-tiny, not llama",
        "do": "attach to another server, or say serve.served_model_name=internvl3-tiny",
    }
    assert not (tmp_path / "runs").exists()
