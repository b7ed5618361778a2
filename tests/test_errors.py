"""What a person meets as an error, and which exit code goes with it."""

import pytest

from recipe_runner.errors import Fault, Interrupted, RecipeError, ServerError, choose


def test_fault_reads_where_what_do() -> None:
    assert str(Fault("serve.port", "it is in use", "take another")) == "serve.port — it is in use; take another"


def test_error_says_every_fault_on_a_line_of_its_own() -> None:
    error = RecipeError(Fault("a", "b", "c"), Fault("d", "e", "f"))
    assert str(error) == "a — b; c\nd — e; f"
    assert [fault.where for fault in error.faults] == ["a", "d"]


def test_exit_codes() -> None:
    assert (RecipeError.exit_code, ServerError.exit_code, Interrupted.exit_code) == (2, 3, 130)


def test_a_server_error_is_a_recipe_error_and_an_interruption_no_exception() -> None:
    assert issubclass(ServerError, RecipeError)
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize(
    ("name", "existing", "do"),
    [
        ("smok", {"smoke", "none"}, "did you mean smoke? There are: none, smoke"),
        ("xyz", {"smoke", "none"}, "choose one of: none, smoke"),
        ("", {"b", "a"}, "choose one of: a, b"),
        ("anything", (), "choose one of: none"),
        ("A100x2", {"h100x2", "a100x2"}, "did you mean a100x2? There are: a100x2, h100x2"),
        (
            "a100",
            {"a100x1", "a100x2", "h100x1"},
            "did you mean one of a100x1, a100x2? There are: a100x1, a100x2, h100x1",
        ),
        ("internvl", {"internvl3", "internvl3-tiny"}, "did you mean internvl3? There are: internvl3, internvl3-tiny"),
        ("A100x", {"a100x1", "h100x1"}, "did you mean a100x1? There are: a100x1, h100x1"),
    ],
)
def test_choose_names_the_nearest_and_lists_all(name: str, existing: set[str], do: str) -> None:
    assert choose(name, existing) == do
