"""The table of a sweep: its columns, and which figure is the best."""

from typing import Any

from recipe_runner.figures.best import UNKNOWN
from recipe_runner.figures.points import columns, statements


def point(number: int, value: Any, *benchmarks: tuple[str, str, dict[str, float]]) -> dict[str, Any]:
    items = [
        {
            "name": name,
            "verdict": verdict,
            "metrics": metrics,
            "noise": {key: {"half_width_percent": 5} for key in metrics},
        }
        for name, verdict, metrics in benchmarks
    ]
    report = {"benchmarks": items} if benchmarks else None
    verdict = "passed" if benchmarks else None
    return {"number": number, "overrides": {"a.b": value}, "verdict": verdict, "report": report, "errors": []}


def table(*points: dict[str, Any]) -> dict[str, list[str]]:
    return dict(columns({"axes": {"a.b": []}, "points": points}))


def test_more_throughput_is_better_and_less_time() -> None:
    found = table(
        point(0, 1, ("x", "measured", {"output_throughput": 1000.0, "median_ttft_ms": 3.0})),
        point(1, 2, ("x", "passed", {"output_throughput": 20.5, "median_ttft_ms": 2.0, "median_tpot_ms": 7.0})),
    )
    assert found == {
        "point": ["000", "001"],
        "a.b": ["1", "2"],
        "verdict": ["passed", "passed"],
        "output tok/s": ["1,000.00 *", "   20.50  "],
        "median TTFT ms": ["3.00  ", "2.00 *"],
        "median TPOT ms": ["      ", "7.00  "],
    }


def test_a_figure_of_a_benchmark_that_failed_is_no_figure() -> None:
    found = table(
        point(0, 1, ("x", "failed", {"output_throughput": 9000.0})),
        point(1, 2, ("x", "measured", {"output_throughput": 2.0})),
        point(2, 3, ("x", "inconclusive", {"output_throughput": 3.0})),
    )
    assert found["output tok/s"] == ["      ", "2.00  ", "3.00 *"]


def test_a_figure_in_doubt_is_shown_and_never_the_best() -> None:
    doubted = point(0, 1, ("x", "inconclusive", {"output_throughput": 9.0}))
    doubted["report"]["benchmarks"][0]["measurements"] = [{"counted": True, "doubts": ["the client was busy"]}]
    others = (point(number, number, ("x", "measured", {"output_throughput": number})) for number in (1, 2))
    assert table(doubted, *others)["output tok/s"] == ["9.00  ", "1.00  ", "2.00 *"]


def test_what_is_better_within_noise_or_was_measured_once_is_not_the_best() -> None:
    figures = [("x", "measured", {"output_throughput": rate}) for rate in (100.0, 109.0)]
    noisy = [point(number, number, one) for number, one in enumerate(figures)]
    assert table(*noisy)["output tok/s"] == ["100.00  ", "109.00  "]
    assert list(statements({"axes": {"a.b": []}, "points": noisy})) == [
        "two figures are told apart where they differ by more than 10.3 % (output tok/s)"
    ]
    once = [point(number, number, ("x", "measured", {"output_throughput": 10.0**number})) for number in (1, 2)]
    for one in once:
        one["report"]["benchmarks"][0]["noise"] = {}
    assert table(*once)["output tok/s"] == [" 10.00  ", "100.00  "]
    assert list(statements({"axes": {"a.b": []}, "points": once})) == [UNKNOWN]


def test_what_a_search_found_comes_first() -> None:
    found = {"output_throughput": 5.0, "slo_max_concurrency": 8.0, "slo_request_rate": 1.5}
    assert [*table(point(0, 1, ("x", "measured", found)))][3:] == [
        *("concurrency within SLO", "req/s within SLO", "output tok/s")
    ]


def test_equal_figures_have_no_best() -> None:
    figures = ("x", "measured", {"output_throughput": 2.0})
    assert table(point(0, 1, figures), point(1, 2, figures))["output tok/s"] == ["2.00  ", "2.00  "]


def test_several_benchmarks_have_columns_of_their_own() -> None:
    one, other = (("one", "measured", {"output_throughput": 1.0}), ("other", "measured", {"output_throughput": 2.0}))
    found = table(point(0, 1, one, other), point(1, 2, other))
    assert found["one: output tok/s"] == ["1.00  ", "      "]
    assert found["other: output tok/s"] == ["2.00  ", "2.00  "]


def test_points_without_a_report_and_values_that_are_no_text() -> None:
    refused = point(1, {"image": 4}) | {"errors": [{"where": "leases", "what": "taken", "do": "wait"}]}
    assert table(point(0, None), refused, point(2, "a\x1b[2J")) == {
        "point": ["000", "001", "002"],
        "a.b": ["null", '{"image":4}', "a\\x1b[2J"],
        "verdict": ["not run", "cannot begin", "not run"],
    }
