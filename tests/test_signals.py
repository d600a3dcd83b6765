"""A signal tells its subscribers, all of them, in their order, and nobody else."""

import pytest

from pycast.signals import Signal


def test_subscribers_hear_in_the_order_in_which_they_subscribed() -> None:
    signal: Signal[str] = Signal()
    heard: list[str] = []
    signal.subscribe(lambda event: heard.append(f"first {event}"))
    signal.subscribe(lambda event: heard.append(f"second {event}"))
    signal.emit("a")
    signal.emit("b")
    assert heard == ["first a", "second a", "first b", "second b"]


def test_a_signal_without_subscribers_is_no_error() -> None:
    Signal[int]().emit(1)


def test_who_subscribes_during_an_event_hears_the_next_one() -> None:
    signal: Signal[int] = Signal()
    heard: list[int] = []

    def join(event: int) -> None:
        if event == 1:
            signal.subscribe(heard.append)

    signal.subscribe(join)
    signal.emit(1)
    signal.emit(2)
    assert heard == [2]


def test_two_signals_share_no_subscribers() -> None:
    one, other = Signal[int](), Signal[int]()
    heard: list[int] = []
    one.subscribe(heard.append)
    other.emit(1)
    assert heard == []


def test_a_subscriber_that_fails_fails_whoever_emits() -> None:
    signal: Signal[int] = Signal()

    def fail(event: int) -> None:
        raise AssertionError(event)

    signal.subscribe(fail)
    with pytest.raises(AssertionError, match="7"):
        signal.emit(7)
