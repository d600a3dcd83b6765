"""Notification of events: a `Signal` for each kind, with the event as a frozen value named for what happened.

A part of the program in which something happens owns signals and emits. A part that reacts has a method `on_…` that
takes the event. Only `app/assembly.py` and `app/cluster_assembly.py` subscribe; no constructor does. A subscriber never
switches to another greenlet, because the event may not be true any more after that. One that has more to do starts a
greenlet of its own.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Signal(Generic[Event]):
    """A source of events of one kind, with its subscribers."""

    __slots__ = ("_subscribers",)

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[Event], object], ...] = ()

    def subscribe(self, subscriber: Callable[[Event], object]) -> None:
        """Adds `subscriber`, which is called with each event from now on, after those that subscribed before it."""
        self._subscribers = (*self._subscribers, subscriber)

    def emit(self, event: Event) -> None:
        """Calls all subscribers, in the order in which they subscribed. Never switches, as they do not."""
        for subscriber in self._subscribers:
            subscriber(event)
