import contextlib
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from recipe_runner.errors import Interrupted
from recipe_runner.interrupts import SIGNALS, Interrupts, limit


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


def raising(error: Exception) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def test_what_is_watched_comes_to_what_it_comes_to() -> None:
    with Interrupts() as interrupts:
        assert interrupts.watched(lambda: 3, lambda: None) == 3
        with pytest.raises(KeyError):
            interrupts.watched(raising(KeyError("x")))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def loop() -> None:
    while True:
        pass


def stubborn_loop() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.sleep(60)


def accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()


@pytest.mark.parametrize(
    "work",
    [
        loop,
        accept,
        stubborn_loop,
        lambda: time.sleep(60),
        lambda: threading.Event().wait(60),
        lambda: queue.Queue().get(timeout=60),
        lambda: subprocess.run(["sleep", "60"], check=True),
        lambda: re.match("(a+)+$", "a" * 40 + "b"),
        lambda: sum(1 for _ in iter(int, 1)),
    ],
)
def test_it_ends_whatever_it_does(work: Callable[[], object]) -> None:
    with Interrupts() as interrupts, pytest.raises(TimeoutError, match=r"^too long$"):
        interrupts.watched(work, limit(0.05, "too long"))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_the_first_that_raises_is_told() -> None:
    with Interrupts() as interrupts, pytest.raises(LookupError):
        interrupts.watched(loop, lambda: None, raising(LookupError()), raising(KeyError()))


def test_what_was_ended_may_clean_up_and_is_ended_again_if_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipe_runner.interrupts.AGAIN_S", 0.4)
    cleaned = []

    def work() -> None:
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(0.2)
            cleaned.append("up")
            time.sleep(60)

    with Interrupts() as interrupts, pytest.raises(TimeoutError):
        interrupts.watched(work, limit(0.05, "too long"))
    assert cleaned == ["up"]


@pytest.mark.parametrize(("outer_s", "inner_s", "told"), [(0.05, 60, "outer"), (60, 0.05, "inner")])
def test_one_within_another(outer_s: float, inner_s: float, told: str) -> None:
    seen = []

    def inner() -> None:
        try:
            interrupts.watched(loop, limit(inner_s, "inner"))
        except TimeoutError as exc:
            seen.append(str(exc))
            raise

    with Interrupts() as interrupts, pytest.raises(TimeoutError, match=f"^{told}$"):
        interrupts.watched(inner, limit(outer_s, "outer"))
    assert seen == (["inner"] if told == "inner" else [])


def test_what_is_held_is_not_ended() -> None:
    done = []

    def work() -> None:
        with interrupts.held():
            time.sleep(0.3)
            done.append("all of it")
        loop()

    with Interrupts() as interrupts, pytest.raises(TimeoutError):
        interrupts.watched(work, limit(0.05, "too long"))
    assert done


def test_a_signal_ends_what_is_watched() -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.listening():
        interrupts.watched(lambda: signal.raise_signal(signal.SIGINT), lambda: None)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_however_a_beat_falls_nothing_else_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work ends just when its time does, many times over."""
    monkeypatch.setattr("recipe_runner.interrupts.BEAT_S", 0.0002)
    late = 0
    with Interrupts() as interrupts:
        for _ in range(300):
            try:
                interrupts.watched(lambda: time.sleep(0.0004), limit(0.0004, "too long"))
            except TimeoutError:
                late += 1
    assert 0 < late <= 300
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
