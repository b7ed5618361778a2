"""Which metrics are judged together, and how the level is shared."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.figures.best import SEARCHED
from recipe_runner.figures.family import USUAL, holm, judged_of, level, weights
from recipe_runner.figures.noise import ALPHA


def test_what_is_judged_unless_others_are_named() -> None:
    assert judged_of(["p99_ttft_ms", *reversed(USUAL)]) == USUAL
    assert judged_of(["median_tpot_ms", "completed"]) == ("median_tpot_ms",)
    assert judged_of([*USUAL, *SEARCHED]) == SEARCHED
    assert judged_of(["completed"]) == ()


def test_the_leader_has_most_of_the_level() -> None:
    assert weights(0) == []
    assert weights(1) == [1]
    assert weights(2) == pytest.approx([0.8, 0.2])
    assert weights(3) == pytest.approx([0.8, 0.1, 0.1])
    assert [level(metric, USUAL, 1) for metric in (*USUAL, "p99_ttft_ms")] == pytest.approx([0.008, 0.001, 0.001, 0.01])
    assert level("median_tpot_ms", USUAL, 2) == pytest.approx(0.0005)
    assert level("slo_max_concurrency", [*USUAL, "slo_max_concurrency"], 1) == ALPHA


def test_holm_has_the_example_that_textbooks_have() -> None:
    assert [one.p for one in holm([0.01, 0.04, 0.03, 0.005], [1] * 4)] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([], []) == []
    assert [one.p for one in holm([0.7, 0.6], [1, 1])] == [1, 1]


def test_what_differs_leaves_its_level_to_the_others() -> None:
    leader, second, third = holm([0.0079, 0.0049, 0.0101], weights(3))
    assert [one.differs for one in (leader, second, third)] == [True, True, False]
    assert [one.level for one in (leader, second, third)] == pytest.approx([0.008, 0.005, 0.01])
    leader, second, third = holm([0.0081, 0.0011, 0.0011], weights(3))
    assert [one.differs for one in (leader, second, third)] == [False, False, False]
    assert [one.level for one in (leader, second, third)] == pytest.approx([0.008, 0.001, 0.001])


PS = st.just(0.0) | st.floats(1e-300, 0.05)  # below, a double has too few digits left to be multiplied
WEIGHED = st.lists(st.tuples(PS, st.sampled_from([0.1, 0.2, 0.8, 1.0])), max_size=8)


@given(WEIGHED, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_never_makes_smaller(family: list[tuple[float, float]], chance: Any) -> None:
    ps, weight = [p for p, _ in family], [share for _, share in family]
    found = holm(ps, weight)
    whole = math.fsum(weight)
    for p, share, one in zip(ps, weight, found, strict=True):
        assert p <= one.p * (1 + 1e-9)
        assert one.p <= min(1, p * whole / share * (1 + 1e-9))
        assert ALPHA * share / whole <= one.level * (1 + 1e-9) <= ALPHA * (1 + 1e-8)
        if abs(p - one.level) > 1e-12:
            assert one.differs == (p < one.level)
    ranked = sorted(range(len(ps)), key=lambda index: ps[index] / weight[index])
    assert [found[index].p for index in ranked] == sorted(one.p for one in found)
    order = chance.sample(range(len(ps)), len(ps))
    turned = holm([ps[index] for index in order], [weight[index] for index in order])
    assert [one.p for one in turned] == pytest.approx([found[index].p for index in order])
