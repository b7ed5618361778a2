"""Documents of every release, made whole; and which figures lead."""

from recipe_runner.reports.document import complete, leading
from tests.reports.documents import GATE, GUIDE, RUN, SEARCH, old_evidence


def test_a_document_of_today_stays_as_it_is() -> None:
    assert complete(RUN) == {"simulated": False} | RUN


def test_a_benchmark_of_old_was_measured_once() -> None:
    document = complete(old_evidence("graphs"))
    (guide,) = document["benchmarks"]
    (measured,) = guide["measurements"]
    assert (measured["name"], measured["counted"], measured["doubts"]) == ("guide", True, [])
    assert measured["metrics"] == guide["metrics"]
    assert (guide["noise"], guide["curve"], document["provenance"], document["simulated"]) == ({}, [], {}, False)
    figure = next(each for each in guide["figures"] if each["metric"] == "median_ttft_ms")
    assert (figure["value"], figure["measured"], figure["verdict"]) == (99644.38, 356.79620350003916, None)


def test_what_was_skipped_of_old_has_no_measurement() -> None:
    old = old_evidence("graphs")
    (guide,) = complete(old | {"benchmarks": [old["benchmarks"][0] | {"metrics": {}}]})["benchmarks"]
    assert (guide["measurements"], guide["figures"]) == ([], [])


def test_the_metrics_that_lead() -> None:
    assert leading([GUIDE]) == ["output_throughput", "median_ttft_ms", "p99_ttft_ms", "median_tpot_ms"]
    assert leading([GUIDE | {"figures": [GATE | {"metric": "duration"}]}])[0] == "duration"
    assert leading([SEARCH | {"metrics": dict.fromkeys("abcdefgh", 1.0)}]) == list("abcdef")
