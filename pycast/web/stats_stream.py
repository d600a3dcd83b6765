"""Icecast's method STATS: all statistics, and then each change, as lines of text until the client leaves.

Programs that draw a curve of the listeners keep such a connection. It is a new snapshot each second, compared with the
last one; nothing is done for it on the data path. The one invariant: a client that applies all lines in order knows
what `/admin/stats` says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import gevent

from pycast.characters import clean_line
from pycast.errors import Refused
from pycast.http.response import Response
from pycast.stats.icestats import global_stats, source_stats
from pycast.web.public import stats_url
from pycast.web.route import ADMIN, Access, Call, Route

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot

INTERVAL_S = 1.0

LONGEST_LINE = 199
"""Bytes: those who read Icecast's lines have room for no more."""

MOST_STREAMS = 32
"""Connections at a time: each costs a snapshot a second."""

GONE = "null"

Stats = Mapping[tuple[str, str], str]


def stats_stream(call: Call) -> Response:
    """Answers `STATS /`, and `STATS /mount` with that mount alone, as icecast-kh does. Raises Refused."""
    check_streams(call)
    return Response(200, _lines(call), is_bare=True)


def check_streams(call: Call) -> None:
    """Raises Refused if there are too many streams of statistics and events."""
    counters = call.site.counters
    if counters.stats_connections - counters.stats_disconnections >= MOST_STREAMS:
        raise Refused(
            "too many streams of statistics", status=503, cause=f"{MOST_STREAMS} streams of statistics are open"
        )


STATS = Route("/", stats_stream, ADMIN, Access.ADMIN, frozenset({"STATS"}))


def _lines(call: Call) -> Iterator[bytes]:
    counters, mount = call.site.counters, call.request.path if call.request.path != "/" else None
    known: Stats = {}
    counters.stats_connections += 1
    try:
        while True:
            snapshot = replace(call.control.snapshot(), listen_url=stats_url(call))
            stats = flat(snapshot, mount)
            # One line is sent in any case: only so it is noticed that the client has left.
            yield b"".join(changes(known, stats)) or _line("global", "clients", str(snapshot.clients))
            known = stats
            gevent.sleep(INTERVAL_S)
    finally:
        counters.stats_disconnections += 1


def flat(snapshot: "NodeSnapshot", mount: str | None = None) -> Stats:
    """Returns all statistics by where they belong ("global" or a mount) and their name; with `mount` its own alone."""
    found = {("global", name): value for name, value in global_stats(snapshot)} if mount is None else {}
    for one in snapshot.mounts:
        if mount in (None, one.name):
            found |= {(one.name, name): value for name, value in source_stats(snapshot, one).items()}
    return found


def changes(before: Stats, after: Stats) -> Iterator[bytes]:
    """Yields the lines with what is new or different. Of a mount that is gone there is one, and of a value that is gone
    another one, both with "null" in them, as in Icecast 2.4.4.
    """
    there = {place for place, _ in after}
    for place in sorted({place for place, _ in before} - there):
        yield _line(place, GONE, GONE)
    for place, name in sorted(before.keys() - after.keys()):
        if place in there:
            yield _line(place, name, GONE)
    for (place, name), value in after.items():
        if before.get((place, name)) != value:
            yield _line(place, name, value)


def _line(place: str, name: str, value: str) -> bytes:
    line = f"EVENT {clean_line(place)} {clean_line(name)} {clean_line(value)}".encode("utf-8", "replace")
    return line[: LONGEST_LINE - 1].decode("utf-8", "ignore").encode() + b"\n"
