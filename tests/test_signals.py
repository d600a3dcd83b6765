"""A signal calls its subscribers, all of them and no others, in their order."""

import pytest

from pycast.signals import Signal


def test_subscribers_are_called_in_the_order_in_which_they_subscribed() -> None:
    signal: Signal[str] = Signal()
    received: list[str] = []
    signal.subscribe(lambda event: received.append(f"first {event}"))
    signal.subscribe(lambda event: received.append(f"second {event}"))
    signal.emit("a")
    signal.emit("b")
    assert received == ["first a", "second a", "first b", "second b"]


def test_a_signal_without_subscribers_is_no_error() -> None:
    Signal[int]().emit(1)


def test_a_subscriber_added_during_an_event_gets_the_next_one() -> None:
    signal: Signal[int] = Signal()
    received: list[int] = []

    def join(event: int) -> None:
        if event == 1:
            signal.subscribe(received.append)

    signal.subscribe(join)
    signal.emit(1)
    signal.emit(2)
    assert received == [2]


def test_two_signals_share_no_subscribers() -> None:
    one, other = Signal[int](), Signal[int]()
    received: list[int] = []
    one.subscribe(received.append)
    other.emit(1)
    assert received == []


def test_an_error_of_a_subscriber_reaches_the_code_that_emits() -> None:
    signal: Signal[int] = Signal()

    def fail(event: int) -> None:
        raise AssertionError(event)

    signal.subscribe(fail)
    with pytest.raises(AssertionError, match="7"):
        signal.emit(7)
