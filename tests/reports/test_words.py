"""Figures and statements as people read them."""

from typing import Any

import pytest

from recipe_runner.reports.words import (
    around,
    devices,
    facts,
    noise_statement,
    number,
    percent,
    shown,
    sources,
    unit,
)
from tests.reports.documents import EXPECTED, GATE, GUIDE, RUN, measurement


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((2535.4, "2535.4"), (271.3712, "271.37"), (0.041, "0.041"), (50, "50"), (1234567, "1234567")),
        *((99644.38, "99644"), (102429.4, "102429"), (1e20, "1e+20"), (-0.5, "-0.5"), (0.00001234, "1.234e-05")),
        (2104992.0, "2104992"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_percentages() -> None:
    assert [percent(1.25), percent(-0.41, signed=True), percent(2, signed=True)] == ["1.2 %", "−0.4 %", "+2.0 %"]
    assert [percent(999.94), percent(5618498.9), percent(1e9, signed=True)] == ["999.9 %", "over 1000 %", "over 1000 %"]


def test_values_as_they_would_be_typed() -> None:
    assert list(map(shown, ("a", None, True, 1.5, [1, "b"], {"c": 2}))) == [
        *("a", "null", "true", "1.5", '[1,"b"]', '{"c":2}')
    ]


@pytest.mark.parametrize(
    ("counted", "noise", "said"),
    [
        (0, {}, ""),
        (1, {}, "1 measurement: it shows no noise, so a small difference from it means nothing."),
        (2, {}, "2 measurements: too few to tell the noise; with 3 or more it would be known."),
        (3, {}, "3 measurements; their noise was not computed (pip install 'recipe-runner[analysis]')."),
        (
            5,
            GUIDE["noise"],
            "5 measurements, output_throughput: spread 1.2 %, drift −0.4 %; "
            "a difference of 5.1 % would have been seen 9 times in 10.",
        ),
    ],
)
def test_what_the_noise_means(counted: int, noise: dict[str, Any], said: str) -> None:
    measurements = [measurement(i, 2500.0) for i in range(counted + 1)]
    assert noise_statement(GUIDE | {"measurements": measurements, "noise": noise}) == said


def test_what_ran_where() -> None:
    told = dict(facts(RUN))
    assert (told["Recipe"], told["Hardware"], told["vLLM"]) == ("internvl3", "a100x2", "0.25.1")
    assert (told["Devices"], told["Parallelism"]) == ("2 × NVIDIA A100-SXM4-40GB", "tp 2 × dp 1 × pp 1")
    assert (told["Started"], told["Took"]) == ("2026-11-23 19:58:06 UTC", "541.6 s")
    assert dict(facts(RUN | {"hardware": None}))["Hardware"] == "attached to http://127.0.0.1:8000"
    assert devices({"gpus": [], "cpu": "A CPU"}) == "no GPU, A CPU"
    assert devices({}) == "no GPU, CPU unknown"


def test_where_expected_figures_are_from() -> None:
    own = {**EXPECTED, "kind": "own", "workload": "load", "note": ""}
    report = {"expected": {"guide": EXPECTED, "own": own, "old": {"source": "a paper", "hardware": "H100"}}}
    figures = [GATE | {"expected": name} for name in ("guide", "own", "guide", "old")]
    assert sources(report, {"figures": figures}) == [
        (
            "2 × A100-SXM4-40GB; vLLM 0.20.0; workload guide; 2026-01; guide: https://example.org/a_b",
            "once | only",
        ),
        ("2 × A100-SXM4-40GB; vLLM 0.20.0; workload load; 2026-01; own run: https://example.org/a_b", ""),
        ("H100; workload old; a paper", ""),
    ]


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        *((0.0, "± 0.0 %"), (1.92, "± 1.9 %"), (6.3, "−5.9 % to +6.3 %"), (120.0, "−54.5 % to +120.0 %")),
        *((999.0, "−90.9 % to +999.0 %"), (4000.0, "−97.6 % to over +1000 %")),
    ],
)
def test_how_far_a_mean_may_be_off(percent: float, text: str) -> None:
    assert around(percent) == text


def test_units() -> None:
    assert [unit(GATE), unit(GATE | {"per": "gpu"})] == ["tok/s", "tok/s per GPU"]
