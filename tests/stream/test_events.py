"""Events are values that may be kept: frozen, comparable, and of one node's mounts only."""

import inspect
from typing import get_type_hints

import pytest

from pycast.signals import Signal
from pycast.stream import events
from pycast.stream.events import MountClosed, NewAudio, StreamEvents
from pycast.stream.mount import Mount

EVENTS = [one for one in vars(events).values() if inspect.isclass(one) and one.__module__ == events.__name__]
EVENTS.remove(StreamEvents)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_names_its_mount_and_does_not_keep_it_alive(event: type) -> None:
    kinds = get_type_hints(event)
    assert kinds["mount"] is str
    assert Mount not in kinds.values()


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_cannot_be_changed_by_a_subscriber(event: type) -> None:
    one = event(*get_type_hints(event))
    with pytest.raises(AttributeError):
        one.mount = "/other"
    with pytest.raises(AttributeError):
        one.note = "of a subscriber"


def test_there_is_one_signal_for_each_event() -> None:
    signals = vars(StreamEvents())
    assert all(type(one) is Signal for one in signals.values())
    names = ["".join(part.title() for part in name.split("_")) for name in signals]
    assert names == [event.__name__ for event in EVENTS]


def test_events_of_one_node_do_not_reach_another_in_the_same_process() -> None:
    one, other = StreamEvents(), StreamEvents()
    received: list[NewAudio] = []
    one.new_audio.subscribe(received.append)
    other.new_audio.emit(NewAudio("/x"))
    one.new_audio.emit(NewAudio("/y"))
    assert received == [NewAudio("/y")]


def test_signals_of_different_events_are_apart() -> None:
    node = StreamEvents()
    received: list[MountClosed] = []
    node.mount_closed.subscribe(received.append)
    node.new_audio.emit(NewAudio("/x"))
    assert received == []
