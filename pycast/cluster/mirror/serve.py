"""The parent's side of a mirror: reads a mount's ring, timeline and journal, and sends what is new to one child.

A reader like any other: it holds an offset, costs the mount nothing but a call when there is news, and is let go when
it falls off the ring. It never says more than its node knows; what a child may go on with is decided by `Lineage`.
"""

import logging
from typing import Protocol

import gevent
from gevent.event import Event

from pycast.cluster.link.frames import Kind, pack_json
from pycast.cluster.link.frames import pack as pack_frame
from pycast.cluster.link.link import Link
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineage, Lineages
from pycast.cluster.mirror.messages import MOST_AUDIO, Pull, PullReply, audio_frame, event_frame, lineage_frame
from pycast.cluster.registry.epoch import NO_EPOCH
from pycast.formats.marks import Header, Info, Tags
from pycast.stream.fanout import Reason
from pycast.stream.journal import Event as Happening
from pycast.stream.journal import Started
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.pacer import Pacer

log = logging.getLogger(__name__)

# What a child hears at least, so that it takes silence for the loss of its parent.
IDLE_S = 1.0

# A mirror of a mirror of a mirror: zones have one leader, and in an upheaval one more.
MOST_DEPTH = 3

# A new mirror gets as much of the past, so that its listeners get their burst, and its own children theirs.
BACKLOG_S = 10.0
BACKLOG_BYTES = 256 << 10


class MountOpener(Protocol):
    """Finds a mount for a child; `Mirrors` is one."""

    def open(self, name: str, depth: int = 0) -> Mount | None:
        """Returns the mount, mirrored from another node if need be. May switch."""


class MirrorServer:
    """Serves this node's mounts to the nodes that mirror them."""

    def __init__(self, lineages: Lineages, pacer: Pacer, mirrors: MountOpener, children: Children) -> None:
        self._lineages = lineages
        self._pacer = pacer
        self._mirrors = mirrors
        self._children = children

    def serve(self, link: Link, pull: Pull, child: str) -> None:
        """Feeds one child until the line ends. A mount that is not here is mirrored from elsewhere first. Raises
        OSError. May switch.
        """
        mount = self._mirrors.open(pull.mount, pull.depth + 1) if pull.depth < MOST_DEPTH else None
        lineage = self._lineages.get(pull.mount)
        if mount is None or not lineage.entries:
            link.write_json(Kind.REFUSED, {"why": "absent"})
            return
        if pull.epoch > lineage.newest:
            link.write_json(Kind.REFUSED, {"why": "behind"})
            return
        log.info("> mount %s: node %s mirrors it from here", mount.name, child)
        try:
            _Child(link, mount, self._lineages, self._pacer, self._children).run(pull)
        finally:
            log.info("> mount %s: node %s no longer mirrors it from here", mount.name, child)


class _Child:
    """One line to a child."""

    def __init__(self, link: Link, mount: Mount, lineages: Lineages, pacer: Pacer, children: Children) -> None:
        self._children = children
        self._link = link
        self._mount = mount
        self._lineages = lineages
        self._pacer = pacer
        self._news = Event()
        self._restarts = mount.restarts
        self._position = 0
        self._from = 0
        self._number = 0
        self._lineage = Lineage()
        self._is_live: bool | None = None

    def run(self, pull: Pull) -> None:
        """Feeds the child until the line ends."""
        mount = self._mount
        self._children.add(mount.name, self._news)
        try:
            self._link.write(self._begin(pull).frame())
            while not self._is_over():
                self._news.clear()
                frames = self._gather()
                if frames:
                    data = b"".join(frames)
                    self._link.write(data)
                    self._children.bytes_sent += len(data)
                if mount.ring.head > self._position or self._news.is_set():
                    continue
                if not self._news.wait(IDLE_S):
                    self._link.write(pack_frame(Kind.IDLE, b""))
                else:  # what comes within a moment goes in one write
                    gevent.sleep(self._pacer.read_wait)
            # A node that stops, or no longer needs its mirror, is no reason for its children to end theirs.
            if mount.end_reason is Reason.SOURCE_GONE:
                self._link.write(pack_frame(Kind.GONE, b""))
        finally:
            self._children.remove(mount.name, self._news)

    def _begin(self, pull: Pull) -> PullReply:
        mount, lineage = self._mount, self._lineages.get(self._mount.name)
        start = _start(mount, lineage, pull)
        self._position = self._from = start
        self._lineage = lineage
        self._is_live = mount.state is MountState.LIVE
        journal = mount.journal
        self._number = 0
        started = journal.started_before(start)  # the source of the bytes from `start` on
        marks: list[Happening] = [Header(start, mount.timeline.header_at(start))]
        title = mount.timeline.title_at(start)
        if title is not None:
            marks.append(Tags(start, title[1].artist, title[1].title, title[1].url))
        info = journal.info_before(start)
        if info is not None or mount.bitrate or mount.stats:
            marks.append(Info(start, info.bitrate if info else mount.bitrate, info.stats if info else mount.stats))
        source, started_at = (started.description, started.offset) if started else (mount.description, start)
        return PullReply(start, lineage, source, started_at, self._is_live, tuple(marks), mount.ring.head)

    def _is_over(self) -> bool:
        """The mount has ended, jumped to other offsets, or overtaken this child."""
        mount = self._mount
        return mount.state is MountState.ENDED or mount.restarts != self._restarts or self._position < mount.ring.oldest

    def _gather(self) -> list[bytes]:
        """What is new, in the order of the stream; some of it if it is much."""
        mount, frames = self._mount, []
        lineage = self._lineages.get(mount.name)
        if lineage != self._lineage:
            self._lineage = lineage
            frames.append(lineage_frame(lineage))
        stop = mount.ring.head
        for number, event in mount.journal.since(self._number, self._from):
            if isinstance(event, Started):
                if event.offset - self._position > MOST_AUDIO:
                    stop = event.offset
                    break
                frames += self._audio(event.offset)
            frames.append(event_frame(event))
            self._number = number + 1
        frames += self._audio(min(stop, self._position + MOST_AUDIO))
        is_live = mount.state is MountState.LIVE
        if is_live != self._is_live:
            self._is_live = is_live
            frames.append(pack_json(Kind.STATE, {"is_live": is_live}))
        return frames

    def _audio(self, stop: int) -> list[bytes]:
        start = self._position
        if stop <= start:
            return []
        self._position = stop
        return [audio_frame(start, self._mount.timeline.joins(start, stop), self._mount.ring.read(start, stop))]


def _start(mount: Mount, lineage: Lineage, pull: Pull) -> int:
    """Where a child goes on: at its own offset if we have the same bytes before it, else at a join point."""
    ring, timeline = mount.ring, mount.timeline
    if pull.offset >= 0 and pull.epoch != NO_EPOCH and lineage.agrees(pull.epoch, pull.offset):
        if pull.offset >= ring.oldest:
            return pull.offset  # ahead of our own head, too: what it has we shall have
        first = timeline.first_join(ring.oldest)
        return ring.head if first is None else first
    if pull.offset >= 0:  # it jumps, and its listeners with it: as near to now as can be
        last = timeline.last_join()
        return ring.head if last is None or last < ring.oldest else last
    backlog = max(int((mount.bitrate or 0) / 8 * BACKLOG_S), BACKLOG_BYTES)
    floor = max(ring.oldest, ring.head - backlog, mount.floor)
    first = timeline.first_join(floor)
    return ring.head if first is None else first
