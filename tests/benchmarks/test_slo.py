import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.api import Bench, Client, Outcome, Target
from recipe_runner.benchmarks.slo import LoadSlo, VllmBenchSlo
from recipe_runner.serving.clientload import ClientLoad
from recipe_runner.serving.serverlog import last_line
from tests.running import SMALL, run_here

HERE = Target("127.0.0.1", 8000, None, "org/model", "org/model", ("vllm",))
SLO = {"p95_ttft_ms": 500}
ON = (*SMALL, "engine=sim", "validation=none", "benchmark=load", "benchmark.load.uses=load_slo")
Result = dict[str, Any]


def result(ttft_ms: float = 1.0, tpot_ms: float = 1.0, **more: Any) -> Result:
    """What a client saves, of requests that all took the same time."""
    times = {"p95_ttft_ms": ttft_ms, "p95_tpot_ms": tpot_ms, "median_ttft_ms": ttft_ms}
    return {"failed": 0, "total_output_tokens": 9, "output_throughput": 10.0, **times, **more}


class Typed:
    """Stands for the benchmark's command: keeps what it was asked, and saves what a server would come to."""

    def __init__(self, folder: Path, answer: Callable[[float], Result], vary: str = "max-concurrency") -> None:
        self.folder, self.answer, self.vary = folder, answer, vary
        self.asked: list[list[str]] = []
        self.logs: list[str] = []
        seeds = count(7)
        client = Client("http://127.0.0.1:1", "m", 1)
        self.bench = Bench(HERE, client, folder, self.run, last_line, lambda seed: seed + next(seeds))

    def run(self, argv: Sequence[str], log: Path) -> int:
        self.asked.append([*argv])
        self.logs.append(log.name)
        asked = {"completed": int(self.flag("num-prompts"))}
        log.with_suffix(".json").write_text(json.dumps(asked | self.answer(float(self.flag(self.vary)))))
        return 0

    def flag(self, name: str) -> str:
        return self.asked[-1][self.asked[-1].index(f"--{name}") + 1]

    def all(self, name: str) -> list[float]:
        return [float(argv[argv.index(f"--{name}") + 1]) for argv in self.asked]


def searched(client: Typed, kind: type[LoadSlo] | type[VllmBenchSlo] = VllmBenchSlo, **fields: Any) -> Outcome:
    return kind.model_validate({"uses": "x", "slo": SLO, **fields}).run("most", client.bench)


def test_the_largest_concurrency_that_meets_it(tmp_path: Path) -> None:
    client = Typed(tmp_path, lambda load: result(20 * load, tpot_ms=load))
    outcome = searched(client, slo={"p95_ttft_ms": 500, "p95_tpot_ms": 50})
    assert client.all("max-concurrency") == [1, 2, 4, 8, 16, 32, 23, 27, 25, 25]
    assert client.all("num-prompts") == [20, 20, 40, 80, 160, 320, 230, 270, 250, 250]
    assert client.all("seed") == [*range(7, 17)]
    assert client.logs == [f"most.probe{number}.log" for number in range(1, 11)]
    said = (tmp_path / "most.log").read_text().splitlines()
    assert said[0] == "probe 1: concurrency 1: met; 20 requests, 10.00 tok/s out, median TTFT 20.0 ms"
    assert said[5] == "probe 6: concurrency 32: p95 TTFT was 640.0 ms"
    assert len(said) == 10
    assert (outcome.verdict, outcome.detail) == (
        "measured",
        "concurrency 25 meets p95 TTFT ≤ 500 ms and p95 TPOT ≤ 50 ms (27 does not); 10 probes",
    )
    assert outcome.metrics.items() >= {"slo_max_concurrency": 25, "completed": 250, "p95_ttft_ms": 500}.items()
    assert [(point["load"], point["met"]) for point in outcome.curve] == [
        *((1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (23, 1), (25, 1), (25, 1), (27, 0), (32, 0)),
    ]
    assert outcome.curve[0].items() >= {"completed": 20, "output_throughput": 10, "p95_ttft_ms": 20}.items()


def test_the_largest_rate_that_meets_it(tmp_path: Path) -> None:
    client = Typed(tmp_path, lambda load: result(200 * load), "request-rate")
    outcome = searched(client, vary="request_rate", lowest=0.5, max_concurrency=64)
    assert client.all("request-rate") == [0.5, 1, 2, 4, 2.828, 2.378, 2.593, 2.378]
    assert client.all("num-prompts") == [30, 60, 120, 240, 170, 143, 156, 143]
    assert client.all("max-concurrency") == [64] * 8
    assert outcome.detail == "2.378 requests/s meets p95 TTFT ≤ 500 ms (2.593 does not); 8 probes"
    assert outcome.metrics["slo_request_rate"] == 2.378


def test_the_client_of_ours_searches_as_well(tmp_path: Path) -> None:
    client = Typed(tmp_path, lambda load: result(100 * load))
    outcome = searched(client, LoadSlo, input_len=8, num_prompts=30, requests_per_load=2)
    assert client.all("max-concurrency") == [1, 2, 4, 8, 6, 5, 5]
    assert client.all("num-prompts") == [30] * 7
    assert client.all("input-len") == [8] * 7
    assert outcome.detail == (
        "concurrency 5 meets p95 TTFT ≤ 500 ms (6 does not); 7 probes; measured by recipe-runner's own client"
    )


@pytest.mark.parametrize(
    ("answers", "fields", "verdict", "detail"),
    [
        (
            {},
            {"highest": 4},
            "measured",
            "at least concurrency 4 meets p95 TTFT ≤ 500 ms (4 is the most that was tried); 4 probes",
        ),
        (
            {2: [600.0]},
            {"highest": 2},
            "measured",
            "concurrency 1 meets p95 TTFT ≤ 500 ms (2 does not); 3 probes",
        ),
        (
            {1: [600.0]},
            {"highest": 2},
            "measured",
            "at least concurrency 2 meets p95 TTFT ≤ 500 ms (2 is the most that was tried); 4 probes",
        ),
        (
            {1: [700.0, 600.0]},
            {},
            "failed",
            "not even concurrency 1 meets p95 TTFT ≤ 500 ms: p95 TTFT was 600.0 ms",
        ),
        (
            {4: [1.0, 600.0]},
            {"highest": 4},
            "measured",
            "concurrency 3 meets p95 TTFT ≤ 500 ms (4 does not); 6 probes; 4 met it once, but not twice",
        ),
        (
            {4: [1.0, 600.0]},
            {"highest": 4, "probes": 4},
            "inconclusive",
            "concurrency 2 meets p95 TTFT ≤ 500 ms (4 does not); 4 probes; 4 met it once, but not twice; "
            "no probe was left to measure it again",
        ),
        (
            {},
            {"probes": 3},
            "measured",
            "at least concurrency 2 meets p95 TTFT ≤ 500 ms (2 is the most that was tried); 3 probes",
        ),
    ],
)
def test_what_a_search_comes_to(
    tmp_path: Path, answers: dict[float, list[float]], fields: dict[str, Any], verdict: str, detail: str
) -> None:
    client = Typed(tmp_path, lambda load: result(answers[load].pop(0) if answers.get(load) else 1.0))
    outcome = searched(client, **fields)
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    assert len(outcome.curve) == len(client.asked)
    assert ("slo_max_concurrency" in outcome.metrics) == (verdict != "failed")


def refusing(errors: Sequence[str], completed: int = 10) -> Callable[[float], Result]:
    """A server that does well with one request at a time, and else fails some."""
    broken = {"completed": completed, "failed": len(errors), "errors": ["", *errors]}
    return lambda load: result(**broken if load > 1 else {})


@pytest.mark.parametrize(
    ("answer", "verdict", "detail"),
    [
        (
            refusing(["Too Many Requests", "aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected\n"]),
            "measured",
            "concurrency 1 meets p95 TTFT ≤ 500 ms (2 does not); 3 probes",
        ),
        (
            refusing(["ValueError: status 503: busy"]),
            "measured",
            "concurrency 1 meets p95 TTFT ≤ 500 ms (2 does not); 3 probes",
        ),
        (
            refusing(["Service Unavailable", "Internal Server Error"]),
            "failed",
            "at concurrency 2: 2 of 20 requests failed, 1 with 'Internal Server Error'; "
            "the server refused or dropped 1 of them",
        ),
        (
            refusing(["ConnectError: refused"], completed=0),
            "failed",
            "at concurrency 2: 1 of 20 requests failed; the server refused or dropped 1 of them",
        ),
        (refusing([], completed=3), "failed", "at concurrency 2: only 3 of 20 requests were completed"),
        (
            lambda load: result() if load == 1 else {"total_output_tokens": 5},
            "failed",
            "at concurrency 2: p95 TTFT was not measured",
        ),
    ],
)
def test_requests_that_fail(tmp_path: Path, answer: Callable[[float], Result], verdict: str, detail: str) -> None:
    outcome = searched(Typed(tmp_path, answer))
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    assert outcome.curve[0].items() >= {"load": 1, "met": 1}.items()


def test_a_server_that_refuses_even_at_the_lowest(tmp_path: Path) -> None:
    refused = result(completed=19, failed=1, errors=["status 429: no"])
    outcome = searched(Typed(tmp_path, lambda load: refused))
    assert outcome.verdict == "failed"
    assert outcome.detail == (
        "not even concurrency 1 meets p95 TTFT ≤ 500 ms: "
        "1 of 20 requests failed; the server refused or dropped 1 of them"
    )


def test_without_vllm_it_is_skipped(tmp_path: Path) -> None:
    client = Typed(tmp_path, lambda load: result())
    nowhere = Bench(
        HERE.__class__("h", 1, None, "m", "m", None), client.bench.server, tmp_path, client.run, last_line, int
    )
    outcome = VllmBenchSlo.model_validate({"uses": "vllm_bench_slo", "slo": SLO}).run("most", nowhere)
    assert (outcome.verdict, outcome.detail) == ("skipped", "no vllm command here to measure with")


def test_the_command_of_its_first_probe_is_the_one_that_a_person_could_type() -> None:
    fields = {"uses": "vllm_bench_slo", "slo": SLO, "max_concurrency": 9, "seed": 3, "repeat": 2, "lowest": 2}
    search = VllmBenchSlo.model_validate(fields)
    where = "vllm bench serve --host 127.0.0.1 --port 8000 --model org/model --dataset-name random"
    assert " ".join(search.argv(HERE)) == f"{where} --max-concurrency 2 --num-prompts 20 --seed 3"
    assert search.appended("most")[-1] == "most.probe1.json"


NAMES = ", ".join(
    sorted(f"{s}_{of}_ms" for s in ("mean", "median", "p90", "p95", "p99") for of in ("ttft", "tpot", "itl", "e2el"))
)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (
            [],
            "benchmark.load.slo (conf/benchmark/load.yaml:2) — this is missing; write benchmark.load.slo=… or put it "
            "into the recipe",
        ),
        (
            ["benchmark.load.slo={}"],
            "benchmark.load.slo — {} does not fit here; name a metric and the most that it may be, as in "
            "{p95_ttft_ms: 500}",
        ),
        (
            ["benchmark.load.slo={p95_tft_ms: 500}"],
            "benchmark.load.slo — {'p95_tft_ms': 500} does not fit here; there is no metric p95_tft_ms; "
            f"did you mean p95_ttft_ms? There are: {NAMES}",
        ),
        (
            ["benchmark.load.slo={p95_ttft_ms: 0}"],
            "benchmark.load.slo.p95_ttft_ms — 0 does not fit here; it should be greater than 0",
        ),
        (
            ["benchmark.load.slo={p95_ttft_ms: 5}", "benchmark.load.lowest=1.5"],
            "benchmark.load.lowest — 1.5 does not fit here; max_concurrency is a whole number",
        ),
        (
            ["benchmark.load.slo={p95_ttft_ms: 5}", "benchmark.load.lowest=9", "benchmark.load.highest=8"],
            "benchmark.load.highest — 8 does not fit here; it should not be less than lowest",
        ),
        (
            ["benchmark.load.slo={p95_ttft_ms: 5}", "benchmark.load.vary=request_rate"],
            "benchmark.load.vary — 'request_rate' does not fit here; it should be 'max_concurrency'",
        ),
    ],
)
def test_what_is_refused(cli: Callable[..., Any], words: list[str], refusal: str) -> None:
    assert cli("plan", *ON, *words).refusal == [refusal]


def test_when_each_probe_was_under_way_is_told(tmp_path: Path) -> None:
    """Those that missed, too: they set the boundary."""

    def answer(load: float) -> Result:
        arrays = {"output_lens": [3], "ttfts": [0.4 * load], "itls": [[0.1, 0.1]], "start_times": [100 * load]}
        return result(400 * load) | arrays

    outcome = searched(Typed(tmp_path, answer))
    assert [point["load"] for point in outcome.curve] == [1, 1, 2]
    assert outcome.spans == [pytest.approx(span) for span in ((100, 100.6), (200, 201), (100, 100.6))]


@pytest.mark.parametrize(("slo", "detail"), [(120, "concurrency 8 meets"), (1, "not even concurrency 4 meets")])
def test_a_probe_that_the_client_limited_makes_the_search_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slo: int, detail: str
) -> None:
    """Whether its load met the service level, or missed it."""
    busy = iter((0.2, 0.97, 0.3, 0.1))
    monkeypatch.setattr(ClientLoad, "busiest", lambda *_: next(busy))
    pace = ("engine.ttft_ms=40", "engine.capacity=4", "benchmark.load.highest=16", "benchmark.load.precision=1")
    asked = (
        f"benchmark.load.slo={{p95_ttft_ms: {slo}}}",
        "benchmark.load.output_len=2",
        "benchmark.load.num_prompts=5",
    )
    code, folder = run_here(
        tmp_path, *ON, *pace, *asked, "benchmark.load.lowest=4", "benchmark.load.requests_per_load=4"
    )
    (item,) = folder.report["benchmarks"]
    (one,) = item["measurements"]
    doubt = "the client took 97% of a core, so the figures may be its own limit"
    assert (code, item["verdict"], one["counted"]) == (4, "inconclusive", True)
    assert (one["client_cpu"], one["doubts"]) == (0.97, [doubt])
    assert item["detail"].startswith(detail)
    assert item["detail"].endswith(f"; {doubt}")


def test_a_search_on_a_server_that_gets_slower(tmp_path: Path) -> None:
    """Four at once take 40 ms to the first token, sixteen 160 ms."""
    pace = ("engine.ttft_ms=40", "engine.capacity=4", "benchmark.load.highest=16", "benchmark.load.precision=1")
    asked = ("benchmark.load.slo={p95_ttft_ms: 120}", "benchmark.load.output_len=2", "benchmark.load.num_prompts=5")
    code, folder = run_here(
        tmp_path, *ON, *pace, *asked, "benchmark.load.lowest=4", "benchmark.load.requests_per_load=4"
    )
    (item,) = folder.report["benchmarks"]
    assert (code, item["verdict"], item["uses"]) == (4, "measured", "load_slo")
    assert item["metrics"]["slo_max_concurrency"] == 8
    assert [(point["load"], point["met"]) for point in item["curve"]] == [(4, 1), (8, 1), (8, 1), (16, 0)]
    assert item["curve"][-1]["p95_ttft_ms"] > 120
    assert item["measurements"][0]["doubts"] == []
    assert item["detail"] == (
        "concurrency 8 meets p95 TTFT ≤ 120 ms (16 does not); 4 probes; measured by recipe-runner's own client"
    )
    folder.assert_nothing_left()
