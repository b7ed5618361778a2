import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe_runner.benchmarks.search import Search


def found(search: Search, holds: Callable[[float], bool]) -> list[tuple[float, bool]]:
    """What is measured, in order, where `holds` answers."""
    trials: list[tuple[float, bool]] = []
    while (load := search.next(trials)) is not None:
        trials.append((load, holds(load)))
    return trials


def loads(search: Search, most: float) -> list[float]:
    return [load for load, _ in found(search, lambda load: load <= most)]


@pytest.mark.parametrize(
    ("most", "precision", "expected"),
    [
        (25, 0.1, [1, 2, 4, 8, 16, 32, 23, 27, 25, 25]),
        (25, 1, [1, 2, 4, 8, 16, 32, 16]),
        (1, 0.1, [1, 2, 1]),
        (3, 0.01, [1, 2, 4, 3, 3]),
        (64, 0.1, [1, 2, 4, 8, 16, 32, 64, 64]),
        (0, 0.1, [1, 1]),
    ],
)
def test_it_doubles_then_halves_then_measures_again(most: float, precision: float, expected: list[float]) -> None:
    assert loads(Search(1, 64, precision, 20, whole=True), most) == expected


def test_the_highest_is_tried_even_if_doubling_does_not_come_to_it() -> None:
    search = Search(3, 20, 0.1, 20, whole=True)
    assert loads(search, 100) == [3, 6, 12, 20, 20]
    assert loads(Search(7, 7, 0.1, 20, whole=True), 100) == [7, 7]


def test_a_rate_has_something_between_any_two() -> None:
    search = Search(0.5, 100, 0.05, 20, whole=False)
    assert loads(search, 2.5) == [0.5, 1, 2, 4, 2.828, 2.378, 2.593, 2.483, 2.483]


def test_the_last_probe_is_for_measuring_again() -> None:
    search = Search(1, 64, 0.01, 4, whole=True)
    assert loads(search, 3) == [1, 2, 4, 2]
    assert search.confirmed([(1, True), (2, True), (4, False), (2, True)])
    assert loads(search, 64) == [1, 2, 4, 4]


def test_a_first_miss_is_tried_again_and_forgotten_if_it_does_not_come_back() -> None:
    search = Search(1, 64, 0.1, 20, whole=True)
    slow_at_first = iter([False])
    trials = found(search, lambda load: next(slow_at_first, load <= 2))
    assert trials == [(1, False), (1, True), (2, True), (4, False), (3, False), (2, True)]
    assert search.boundary(trials) == (2, 3)


def test_what_does_not_hold_again_gives_way_to_something_smaller() -> None:
    search, lucky = Search(1, 64, 0.1, 20, whole=True), iter([True])
    trials = found(search, lambda load: next(lucky, False) if load == 11 else load <= 8)
    assert trials[:4] == [(1, True), (2, True), (4, True), (8, True)]
    assert trials[4:8] == [(16, False), (11, True), (13, False), (12, False)]
    assert trials[8:] == [(11, False), (9, False), (8, True)]
    assert search.boundary(trials) == (8, 9)
    assert search.confirmed(trials)


def test_where_even_the_lowest_does_not_hold_again_nothing_was_found() -> None:
    search = Search(1, 64, 0.1, 20, whole=True)
    trials = [(1.0, True), (2.0, False), (1.0, False)]
    assert (search.next(trials), search.boundary(trials)) == (None, (None, 1))


def test_out_of_probes_it_says_what_it_has() -> None:
    search = Search(1, 64, 0.1, 3, whole=True)
    trials = [(1.0, True), (2.0, True), (2.0, False)]
    assert search.next(trials) is None
    assert search.boundary(trials) == (1, 2)
    assert not search.confirmed(trials)


@given(
    most=st.floats(0.1, 3000),
    lowest=st.integers(1, 20),
    times=st.integers(1, 500),
    precision=st.floats(0.01, 1),
    whole=st.booleans(),
)
def test_a_true_boundary_is_found_within_the_precision(
    most: float, lowest: int, times: int, precision: float, whole: bool
) -> None:
    search = Search(lowest, lowest * times, precision, 100, whole=whole)
    trials = found(search, lambda load: load <= most)
    low, high = search.boundary(trials)
    doubling, halving = math.ceil(math.log2(times)) + 1, math.ceil(math.log2(math.log(2) / math.log(1 + precision)))
    assert len(trials) <= doubling + 1 + max(0, halving) + 2
    if most < lowest:
        assert (low, trials) == (None, [(lowest, False)] * 2)
        return
    assert low is not None
    assert lowest <= low <= most
    assert search.confirmed(trials)
    if high == math.inf:
        assert low == lowest * times
    else:
        assert most < high
        assert high <= low * (1 + precision) * 1.001 or (whole and high - low == 1)


@given(
    answers=st.lists(st.booleans(), min_size=100, max_size=100),
    probes=st.integers(3, 100),
    precision=st.floats(0.01, 1),
    whole=st.booleans(),
)
def test_whatever_the_answers_it_ends_and_claims_nothing_that_it_did_not_see(
    answers: list[bool], probes: int, precision: float, whole: bool
) -> None:
    search, answer = Search(1, 1024, precision, probes, whole=whole), iter(answers)
    trials = found(search, lambda load: next(answer))
    assert len(trials) <= probes
    assert all(1 <= load <= 1024 and (load == int(load) or not whole) for load, _ in trials)
    low, high = search.boundary(trials)
    assert low is None or (low, True) in trials
    assert low is None or low < high
    assert low is None or (low, False) not in trials[1:]
