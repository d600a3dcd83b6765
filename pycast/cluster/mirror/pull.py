"""The child's side of a mirror: a connection to one parent at a time, and the mount that is filled from it.

A `Mirror` feeds a mount in the place of a source, with the bytes and marks of another node. It knows up to which offset
the mount has everything, and in which epoch. So when its connection breaks it resumes at the next byte, from the same
node or another. It jumps only if the parent has other bytes or no longer has the next one. Then its listeners jump with
it, at the end of a unit, and the missed bytes are counted.

The one invariant, the fence: bytes of an epoch lower than the highest one seen for the mount are never accepted. Only a
`pull` with a `floor` accepts those of an epoch that has ended, up to a place that is given.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from pycast.cluster.link.frames import Kind, LinkError, Malformed
from pycast.cluster.link.link import Connector, Link
from pycast.cluster.mirror.lineage import Lineage, Lineages
from pycast.cluster.mirror.messages import (
    Pull,
    PullReply,
    read_audio,
    read_event,
    read_lineage,
    read_refused,
    read_state,
)
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.formats.content_types import is_same_format
from pycast.formats.marks import Header
from pycast.net.group import Task
from pycast.stats.counters import MirrorCounters
from pycast.stream.fanout import Reason
from pycast.stream.journal import Started
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts
from pycast.stream.relocation import relocate
from pycast.stream.source import SourceDescription

log = logging.getLogger(__name__)

# A parent sends a frame every second (`serve.IDLE_S`); after this long without one it counts as lost.
STALL_S = 3.0

# How long a PULL may wait for its answer. The parent may have to mirror the mount itself first.
OPEN_S = 2.0


class MountAbsent(LinkError):
    """The error of a parent that does not have the mount, or not yet."""


class StaleEpoch(Exception):
    """The error of a parent whose bytes are of an epoch that is over."""


class Gap(Exception):
    """The error of a parent that does not have the next byte, which another node may have. `offset` is where the parent
    would begin.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(f"from offset {offset} on")
        self.offset = offset


class Mirror:
    """The mirror of one mount. `pull` runs one connection; `mirrors.py` decides to which parent, and when."""

    def __init__(
        self,
        name: str,
        mounts: Mounts,
        lineages: Lineages,
        state: ClusterState,
        counters: MirrorCounters,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.last_heard = clock()
        """When the last frame of a parent came, be it that there is no audio now."""
        self.is_over = False
        """Whether the mount has ended at its origin."""
        self._mounts = mounts
        self._lineages = lineages
        self._state = state
        self._counters = counters
        self._clock = clock
        self._floor: Epoch | None = None
        self._until: int | None = None
        """What the present connection is for: see `pull`."""
        self.begun = Event()
        """Set once the mount exists and has all that its parent had at the beginning."""
        self._parent_head = 0
        self._made_mount = False
        self._link: Link | None = None

    @property
    def mount(self) -> Mount | None:
        return self._mounts.get(self.name)

    @property
    def head(self) -> int:
        """The offset before which this node has everything; -1 if it has nothing."""
        mount = self.mount
        return -1 if mount is None else mount.ring.head

    @property
    def is_attached(self) -> bool:
        """Whether this mirror feeds the mount, and not a source or another mirror."""
        return self._mounts.attached(self.name) is self

    @property
    def is_beginning(self) -> bool:
        """Whether the mount is new here, and what its parent had at the beginning is still on its way: its head is some
        seconds behind, and nobody should start there.
        """
        return self._made_mount and not self.begun.is_set()

    def hang_up(self) -> None:
        """Closes the present connection."""
        if self._link is not None:
            self._link.close()

    @property
    def known(self) -> Epoch:
        """The epoch of the last byte that this node has of the mount."""
        return self._lineages.get(self.name).known_at(self.head)

    def pull(
        self,
        connector: Connector,
        address: str,
        depth: int,
        *,
        until: int | None = None,
        floor: Epoch | None = None,
        may_jump: bool = True,
    ) -> None:
        """Mirrors from the node at `address` until the connection breaks, or until everything before `until` has
        arrived, and nothing after it. `floor` is the lowest epoch whose bytes are accepted; None: the highest that was
        ever seen.

        Raises DialFailed, OSError, LinkError, StaleEpoch; Gap if the parent lacks the next byte and `may_jump` is not
        set. May switch.
        """
        link = self._link = connector.dial(address)
        self._until, self._floor = until, floor
        try:
            epoch = self.known if self.head >= 0 else NO_EPOCH
            link.write(Pull(self.name, epoch, self.head, depth).frame())
            frame = link.read(OPEN_S)
            if frame is None or frame[0] is not Kind.HEAD:
                why = read_refused(frame[1]) if frame is not None and frame[0] is Kind.REFUSED else "closed"
                raise MountAbsent(f"the node at {address} does not give {self.name}: {why}")
            head = PullReply.read(frame[1])
            if self._is_yet_to_begin(link.peer.node, head.lineage):
                raise MountAbsent(f"the node at {address} has claimed {self.name}, and is about to begin")
            self._begin(head, may_jump=may_jump)
            self._counters.connections += 1
            while not self.is_over and (until is None or self.head < until):
                frame = link.read(STALL_S)
                self._count(link)
                if frame is None:
                    raise LinkError("it closed the connection")
                self.last_heard = self._clock()
                self._take(*frame)
                # Reads of data that is there already do not switch: give the listeners a turn.
                gevent.sleep(0)
        except Malformed as error:
            connector.checks.blame(link.peer, f"mount {self.name}: {error}")
            raise
        finally:
            self._count(link)
            link.close()
            self._link = None

    def _count(self, link: Link) -> None:
        self._counters.bytes += link.bytes_read
        link.bytes_read = 0

    def mark_waiting(self) -> None:
        """Puts the mount into the state in which it waits for its source."""
        mount = self.mount
        if mount is not None and self.is_attached and mount.state is MountState.LIVE:
            mount.end()

    def _is_yet_to_begin(self, node: str, lineage: Lineage) -> bool:
        """Whether the node has claimed the mount, and still fetches what others have of it: its epoch begins with that.
        It offers nothing that is over, as one would that has not heard of a later claim.
        """
        origin = self._state.origin(self.name)
        return self._floor is None and origin is not None and origin.node == node and lineage.newest < origin.epoch

    def _begin(self, head: PullReply, *, may_jump: bool) -> None:
        # The fence comes first: nothing is touched for an epoch that is over.
        self._check(head.lineage)
        # Does the parent continue exactly where this mount ends?
        mount = self.mount
        is_same = mount is not None and mount.ring.head == head.offset
        was_waiting = mount is not None and mount.state is MountState.WAITING
        if mount is not None and not is_same:
            # No: jump there with the listeners, unless the caller wants to look for the missing bytes elsewhere first.
            if not may_jump:
                raise Gap(head.offset)
            self._jump(mount, head)
        elif mount is None or not self.is_attached or mount.started_at != head.started_at:
            # A new mount, one that another source or mirror has fed, or the same offset with another source.
            self._attach(head)
        self._lineages.put(self.name, head.lineage)
        mount = self.mount
        assert mount is not None
        # At a new place, the marks that are valid there; a mount that continues has them.
        if not is_same:
            mount.take(b"", [mark for mark in head.marks if not isinstance(mark, Started)])
        # With the state of the source, and all the parent has now, the mirror has begun: listeners are let in. But
        # those who are on a fallback do not come back for the rest of a source that is lost.
        self._set_live(mount, head.is_live and not (was_waiting and self._until is not None))
        self._parent_head = head.head
        self._check_begun(mount)

    def _check_begun(self, mount: Mount) -> None:
        if mount.ring.head >= self._parent_head:
            self.begun.set()

    def _attach(self, head: PullReply) -> None:
        """Creates the mount, or continues it, with this mirror as its source."""
        is_new = self._mounts.get(self.name) is None
        mount = self._mounts.get_or_create(self.name, head.description)
        if is_new:
            self._made_mount = True
            self.begun.clear()  # it may have begun before, with a mount that was closed since
            mount.restart_at(head.offset)
        if _has(mount, head.description, head.started_at):
            self._mounts.rebind_mirror(self.name, self)
        else:
            self._mounts.attach_mirror(self.name, self, head.description, head.started_at)

    def _jump(self, mount: Mount, head: PullReply) -> None:
        missed = max(head.offset - mount.ring.head, 0)
        self._counters.gaps += 1
        self._counters.gap_bytes += missed
        log.warning("mount %s: jumps from offset %d to %d", self.name, mount.ring.head, head.offset)
        before, feeding, restarts = mount.description.format_name, self._mounts.attached(self.name), mount.restarts

        def restart(moving: list[Listener]) -> None:
            mount.restart_at(head.offset)
            self._mounts.attach_mirror(self.name, self, head.description, head.started_at)

        # The wait for a pass may be long: by then a source of this node may feed the mount, or it may be over.
        relocate(
            mount,
            mount,
            prepare=restart,
            is_wanted=lambda: self.mount is mount and self._mounts.attached(self.name) is feeding,
        )
        if mount.restarts == restarts:
            raise LinkError("the mount is no longer mirrored")
        if not is_same_format(before, head.description.format_name):
            mount.fanout.drop_all(Reason.OTHER_FORMAT)

    def _take(self, kind: Kind, payload: bytes) -> None:
        mount = self.mount
        if mount is None or not self.is_attached:
            raise LinkError("the mount is no longer mirrored")
        match kind:
            case Kind.AUDIO:
                self._take_audio(mount, payload)
            case Kind.EVENT:
                self._take_event(mount, payload)
            case Kind.LINEAGE:
                lineage = read_lineage(payload)
                self._check(lineage)
                self._lineages.put(self.name, lineage)
            case Kind.STATE:
                if self._until is None:
                    self._set_live(mount, read_state(payload))
            case Kind.GONE:
                self.is_over = True
            case Kind.IDLE:
                self._check(self._lineages.get(self.name))
            case _:
                raise Malformed(f"an unexpected frame of kind {kind.name}")

    def _take_audio(self, mount: Mount, payload: bytes) -> None:
        self._check(self._lineages.get(self.name))
        offset, joins, data = read_audio(payload)
        if offset != mount.ring.head:
            raise LinkError(f"audio at offset {offset}, expected {mount.ring.head}")
        if self._until is not None and offset + len(data) > self._until:
            # What follows may be bytes of an epoch that ended there. Other nodes end with whole units.
            data, joins = data[: self._until - offset], [join for join in joins if join.offset < self._until]
        mount.bytes_read += len(data)
        mount.take(data, joins)
        if not self.begun.is_set():
            self._check_begun(mount)

    def _take_event(self, mount: Mount, payload: bytes) -> None:
        event = read_event(payload)
        if not isinstance(event, Started):
            if not (isinstance(event, Header) and mount.timeline.header_at(event.offset) == event.data):
                mount.take(b"", [event])
        elif not _has(mount, event.description, event.offset):
            if event.offset != mount.ring.head:
                raise LinkError(f"a source that started at offset {event.offset}, expected {mount.ring.head}")
            self._mounts.attach_mirror(self.name, self, event.description, event.offset)

    def _set_live(self, mount: Mount, is_live: bool) -> None:
        if is_live and mount.state is MountState.WAITING:
            mount.resume()
        elif not is_live and mount.state is MountState.LIVE:
            mount.end()

    def _check(self, lineage: Lineage) -> None:
        """Raises StaleEpoch for a lineage that is below the fence, and records its newest epoch as seen."""
        highest = self._state.highest(self.name)
        if lineage.newest > highest:
            try:
                self._state.check_epoch(lineage.newest)
            except ValueError as error:
                raise Malformed(str(error)) from error
        floor = highest if self._floor is None else self._floor
        if lineage.newest < floor:
            self._counters.refused_epochs += 1
            raise StaleEpoch(f"epoch {lineage.newest} is over, {floor} has been seen")
        if lineage.newest > highest:
            self._state.see(self.name, lineage.newest)


@dataclass(slots=True, eq=False)
class MirroredMount:
    """A mirror with its loop, and what that has to remember between two connections: for `mirrors.py`."""

    mirror: Mirror
    depth: int
    news: Event = field(default_factory=Event)
    task: "Task | None" = None
    parent: str = ""
    needed_at: float = 0.0
    reviewed_at: float = 0.0
    since: float = 0.0
    """When the present connection was begun."""
    failed: dict[str, float] = field(default_factory=dict)
    """Parents that failed, and when; `RETRY_S` after that they may be tried again."""
    asks_at: float = 0.0
    """When the survivors of the parent are asked next how far they are."""
    unanswered: Event = field(default_factory=Event)
    """Set when no node that may have the mount answers."""


@dataclass(frozen=True, slots=True)
class ParentLost:
    """A mirror's connection to its parent has ended, so no audio arrives."""

    mount: str


def _has(mount: Mount, description: SourceDescription, started_at: int) -> bool:
    """Whether the mount has that source already. A source without a byte may come before one at the same offset, and a
    mirror that began before the format was known is told it later.
    """
    return (mount.started_at, mount.description) == (started_at, description)
