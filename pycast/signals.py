"""One way to be told: a `Signal` for each kind of event, with the event as a frozen value named for what happened.

A part that has news owns signals and emits; a part that wants news has a method `on_…` that takes the event. Who hears
whom is decided in `app/assembly.py` and `app/cluster_assembly.py` alone: no constructor subscribes anything. A
subscriber never switches to another greenlet, because what it is told is true only until then; one that has more to do
starts a greenlet of its own.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Signal(Generic[Event]):
    """Events of one kind, for whoever subscribes."""

    __slots__ = ("_subscribers",)

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[Event], object], ...] = ()

    def subscribe(self, subscriber: Callable[[Event], object]) -> None:
        """Calls `subscriber` with each event from now on, after those that subscribed before it."""
        self._subscribers = (*self._subscribers, subscriber)

    def emit(self, event: Event) -> None:
        """Tells all subscribers, in the order in which they subscribed."""
        for subscriber in self._subscribers:
            subscriber(event)
