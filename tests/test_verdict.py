from itertools import permutations

import pytest

from recipe_runner import verdict


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], "inconclusive"),
        (["passed"], "passed"),
        (["passed", "measured", "skipped"], "passed"),
        (["measured"], "inconclusive"),
        (["skipped"], "inconclusive"),
        (["measured", "skipped"], "inconclusive"),
        (["passed", "inconclusive"], "inconclusive"),
        (["passed", "inconclusive", "failed"], "failed"),
        (["passed", "failed", "error"], "error"),
    ],
)
def test_a_run_is_as_bad_as_its_worst_item(items: list[str], expected: str) -> None:
    for order in permutations(items):
        assert verdict.overall(order) == expected


def test_an_interrupted_run_is_interrupted_whatever_else_it_is() -> None:
    assert verdict.overall(["passed"], interrupted=True) == "interrupted"
    assert verdict.overall(["error"], interrupted=True, broken=True) == "interrupted"


def test_a_run_whose_server_died_is_an_error() -> None:
    assert verdict.overall(["passed"], broken=True) == "error"


@pytest.mark.parametrize(
    ("given", "server_down", "code"),
    [
        ("passed", False, 0),
        ("failed", False, 1),
        ("error", True, 3),
        ("inconclusive", False, 4),
        ("error", False, 70),
        ("interrupted", True, 130),
    ],
)
def test_exit_codes(given: verdict.RunVerdict, server_down: bool, code: int) -> None:
    assert verdict.exit_code(given, server_down=server_down) == code


def test_the_worst_of_a_sweep() -> None:
    order = [130, 70, 2, 3, 1, 4, 0]
    for place, code in enumerate(order):
        assert verdict.worst(order[place:]) == code
        assert verdict.worst(reversed(order[place:])) == code
    assert verdict.worst([]) == 0
