"""Icecast 2.5's `/admin/eventfeed`: what happens, as server-sent events, until the client leaves.

Sources that connect and disconnect, titles, listeners: under the names and in the JSON of Icecast 2.5, of all nodes of
a cluster. The `id` of an event says how far the feed is with each node, so whoever sends it back as `Last-Event-ID`, to
whichever node, misses nothing that is still kept (`control/event_log.py`). The one invariant: the count of listeners
in an event is that of the whole cluster.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence

import gevent

from pycast.control.event_log import NEWCOMERS
from pycast.http.response import Response
from pycast.stats.snapshot import FeedEvent, NodeEvents
from pycast.web.route import Call
from pycast.web.stats_stream import check_streams

EVENTS = "text/event-stream"

INTERVAL_S = 0.5

# Only by a write it is noticed that the client has left; and proxies end a connection on which nothing comes.
SILENCE_S = 1.0
_ALIVE = b": nothing happens\r\n\r\n"

# A node that has not answered for so long is dead.
GONE_S = 5.0

LONGEST_ID = 4096
MOST_MARKS = 100


def eventfeed(call: Call) -> Response:
    """Answers `eventfeed`, with `mount=` about that mount alone; with `request-global=1` it also says when the first
    source has come and the last one has gone. Raises Refused.
    """
    check_streams(call)
    return Response(200, _feed(call), EVENTS, (("X-Accel-Buffering", "no"),))


def _feed(call: Call) -> Iterator[bytes]:
    counters, reader = call.site.counters, _FeedReader(call)
    wants_global, had_sources, silent_s = call.is_yes("request-global"), None, SILENCE_S
    counters.stats_connections += 1
    try:
        while True:
            frames = list(reader.news())
            if wants_global:
                has_sources = call.control.snapshot().sources > 0
                if had_sources not in (None, has_sources):
                    frames.append(_frame(reader.marks, _crude("icecast-active" if has_sources else "icecast-idle"), ""))
                had_sources = has_sources
            silent_s = 0.0 if frames else silent_s + INTERVAL_S
            if silent_s >= SILENCE_S:
                frames, silent_s = [_ALIVE], 0.0
            yield b"".join(frames)
            gevent.sleep(INTERVAL_S)
    finally:
        counters.stats_disconnections += 1


class _FeedReader:
    """How far one reader is with each node, and how many listen there."""

    def __init__(self, call: Call) -> None:
        self.marks = read_marks(call.request.headers.get("last-event-id"))
        self._call = call
        self._only = call.text("mount")
        self._began = time.time()
        self._listeners: dict[str, tuple[float, Mapping[str, str]]] = {}
        """By node: when it answered last, and its listeners. One that is late for once has not lost them."""

    def news(self) -> Iterator[bytes]:
        """Yields what has happened since the last call, and of nodes that have come meanwhile all. May switch."""
        marks, known = self.marks, set(self.marks)
        nodes = self._call.control.events({**marks, NEWCOMERS: 0} if marks else marks)
        newcomers = {node.boot for node in nodes if known and node.boot not in known}
        found = [
            (event, node.boot)
            for node in nodes
            for event in node.events
            if node.boot not in newcomers or event.at >= self._began
        ]
        for node in nodes:
            if node.missed and node.boot not in newcomers:
                yield f": {node.missed} events came too fast and are left out\r\n\r\n".encode()
            marks[node.boot] = node.last - len(node.events)
        self._note(nodes)
        for event, boot in sorted(found, key=lambda pair: pair[0].at):
            if self._only in ("", event.mount):
                *first, last = _told(event, self._count(event))
                yield from (_frame(marks, crude, event.mount) for crude in first)
                marks[boot] = max(marks[boot], event.number)
                yield _frame(marks, last, event.mount)
            marks[boot] = max(marks[boot], event.number)
        marks |= {node.boot: node.last for node in nodes}

    def _note(self, nodes: Sequence[NodeEvents]) -> None:
        """Notes who listens where, and forgets processes that have ended."""
        now = time.monotonic()
        self._listeners |= {node.boot: (now, node.listeners) for node in nodes}
        self._listeners = {boot: one for boot, one in self._listeners.items() if now - one[0] < GONE_S}
        if len(self.marks) > MOST_MARKS:
            for boot in self.marks.keys() - self._listeners.keys():
                del self.marks[boot]

    def _count(self, event: FeedEvent) -> int:
        """Returns how many listen to the mount of an event: each node counts its own."""
        if len(self._listeners) == 1:
            return event.listeners
        return sum(_number(listeners.get(event.mount, "")) for _, listeners in self._listeners.values())


def _told(event: FeedEvent, listeners: int) -> Iterator[dict[str, object]]:
    """Yields how Icecast tells an event: the arrival of a listener changes the count, too."""
    yield _crude(event.trigger, event, listeners)
    if event.trigger == "source-listener-attach":
        yield _crude("source-listeners-changed", event, listeners, has_client=False)
    if event.trigger == "source-listeners-changed" and not listeners:
        yield _crude("source-listeners-is-zero", event, listeners, has_client=False)


def _crude(
    trigger: str, event: FeedEvent | None = None, listeners: int = 0, *, has_client: bool = True
) -> dict[str, object]:
    """Returns the inner object of an event. Counts are texts there, as in Icecast; what is not known is left out."""
    told: dict[str, object] = {"trigger": trigger}
    if event is None:
        return told
    told |= {"uri": event.mount, "source-media-type": event.media_type, "source-listener-count": str(listeners)}
    if has_client:
        told |= {"connection-ip": event.ip, "client-username": event.user, "client-useragent": event.agent}
        told["connection-id"] = event.connection
        if trigger == "source-listener-attach":
            told["connection-time"] = int(event.at)
    told |= {"artist": event.artist, "title": event.title}  # Icecast has the title in its statistics only
    return {name: value for name, value in told.items() if value != "" and value != 0}


def _frame(marks: Mapping[str, int], crude: Mapping[str, object], mount: str) -> bytes:
    data: dict[str, object] = {"type": "event", "crude": crude}
    if mount:
        data["mount"] = mount
    text = json.dumps(data, separators=(",", ":"))
    return f"id: {written(marks)}\r\ndata: {text}\r\n\r\n\r\n".encode()


def _number(text: str) -> int:
    return int(text[:15]) if text.isascii() and text.isdigit() else 0


def written(marks: Mapping[str, int]) -> str:
    """Returns marks as the `id` of an event."""
    return ",".join(f"{boot}-{number}" for boot, number in sorted(marks.items()))


def read_marks(text: str) -> dict[str, int]:
    """Returns the marks in the `id` of an event; none if it is no such id."""
    marks: dict[str, int] = {}
    for one in text.split(",") if len(text) <= LONGEST_ID else ():
        boot, dash, number = one.strip().partition("-")
        if not (dash and boot.isascii() and boot.isalnum() and number.isascii() and number.isdigit()):
            return {}
        marks[boot] = int(number[:15])
    return marks
