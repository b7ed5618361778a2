import signal

import pytest

from recipe_runner.errors import Interrupted
from recipe_runner.interrupts import SIGNALS, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_interrupts_who_listens(number: signal.Signals) -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.listening():
        signal.raise_signal(number)
    assert interrupts.count == 1
    assert not interrupts.again


def test_signals_that_nobody_listens_to_are_counted() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert (interrupts.count, interrupts.again) == (1, False)
        signal.raise_signal(signal.SIGTERM)
        assert (interrupts.count, interrupts.again) == (2, True)


def test_one_that_came_before_is_raised_when_somebody_listens() -> None:
    reached = False
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), interrupts.listening():
            reached = True
    assert not reached


def test_what_is_held_is_done_first() -> None:
    done = []

    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")

    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.listening(), interrupts.held():
        work()
    assert done


def test_what_is_held_where_nobody_listens_is_only_counted() -> None:
    with Interrupts() as interrupts:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
        assert interrupts.count == 1


def test_nothing_is_interrupted_twice() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted), interrupts.listening():
            signal.raise_signal(signal.SIGINT)
        with interrupts.listening():
            signal.raise_signal(signal.SIGINT)
    assert interrupts.again


def test_what_was_there_before_is_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupts():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_under_nohup_a_lost_terminal_is_no_matter() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts, interrupts.listening():
            signal.raise_signal(signal.SIGHUP)
        assert interrupts.count == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
