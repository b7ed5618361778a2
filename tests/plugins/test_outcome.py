"""An outcome is one that a report can tell."""

from typing import Any

import pytest

from recipe_runner.api import Outcome, failed, passed, skipped


def test_outcomes_by_name() -> None:
    assert [(made.verdict, made.detail) for made in (passed(), passed("a"), failed("b"), skipped("c"))] == [
        ("passed", ""),
        ("passed", "a"),
        ("failed", "b"),
        ("skipped", "c"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("ok",), "the verdict is 'ok', not one of passed, failed, inconclusive, measured, skipped, error"),
        ((None,), "the verdict is None, not one of passed, failed, inconclusive, measured, skipped, error"),
        (("passed", None), "the detail is None, not a text"),
        (("measured", "", None), "the metrics are None, not numbers by name"),
        (("measured", "", {"a": None}), "the metric 'a' is None, not a finite number by a name"),
        (("measured", "", {"a": "1"}), "the metric 'a' is '1', not a finite number by a name"),
        (("measured", "", {"a": True}), "the metric 'a' is True, not a finite number by a name"),
        (("measured", "", {"a": float("nan")}), "the metric 'a' is nan, not a finite number by a name"),
        (("measured", "", {"a": 10**400}), f"the metric 'a' is {10**400}, not a finite number by a name"),
        (("measured", "", {1: 1}), "the metric 1 is 1, not a finite number by a name"),
    ],
)
def test_an_outcome_is_one_that_a_report_can_tell(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Outcome(*values)
    assert str(caught.value) == message
