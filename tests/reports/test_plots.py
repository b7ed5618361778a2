"""What is drawn of a run, and how a drawing fits into a page."""

import re
import warnings
from typing import Any

import pytest

from recipe_runner.reports.drawing import label, svg
from recipe_runner.reports.plots import boundary, of_benchmark, of_phases
from tests.reports.documents import GUIDE, SEARCH, measurement


def titles(**changed: Any) -> list[str]:
    return [plot.title for plot in of_benchmark(GUIDE | changed)]


def test_what_there_is_to_see_of_a_benchmark() -> None:
    assert titles() == [
        "output_throughput of each measurement",
        *(f"Distribution of {name}" for name in ("ttft_ms", "tpot_ms", "itl_ms")),
    ]
    assert [plot.title for plot in of_benchmark(SEARCH)] == ["Throughput against load", "Latency against load"]


def test_one_measurement_is_no_plot() -> None:
    assert titles(measurements=[measurement(1, 2500.0)], distributions={}) == []
    assert titles(measurements=[], metrics={}, distributions={}) == []


def test_what_is_not_percentiles_is_not_drawn() -> None:
    assert titles(measurements=[], distributions={"ttft_ms": [1.0, 2.0]}) == []


def test_captions_say_what_the_lines_do() -> None:
    assert of_benchmark(GUIDE)[0].caption == "2310 (warm-up), 2520.1, 2561.3, 2541, 2519.9, 2534.7"
    assert of_benchmark(SEARCH)[0].caption == "the objective was met up to a load of 16"
    missed = [point | {"met": 0} for point in SEARCH["curve"]]
    assert of_benchmark(SEARCH | {"curve": missed})[0].caption == "the objective was met at no load"
    assert of_phases([{"name": "ready", "seconds": 0.0}]).caption == "0.0 s in all, most of it for ready: 0.0 s"


@pytest.mark.parametrize(
    ("met", "edge"),
    [
        ({1: 1, 2: 1, 4: 0}, 3.0),
        ({1: 1, 2: 0, 4: 1, 8: 0}, 6.0),  # what was missed below a load that met it is no boundary
        ({1: 0, 2: 0}, 1),
        ({1: 1, 2: 1}, None),
        ({}, None),
    ],
)
def test_the_boundary_of_an_objective(met: dict[float, float], edge: float | None) -> None:
    assert boundary([{"load": load, "met": value} for load, value in met.items()]) == edge


def test_a_curve_without_an_objective_has_no_boundary() -> None:
    assert boundary([{"load": 1, "output_throughput": 2.0}]) is None


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
