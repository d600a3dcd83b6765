"""The parent's side of a mirror: reads a mount's ring, timeline and journal, and sends what is new to one child.

A child is a reader of the mount like a listener: it has an offset, the mount only notifies it of new audio, and it is
dropped when it falls off the ring. The one invariant: a child resumes at its own offset only if `Lineage` says that it
has the same bytes before it.
"""

import logging
from typing import Protocol

import gevent
from gevent.event import Event

from pycast.cluster.link.frames import Kind
from pycast.cluster.link.frames import pack as pack_frame
from pycast.cluster.link.link import Link
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineage, Lineages
from pycast.cluster.mirror.messages import (
    MOST_AUDIO,
    Pull,
    PullReply,
    audio_frame,
    event_frame,
    lineage_frame,
    refused_frame,
    state_frame,
)
from pycast.cluster.registry.epoch import NO_EPOCH
from pycast.formats.marks import Header, Info, Tags
from pycast.stream.fanout import Reason
from pycast.stream.journal import Event as JournalEvent
from pycast.stream.journal import Started
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.pacer import Pacer

log = logging.getLogger(__name__)

# The parent sends at least one frame in this time. A child takes a longer silence (`pull.STALL_S`) for a lost parent.
IDLE_S = 1.0

# When this node stops its children have so long to take the rest.
FINISH_S = 0.5

# The most mirrors between an origin and a node: a zone has one leader, and for a moment during a change two.
MOST_DEPTH = 3

# How much of the past a new mirror gets, so that its listeners get their burst, and so do its own children.
BACKLOG_S = 10.0
BACKLOG_BYTES = 256 << 10


class MountOpener(Protocol):
    """The part of `Mirrors` that finds a mount for a child."""

    def open(self, name: str, depth: int = 0) -> Mount | None:
        """Returns the mount, mirrored from another node if need be. May switch."""

    def is_first_to_go_on(self, name: str, child: str) -> bool:
        """Whether `child` has to ask another node for the mount, because this one would ask it."""


class MirrorServer:
    """The server of this node's mounts to the nodes that mirror them."""

    def __init__(self, lineages: Lineages, pacer: Pacer, mirrors: MountOpener, children: Children) -> None:
        self._lineages = lineages
        self._pacer = pacer
        self._mirrors = mirrors
        self._children = children

    def serve(self, link: Link, pull: Pull, child: str) -> None:
        """Sends a mount to one child until the connection ends. A mount that this node does not have is mirrored from
        another node first. Raises OSError. May switch.
        """
        if self._mirrors.is_first_to_go_on(pull.mount, child):
            link.write(refused_frame("absent"))
            return
        mount = self._mirrors.open(pull.mount, pull.depth + 1) if pull.depth < MOST_DEPTH else None
        lineage = self._lineages.get(pull.mount)
        # While the format of its first source is not known, a mount has nothing to mirror.
        if mount is None or mount.state is MountState.IDLE or not lineage.entries:
            link.write(refused_frame("absent"))
            return
        if pull.epoch > lineage.newest:
            link.write(refused_frame("behind"))
            return
        log.info("> mount %s: node %s mirrors it", mount.name, child)
        try:
            _Child(link, mount, self._lineages, self._pacer, self._children).run(pull)
        finally:
            log.info("> mount %s: node %s no longer mirrors it", mount.name, child)

    def finish(self) -> None:
        """Sends to all children what this node has of their mounts, and ends their connections. May switch, for
        `FINISH_S` at most.
        """
        self._children.finish(FINISH_S)


class _Child:
    """One connection to a child."""

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
        self._rest: list[bytes] = []
        """What it had not sent yet when it was told to finish."""
        self._is_finished = False

    def wake(self) -> None:
        """Has it look at what is new. Never switches."""
        self._news.set()

    def finish(self) -> None:
        """Takes what is left of the mount, whose ring is freed as soon as its listeners here have it, and ends then."""
        self._is_finished = True
        if not self._is_cut_off():
            while frames := self._gather():
                self._rest += frames
        self._news.set()

    def run(self, pull: Pull) -> None:
        """Sends everything new until the connection or the mount ends."""
        mount = self._mount
        self._children.add(mount.name, self)
        try:
            self._link.write(self._begin(pull).frame())
            while not self._is_over():
                self._news.clear()
                self._write(self._gather())
                if mount.ring.head > self._position or self._news.is_set():
                    continue
                if not self._news.wait(IDLE_S):
                    self._link.write(pack_frame(Kind.IDLE, b""))
                else:  # audio that arrives within a moment goes into one write
                    gevent.sleep(self._pacer.read_wait)
            self._write(self._rest)
            # Only the end of the mount itself ends the children's mirrors, not that this node stops or no longer
            # mirrors.
            if mount.end_reason is Reason.SOURCE_GONE:
                self._link.write(pack_frame(Kind.GONE, b""))
        finally:
            self._children.remove(mount.name, self)

    def _write(self, frames: list[bytes]) -> None:
        if frames:
            data = b"".join(frames)
            self._link.write(data)
            self._children.bytes_sent += len(data)

    def _begin(self, pull: Pull) -> PullReply:
        mount, lineage = self._mount, self._lineages.get(self._mount.name)
        start = _start(mount, lineage, pull)
        self._position = self._from = start
        self._lineage = lineage
        self._is_live = mount.state is MountState.LIVE
        journal = mount.journal
        self._number = 0
        started = journal.started_before(start)  # the source of the bytes at `start`
        marks: list[JournalEvent] = [Header(start, mount.timeline.header_at(start))]
        title = mount.timeline.title_at(start)
        if title is not None:
            marks.append(Tags(start, title[1].artist, title[1].title, title[1].url))
        info = journal.info_before(start)
        if info is not None or mount.bitrate or mount.stats:
            marks.append(Info(start, info.bitrate if info else mount.bitrate, info.stats if info else mount.stats))
        source, started_at = (started.description, started.offset) if started else (mount.description, start)
        return PullReply(start, lineage, source, started_at, self._is_live, tuple(marks), mount.ring.head)

    def _is_over(self) -> bool:
        """Whether the mount has ended, or this node stops, or the child cannot go on in the mount."""
        return self._is_finished or self._mount.state is MountState.ENDED or self._is_cut_off()

    def _is_cut_off(self) -> bool:
        """Whether the mount has jumped to other offsets, or the child has fallen off the ring."""
        return self._mount.restarts != self._restarts or self._position < self._mount.ring.oldest

    def _gather(self) -> list[bytes]:
        """Returns frames with what is new, in the order of the stream; only a part if it is much."""
        mount, frames = self._mount, []
        lineage = self._lineages.get(mount.name)
        if lineage.entries and lineage != self._lineage:  # none: it has just been forgotten, with the mount
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
        frames += self._audio(self._end_of_piece(stop))
        is_live = mount.state is MountState.LIVE
        if is_live != self._is_live:
            self._is_live = is_live
            frames.append(state_frame(is_live=is_live))
        return frames

    def _end_of_piece(self, stop: int) -> int:
        """Returns where the next piece of audio ends, which is not all up to `stop` if that is much: at the end of a
        unit, because listeners of the child may come and go after each piece.
        """
        most = self._position + MOST_AUDIO
        if stop <= most:
            return stop
        joins = self._mount.timeline.joins(self._position + 1, most + 1)
        return joins[-1][0] if joins else most

    def _audio(self, stop: int) -> list[bytes]:
        start = self._position
        if stop <= start:
            return []
        self._position = stop
        return [audio_frame(start, self._mount.timeline.joins(start, stop), self._mount.ring.read(start, stop))]


def _start(mount: Mount, lineage: Lineage, pull: Pull) -> int:
    """Returns where a child begins: at its own offset if both have the same bytes before it, else at a join point."""
    ring, timeline, is_known = mount.ring, mount.timeline, pull.offset >= 0 and pull.epoch != NO_EPOCH
    if is_known and pull.offset >= ring.oldest and lineage.agrees(pull.epoch, pull.offset):
        return pull.offset  # also if it is ahead of this node, which will get the same bytes
    if is_known and (lineage.agrees(pull.epoch, pull.offset) or lineage.begins_after(pull.epoch, pull.offset)):
        first = timeline.first_join(ring.oldest)  # it has nothing else, and misses as little as it has to
        return ring.head if first is None else first
    if pull.offset >= 0:
        # It jumps with its listeners, to where new ones begin, because they have heard nothing for a while: their node
        # was suspended, or cut off. But not to what they have heard.
        first = timeline.first_join(max(mount.place(0).position, ring.oldest, lineage.first_after(pull.epoch)))
        return ring.head if first is None else first
    backlog = max(int((mount.bitrate or 0) / 8 * BACKLOG_S), BACKLOG_BYTES)
    floor = max(ring.oldest, ring.head - backlog, mount.floor)
    first = timeline.first_join(floor)
    return ring.head if first is None else first
