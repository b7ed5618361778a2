"""`compare` at the command line: what it prints, word for word, and its exit codes."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipe_runner.verbs.compare import COLOURS, EXITS
from tests.conftest import Answer
from tests.figures.test_runs import STEADY, benchmark, report, save, save_sweep

Cli = Callable[..., Answer]
SLOW = [0.8 * rate for rate in STEADY]
DO = "name a run folder, its report.json, a sweep's folder or a recorded evidence file"


def plain(text: str) -> list[str]:
    """The lines, without the frames of tables and with one space between words."""
    lines = [" ".join(re.sub("[│┃]", " ", line).split()) for line in text.splitlines()]
    return [line for line in lines if not set(line) <= set("┏━┳┓┡╇┩└─┴┘")]


def test_what_got_slower_is_told_and_exits_with_1(cli: Cli) -> None:
    b = report(benchmark(SLOW), checks={"capital": "failed"}, verdict="failed", simulated=True)
    b["overrides"] = {"serve.max_num_seqs": 4}
    b["environment"] = {**b["environment"], "git_commit": "0123456789abcdef" * 2 + "01234567"}
    save("a", report(benchmark(), checks={"capital": "passed"}, simulated=True))
    save("b", b)
    answer = cli("compare", "a", "b")
    assert (answer.code, answer.stderr) == (1, "")
    assert plain(answer.stdout) == [
        "A a passed (simulated)",
        "B b failed (simulated)",
        "configuration",
        "key A B",
        "serve.max_num_seqs 8 4",
        "git_commit — 0123456789ab",
        "check capital: passed in A, failed in B",
        "small",
        "metric A B change interval would be seen verdict",
        "output_throughput 100.00 80.00 -20.0 % -21.4 … -18.6 % 2.7 % slower",
        "median_tpot_ms 10.00 12.50 +25.0 % +22.9 … +27.1 % 3.5 % slower",
        "regression: check capital passed → failed; small output_throughput -20.0 %; small median_tpot_ms +25.0 %",
    ]


def test_what_did_not_get_slower_exits_with_0(cli: Cli) -> None:
    for name in ("a", "same"):
        save(name, report(benchmark()))
    save("b", report(benchmark(SLOW)))
    same = plain(cli("compare", "a", "same").page)
    assert same[2] == "configuration: the same"
    assert same[5] == "output_throughput 100.00 100.00 +0.0 % -1.7 … +1.8 % 2.7 % no difference seen"
    assert same[-1] == "no regression; a difference of 2.7 to 3.5 % would have been seen 9 times in 10"
    faster = plain(cli("compare", "b", "a").page)
    assert faster[5] == "output_throughput 80.00 100.00 +25.0 % +22.8 … +27.2 % 2.7 % faster"
    seen = same[-1].removeprefix("no regression")
    assert faster[-1] == f"no regression; 2 metrics are better{seen}"
    one = plain(cli("compare", "b", "a", "--metric", "output_throughput").page)
    assert one[-1].startswith("no regression; 1 metric is better; a difference of ")
    small = plain(cli("compare", "a", "b", "--min-change", "30%").page)
    assert small[5].endswith("slower")
    assert small[-1] == same[-1]


def test_a_metric_of_ones_own(cli: Cli) -> None:
    save("a", report(benchmark()))
    save("b", report(benchmark(SLOW)))
    answer = cli("compare", "a", "b", "--metric", "median_tpot_ms")
    assert plain(answer.stdout)[-1] == "regression: small median_tpot_ms +25.0 %"
    assert "output_throughput" not in answer.stdout
    assert cli("compare", "a", "b", "--metric", "x").refusal == [
        "--metric — no benchmark has x in both; choose one of: median_tpot_ms, output_throughput"
    ]


def test_too_few_repeats_exit_with_4(cli: Cli) -> None:
    for name in ("a", "b"):
        save(name, report(benchmark(STEADY[:2])))
    answer = cli("compare", "a", "b")
    assert (answer.code, answer.stderr) == (4, "")
    assert plain(answer.stdout)[-3:] == [
        "output_throughput 100.50 100.50 +0.0 % — — too few repeats",
        "median_tpot_ms 9.95 9.95 +0.0 % — — too few repeats",
        "nothing judged; measure each at least three times: benchmark.NAME.repeat=5",
    ]


def test_what_speaks_against_a_verdict_is_said_loudly(cli: Cli) -> None:
    save("a", report(benchmark()))
    save("b", report(benchmark(doubts=["somebody else\x1b[2J used the server"]), simulated=True))
    answer = cli("compare", "a", "b")
    assert answer.code == 4
    assert plain(answer.stdout)[5:] == [
        "small is not judged: B is simulated, and A is real",
        "small is not judged: B is in doubt: somebody else\\x1b[2J used the server",
        "small",
        "metric A B change interval would be seen verdict",
        "output_throughput 100.00 100.00 +0.0 % — — not judged",
        "median_tpot_ms 10.00 10.00 +0.0 % — — not judged",
        "nothing judged; what speaks against it stands above",
    ]


def test_a_rate_of_0_exits_with_1_and_a_time_of_0_with_4(cli: Cli) -> None:
    def without(metric: str) -> dict[str, Any]:
        item = benchmark()
        for one in item["measurements"]:
            one["metrics"][metric] = 0.0
        item["metrics"][metric] = 0.0
        return report(item)

    save("a", report(benchmark()))
    save("rate", without("output_throughput"))
    save("time", without("median_tpot_ms"))
    gone = cli("compare", "a", "rate")
    assert gone.code == 1
    assert plain(gone.stdout)[5] == "output_throughput 100.00 0.00 -100.0 % — — fell to 0"
    assert plain(gone.stdout)[-1] == "regression: small output_throughput -100.0 %"
    silent = cli("compare", "a", "time")
    assert silent.code == 4
    assert plain(silent.stdout)[6] == "median_tpot_ms 10.00 0.00 -100.0 % — — not judged: 0 in B"
    assert plain(silent.stdout)[-1] == "not all judged: 0 in B, and not in A: small median_tpot_ms"


def test_nothing_in_common_exits_with_4(cli: Cli) -> None:
    save("a", report(benchmark(), processes=None))
    save("b", report())
    answer = cli("compare", "a", "b")
    assert answer.code == 4
    told = plain(answer.stdout)
    assert told[2:4] == [
        "note: A does not say with which flags its server was started: an earlier release wrote it",
        "note: only in A: benchmark small",
    ]
    assert told[-1] == "nothing judged; they have no benchmark in common"


def test_a_benchmark_that_broke_has_no_figures(cli: Cli) -> None:
    save("a", report(benchmark()))
    save("b", report(benchmark((), verdict="failed"), verdict="failed"))
    answer = cli("compare", "a", "b")
    assert answer.code == 1
    assert plain(answer.stdout)[3:] == [
        "benchmark small: measured in A, failed in B",
        "small: no figures in both; measured in A, failed in B",
        "regression: benchmark small measured → failed",
    ]


def test_a_benchmark_with_other_metrics_says_which_were_looked_for(cli: Cli) -> None:
    item = benchmark() | {"metrics": {"p95_ttft_ms": 8.0, "completed": 5.0}, "measurements": []}
    for name in ("a", "b"):
        save(name, report(item))
    answer = cli("compare", "a", "b")
    assert answer.code == 4
    looked_for = "slo_max_concurrency, slo_request_rate, output_throughput, median_ttft_ms, median_tpot_ms"
    assert plain(answer.stdout)[3:] == [
        f"small: {looked_for}: none of these is in both; --metric NAME takes others: p95_ttft_ms; "
        "measured in A, measured in B",
        "nothing judged; no metric that was looked for is in both",
    ]


def test_sweeps_are_compared_point_by_point(cli: Cli) -> None:
    one, other = report(benchmark()), report(benchmark(SLOW))
    save_sweep("before", {1: one, 2: one, 4: one, 8: None})
    save_sweep("after", {1: one, 2: {**other, "choices": {"recipe": "x", "hardware": "cpu"}}, 8: one})
    answer = cli("compare", "before", "after")
    assert answer.code == 1
    row = "output_throughput 100.00 {} % … … … … {}"
    assert [re.sub(r"[+-]\d+\.\d … .*?% \d\.\d %", "… … … …", line) for line in plain(answer.stdout)] == [
        "A before a sweep of 4 points",
        "B after a sweep of 3 points",
        "note: only in A: parallelism.tp=4",
        "note: A has no report of parallelism.tp=8",
        "configuration: the same",
        "parallelism.tp=1",
        "small",
        "metric A B change interval would be seen verdict",
        row.format("100.00 +0.0", "no difference seen"),
        "median_tpot_ms 10.00 10.00 +0.0 % … … … … no difference seen",
        "parallelism.tp=2",
        "configuration",
        "key A B",
        "recipe mine x",
        "small",
        "metric A B change interval would be seen verdict",
        row.format("80.00 -20.0", "slower"),
        "median_tpot_ms 10.00 12.50 +25.0 % … … … … slower",
        "regression: parallelism.tp=2: small output_throughput -20.0 %; parallelism.tp=2: small median_tpot_ms +25.0 %",
    ]


def test_the_newest_run_of_a_folder_is_named(cli: Cli) -> None:
    save("runs/mine/cpu/20260101T000000Z-aaaa", report(benchmark()))
    save("runs/mine/cpu/20260102T000000Z-bbbb", report(benchmark()))
    told = plain(cli("compare", "runs/mine/cpu/20260101T000000Z-aaaa", "runs/mine/cpu").page)
    assert told[:2] == [
        "A runs/mine/cpu/20260101T000000Z-aaaa passed",
        "B runs/mine/cpu/20260102T000000Z-bbbb passed the newest of 2 in runs/mine/cpu",
    ]


def test_json_is_one_document(cli: Cli) -> None:
    save("a", report(benchmark()))
    save("b", report(benchmark(SLOW), overrides={}))
    answer = cli("compare", "a", "b", "--json", "--min-change", "2.5", "--metric", "output_throughput")
    document = json.loads(answer.stdout)
    (change,) = document["benchmarks"][0].pop("metrics")
    assert (answer.code, document) == (
        1,
        {
            "format": 1,
            "a": {"path": "a", "note": "", "runs": [{"point": "", "verdict": "passed", "simulated": False}]},
            "b": {"path": "b", "note": "", "runs": [{"point": "", "verdict": "passed", "simulated": False}]},
            "alpha": 0.01,
            "min_change_percent": 2.5,
            "notes": [],
            "configuration": [{"point": "", "key": "serve.max_num_seqs", "a": "8", "b": None}],
            "turned": [],
            "benchmarks": [
                {
                    **{"point": "", "name": "small", "a": "measured", "b": "measured", "not_judged": []},
                    "others": ["median_tpot_ms"],
                }
            ],
            "looked_for": ["output_throughput"],
            "verdict": "regression",
        },
    )
    kinds: dict[str, Any] = dict.fromkeys(("a", "b", "percent", "low_percent", "high_percent", "p"), float)
    kinds |= {"level": float, "smallest_percent": float, "metric": str, "verdict": str, "regression": bool}
    assert {key: type(value) for key, value in change.items()} == kinds
    assert (change["verdict"], change["regression"]) == ("slower", True)


def test_everything_that_is_wrong_with_both_is_said_at_once(cli: Cli) -> None:
    Path("b").mkdir()
    told = [
        f"a — there is no such file or folder; {DO}",
        f"b — there is no run in it, nor right below it; {DO}",
    ]
    assert cli("compare", "a", "b").refusal == told
    assert cli("compare", "a", "a").refusal == told[:1]
    answer = cli("compare", "a", "a", "--json")
    where, what, do = re.split(" — |; ", told[0])
    expected = {"format": 1, "errors": [{"where": where, "what": what, "do": do}]}
    assert (answer.code, json.loads(answer.stdout)) == (2, expected)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("r/1", "r/1", "r/1 — A and B are the same run"),
        ("r/2", "r/2/report.json", "r/2 — A and B are the same run"),
        ("r", "r", "r/2 — A and B are the same run"),
        ("link/1", "r/1", "link/1 — A and B are the same run"),
        ("sweep", "sweep/sweep.json", "sweep — A and B are the same sweep"),
    ],
)
def test_a_run_is_not_compared_with_itself(cli: Cli, a: str, b: str, said: str) -> None:
    for name in ("1", "2"):
        save(f"r/{name}", report(benchmark()))
    Path("link").symlink_to("r")
    save_sweep("sweep", {1: report(benchmark())})
    assert cli("compare", a, b).refusal == [f"{said}; name two: A is before, B is after"]


def test_wrong_words(cli: Cli) -> None:
    see = "see recipe-run compare --help"
    assert cli("compare").refusal == [
        f"recipe-run compare — the following arguments are required: A, B; {see}",
    ]
    for wrong in ("-1", "x", "nan", "inf"):
        assert cli("compare", "a", "b", f"--min-change={wrong}").refusal == [
            f"recipe-run compare — argument --min-change: invalid percentage value: '{wrong}'; {see}"
        ]


def test_without_scipy_it_says_so_before_anything_else(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert cli("compare", "nowhere", "nowhere").refusal == [
        "compare — scipy is not installed, and it is what tells a difference from noise; "
        "pip install 'recipe-runner[analysis]'"
    ]


def test_colour_only_on_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    save("a", report(benchmark()))
    save("b", report(benchmark(SLOW)))
    assert "\x1b[" not in cli("compare", "a", "b").stdout
    for name, value in (("TERM", "xterm"), ("COLUMNS", "200")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("_pytest.capture.EncodedFile.isatty", lambda _: True, raising=False)
    monkeypatch.setattr("_pytest.capture.CaptureIO.isatty", lambda _: True, raising=False)
    assert "\x1b[1;31mregression: " in cli("compare", "a", "b").stdout


def test_every_verdict_has_its_exit_code_and_colour() -> None:
    assert EXITS == {"no regression": 0, "regression": 1, "nothing judged": 4, "not all judged": 4}
    assert set(EXITS) < set(COLOURS)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    from recipe_runner.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["compare", "--help"])
    assert caught.value.code == 0
    page = capsys.readouterr().out
    assert "usage: recipe-run compare" in page
    for taught in (
        "A is before, B is after. Each is a run folder, its report.json, a sweep's folder",
        "Chance alone shows one in less than 1 of 100 comparisons",
        "benchmark.NAME.repeat=5",
        "2 bad input · 4 nothing could be judged: too few repeats, nothing in common; or a metric of A is 0 in B",
    ):
        assert taught in page
