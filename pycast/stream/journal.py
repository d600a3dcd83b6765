"""What happened to a mount beside its audio, in order, for its mirrors on other nodes.

The timeline answers what holds at an offset. A mirror needs what changed since it last looked, also at an offset that
it has already. So events are numbered in order, and a reader keeps the number up to which it has read. Join points are
not here: there is one for each frame, and a reader finds them with the audio (`Timeline.joins`).

An event replaces another of its kind at the same offset: no byte of audio belongs to that one. So titles without audio
do not gather. However many events come with it, only so many are kept, the newest.
"""

from collections import deque
from typing import NamedTuple

from pycast.formats.marks import Header, Info, Tags
from pycast.stream.source import SourceDescription

# Events that are kept, and their bytes: those of minutes of audio, with headers that hold pictures.
MOST_EVENTS = 512
MOST_BYTES = 4 << 20


class Started(NamedTuple):
    """The start of a source at `offset`."""

    offset: int
    description: SourceDescription


Event = Started | Header | Info | Tags


class Journal:
    """Events with their numbers. Trimmed with the ring, except for the source that the oldest audio came from."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, Event]] = deque()
        self._bytes = 0
        self._base: Started | None = None
        self.dropped = 0
        """How many events were given up because there were too many."""
        self.next = 0
        """The number of the next event."""

    def add(self, event: Event) -> None:
        self._replace(event)
        self._events.append((self.next, event))
        self._bytes += _size(event)
        self.next += 1
        while len(self._events) > MOST_EVENTS or (self._bytes > MOST_BYTES and len(self._events) > 1):
            self._drop_first()
            self.dropped += 1

    def since(self, number: int, offset: int) -> list[tuple[int, Event]]:
        """Returns the events from `number` on, without those before `offset`."""
        return [(at, event) for at, event in self._events if at >= number and event.offset >= offset]

    def started_before(self, offset: int) -> Started | None:
        """Returns the start of the source that the audio at `offset` comes from; None if that is no longer known."""
        found = self._base
        for _, event in self._events:
            if isinstance(event, Started) and event.offset <= offset:
                found = event
        return found

    def info_before(self, offset: int) -> Info | None:
        """Returns the last properties that were read before `offset` from the audio of the same source."""
        found = None
        for _, event in self._events:
            if event.offset > offset:
                break
            found = event if isinstance(event, Info) else None if isinstance(event, Started) else found
        return found

    def trim(self, oldest: int) -> None:
        """Removes the events before `oldest`."""
        while self._events and self._events[0][1].offset < oldest:
            self._drop_first()

    def clear(self) -> None:
        """Removes all events. The numbers continue, and so does the count of those that were dropped."""
        self._events.clear()
        self._bytes = 0
        self._base = None

    def _replace(self, event: Event) -> None:
        """Removes the event of the same kind at the same offset, if there is one: it is among the last four."""
        for index in range(len(self._events) - 1, -1, -1):
            before = self._events[index][1]
            if before.offset != event.offset:
                return
            if type(before) is type(event):
                self._bytes -= _size(before)
                del self._events[index]
                return

    def _drop_first(self) -> None:
        event = self._events.popleft()[1]
        self._bytes -= _size(event)
        if isinstance(event, Started):
            self._base = event


def _size(event: Event) -> int:
    """Returns about how many bytes an event takes."""
    match event:
        case Header():
            return len(event.data)
        case Tags():
            return len(event.artist) + len(event.title) + len(event.url)
        case Started():
            return sum(len(name) + len(value) for name, value in event.description.headers)
    return 0
