"""What is drawn of a run, and how a drawing fits into a page."""

import re
import warnings
from typing import Any

import pytest

from recipe_runner.reports.drawing import label, svg
from recipe_runner.reports.plots import of_benchmark, of_phases
from tests.reports.documents import GUIDE, SEARCH, measurement


def titles(**changed: Any) -> list[str]:
    return [plot.title for plot in of_benchmark(GUIDE | changed)]


def test_what_there_is_to_see_of_a_benchmark() -> None:
    assert titles() == [
        "output_throughput of each measurement",
        *(f"Distribution of {name}" for name in ("ttft_ms", "tpot_ms", "itl_ms")),
    ]
    assert [plot.title for plot in of_benchmark(SEARCH)] == [
        *(f"{name} against load" for name in ("output_throughput", "p95_ttft_ms"))
    ]
    more = [point | {"duration": 9.0, "mean_ttft_ms": 5.0, "p95_tpot_ms": 5.0} for point in SEARCH["curve"]]
    asked = SEARCH["fields"] | {"slo": {"p95_tpot_ms": 20, "p95_ttft_ms": 500, "p99_itl_ms": 1}}
    assert [plot.title for plot in of_benchmark(SEARCH | {"curve": more, "fields": asked})] == [
        *(f"{name} against load" for name in ("output_throughput", "p95_tpot_ms", "p95_ttft_ms"))
    ]


def test_one_measurement_is_no_plot() -> None:
    assert titles(measurements=[measurement(1, 2500.0)], distributions={}) == []
    assert titles(measurements=[], metrics={}, distributions={}) == []


def test_what_is_not_percentiles_is_not_drawn() -> None:
    assert titles(measurements=[], distributions={"ttft_ms": [1.0, 2.0]}) == []


def test_captions_say_what_the_lines_do() -> None:
    assert of_benchmark(GUIDE)[0].caption == "2310 (warm-up), 2520.1, 2561.3, 2541, 2519.9, 2534.7"
    assert of_phases([{"name": "ready", "seconds": 0.0}]).caption == "0.0 s in all, most of it for ready: 0.0 s"


def searched(*points: tuple[float, float], found: float | None, limit: float = 500) -> dict[str, Any]:
    """A search with the loads that it measured, and what p95 TTFT was there."""
    curve = [
        {"load": load, "p95_ttft_ms": ttft, "met": int(ttft <= limit), "output_throughput": 9} for load, ttft in points
    ]
    metrics = {} if found is None else {"slo_max_concurrency": found}
    fields = {"slo": {"p95_ttft_ms": limit}}
    return SEARCH | {"curve": curve, "metrics": metrics, "fields": fields}


@pytest.mark.parametrize(
    ("points", "found", "told"),
    [
        (((8, 100), (8, 110), (16, 900)), 8, "a load of 8 meets the objective, 16 does not"),
        (((8, 100), (12, 300), (12, 600), (11, 400), (11, 410)), 11, "a load of 11 meets the objective, 12 does not"),
        (((1, 900), (1, 100), (2, 100)), 2, "a load of 2 meets the objective, no larger one misses it"),
        (((1, 100), (1, 600)), None, "the objective is missed at a load of 1"),
        (((1, 100), (2, 200)), None, ""),  # it broke before it found something
    ],
)
def test_the_curve_says_what_the_search_says(
    points: tuple[tuple[float, float], ...], found: float | None, told: str
) -> None:
    drawn = of_benchmark(searched(*points, found=found))
    assert [plot.title for plot in drawn] == ["output_throughput against load", "p95_ttft_ms against load"]
    assert drawn[0].caption == (told or "as it was measured")
    assert drawn[1].caption == "; ".join(filter(None, ("at most 500 is asked", told)))
    assert (">limit 500</text>" in drawn[0].svg, ">limit 500</text>" in drawn[1].svg) == (False, True)
    assert [f">found: {found:g}</text>" in plot.svg for plot in drawn if found] == [True] * 2 * (found is not None)
    assert (">objective missed</text>" in drawn[1].svg) == any(ttft > 500 for _, ttft in points)


def test_of_repeated_searches_the_curve_is_that_of_the_last() -> None:
    last = measurement(2, 2500, metrics={"slo_max_concurrency": 8})
    several = searched((8, 100), (9, 700), found=8.5) | {"measurements": [measurement(1, 2400), last]}
    assert of_benchmark(several)[-1].caption.endswith("a load of 8 meets the objective, 9 does not")


def test_a_curve_without_an_objective() -> None:
    curve = [{"load": load, "goodput": 2.0, "wait_s": 1.0, "duration": 9.0} for load in (1, 2)]
    drawn = of_benchmark(SEARCH | {"curve": curve, "fields": {}})
    assert [(plot.title, plot.caption) for plot in drawn] == [
        *((f"{name} against load", "as it was measured") for name in ("goodput", "wait_s"))
    ]
    flagged = [point | {"met": int(point["load"] < 2)} for point in curve]
    assert of_benchmark(SEARCH | {"curve": flagged, "fields": {"slo": "x"}})[0].caption == (
        "a load of 1 meets the objective, 2 does not"
    )


def test_a_limit_for_each_gpu_is_not_drawn_through_the_total() -> None:
    def dashed(per: str) -> bool:
        figures = [GUIDE["figures"][0] | {"per": per}]
        return ">limit</text>" in of_benchmark(GUIDE | {"figures": figures})[0].svg

    assert (dashed("total"), dashed("gpu")) == (True, False)


def test_a_drawing_takes_colours_and_letters_from_its_page() -> None:
    drawn = svg("a plot", lambda axes: axes.set_title("title $x$ <b> 漢"))
    assert drawn.startswith("<svg ")
    assert set(re.findall(r"#[0-9a-fA-F]{6}", drawn)) == set()
    assert "var(--muted)" in drawn
    assert not re.search(r"font-family|DejaVu|<style|<metadata|http://(?!www.w3.org/2000/svg)", drawn)
    assert "title $x$ &lt;b&gt; 漢</text>" in drawn


def test_equal_drawings_are_equal_and_others_share_no_id() -> None:
    def ids(name: str) -> set[str]:
        return set(re.findall(r'id="([^"]+)"', svg(name, lambda axes: axes.plot([1, 2], marker="o") and None)))

    assert ids("one") == ids("one")
    assert ids("one")
    assert not ids("one") & ids("two")


def test_drawing_leaves_matplotlib_and_warnings_as_they_were() -> None:
    import matplotlib as mpl

    before, filters = dict(mpl.rcParams), warnings.filters[:]
    svg("a plot", lambda axes: None)
    assert (dict(mpl.rcParams), warnings.filters) == (before, filters)


def test_labels_are_short_and_on_one_line() -> None:
    assert label("a\nb") == "a\\nb"
    assert label("x" * 100) == "x" * 24 + "…"
