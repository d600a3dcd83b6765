"""Which mounts this node mirrors, and from whom: each mirror's loop, from its first listener to its last.

A mirror goes on for as long as somebody needs it: a listener, another node, a source that stands by, or the
configuration (`mirror = "always"`). Its parent is the choice of `parents.py` while the origin is there. When it is not,
the survivors level: each asks the others how far they are, and gets from the most advanced what it lacks; then it waits
for the next origin, and its listeners with it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.link import Connector, DialFailed
from pycast.cluster.link.questions import AskTail, Tail, TailAnswer
from pycast.cluster.link.rpc import RpcClient
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.parents import choose_parents
from pycast.cluster.mirror.pull import Gap, Mirror, MountAbsent, Outrun
from pycast.cluster.registry.cluster_state import ClusterState, NodeChanged, OriginChanged, Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import NodeRecord
from pycast.config.live import Live
from pycast.net.group import Group, Task
from pycast.net.ticks import sleep_until_tick
from pycast.signals import Signal
from pycast.stats.counters import MirrorCounters
from pycast.stream.fanout import Reason
from pycast.stream.mount import LISTENER_SILENCE_S, Mount
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)

# A listener who asks for a mount that is not here yet waits at most this long for it.
OPEN_S = 3.0

# A mirror that nobody needs stays for as long: players come back.
LINGER_S = 15.0

# A parent that failed is not asked again before this; another one is tried meanwhile.
RETRY_S = 0.5
ABSENT_RETRY_S = 0.05

# Without a parent for this long the mount counts as one that waits for its source, and its fallback is taken.
WAITING_S = 1.5

# How long survivors have to say how far they are, and to give what another one lacks.
TAIL_S = 0.4
LEVEL_S = 0.5

# How often it is asked whether a mirror is still needed, and whether it has the parent that it should have.
REVIEW_S = 1.0
PARENT_REVIEW_S = 5.0

# Between two looks for a parent, if no news comes.
PAUSE_S = 0.2


@dataclass(slots=True, eq=False)
class _MirroredMount:
    mirror: Mirror
    depth: int
    news: Event = field(default_factory=Event)
    task: "Task | None" = None
    parent: str = ""
    needed_at: float = 0.0
    reviewed_at: float = 0.0
    since: float = 0.0
    """When the present line was begun."""
    failed: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParentLost:
    """No audio comes for a mirror any more: its line to its parent has ended."""

    mount: str


class Mirrors:
    """The mirrors of this node."""

    def __init__(
        self,
        settings: Live,
        own: OwnRecord,
        connector: Connector,
        peers: RpcClient,
        mounts: Mounts,
        lineages: Lineages,
        state: ClusterState,
        children: Children,
        is_kept: Callable[[str], bool],
        group: Group,
        clock: Callable[[], float],
    ) -> None:
        self.counters = MirrorCounters()
        self.parent_lost: Signal[ParentLost] = Signal()
        self._settings = settings
        self._own = own
        self._connector = connector
        self._peers = peers
        self._mounts = mounts
        self._lineages = lineages
        self._state = state
        self._children = children
        self._is_kept = is_kept
        self._group = group
        self._clock = clock
        self._mirrored: dict[str, _MirroredMount] = {}

    def start(self) -> None:
        """Looks after the mirrors from now on."""
        self._group.spawn_forever("review of mirrors", self._review)

    @property
    def health(self) -> float:
        """Which part of the mirrors has a line to a parent, of those whose source could be had, 0 to 1."""
        wanted = [mirrored for name, mirrored in self._mirrored.items() if self._has_origin(name)]
        return sum(1 for mirrored in wanted if mirrored.parent) / len(wanted) if wanted else 1.0

    def has_source(self, name: str) -> bool:
        """Whether a node that answers has a source for the mount."""
        origin = self._state.origin(name)
        return origin is not None and origin.is_live and self._state.is_up(origin.node)

    def _has_origin(self, name: str) -> bool:
        origin = self._state.origin(name)
        return origin is not None and self._state.is_up(origin.node)

    def __len__(self) -> int:
        return len(self._mirrored)

    def open(self, name: str, depth: int = 0) -> Mount | None:
        """The mount, mirrored from another node if need be; None if no node has it. May switch."""
        mount = self._mounts.get(name)
        if mount is not None:
            return mount
        origin = self._state.origin(name)
        if origin is None or origin.node == self._own.now.node:
            return None
        mirrored = self.ensure(name, depth)
        mirrored.mirror.begun.wait(OPEN_S)
        return mirrored.mirror.mount

    def ensure(self, name: str, depth: int = 0) -> _MirroredMount:
        """Mirrors the mount from now on, if it does not already."""
        mirrored = self._mirrored.get(name)
        if mirrored is None:
            mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock)
            mirrored = _MirroredMount(mirror, depth, needed_at=self._clock())
            self._mirrored[name] = mirrored
            mirrored.task = self._group.spawn(f"mirror of {name}", self._run, mirrored)
        return mirrored

    def release(self, name: str) -> None:
        """Ends the mirror and leaves the mount to whoever has it now. May switch."""
        mirrored = self._mirrored.pop(name, None)
        if mirrored is not None and mirrored.task is not None and mirrored.task is not gevent.getcurrent():
            mirrored.task.kill()

    def has_parent(self, name: str) -> bool:
        """Whether audio can come: the mirror has a line to another node."""
        mirrored = self._mirrored.get(name)
        return mirrored is not None and bool(mirrored.parent)

    def tail(self, question: AskTail) -> TailAnswer:
        """How far this node is with a mount: an answer to another node."""
        name = question.mount
        mount, lineage = self._mounts.get(name), self._lineages.get(name)
        if mount is None or not lineage.entries:
            return TailAnswer()
        return TailAnswer(Tail(lineage.newest, mount.ring.head, mount.ring.oldest))

    def level(self, name: str, over: Epoch) -> int:
        """Gets what other nodes have of the mount's last epoch, `over`, and this one does not. Returns the offset at
        which a new owner goes on. Ends the mirror. May switch, for `TAIL_S` + `LEVEL_S` at most.
        """
        # Our own mirror is replaced by one that may take bytes of the epoch that is over: they are what we want.
        self.release(name)
        mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock, floor=over)
        # The higher epoch has the right bytes, and of the same epoch the longer tail has all that the others have.
        mine = (self._lineages.get(name).newest, mirror.head)
        tails = self._tails(name)
        best = max(tails, default=None)
        if best is None or best[:2] <= mine:
            return max(mine[1], 0)
        # Whether or not we get it, the others have it: the next byte comes after the longest tail.
        if mirror.head >= 0:
            self._fetch(mirror, best[2], best[1])
        return max(best[1], mirror.head)

    # -- one mirror

    def _run(self, mirrored: _MirroredMount) -> None:
        name = mirrored.mirror.name
        try:
            while not mirrored.mirror.is_over and not self._has_given_up(mirrored):
                self._go_on(mirrored)
        finally:
            mirrored.parent = ""
        if self._mirrored.get(name) is mirrored:
            del self._mirrored[name]
            self._close(name, Reason.SOURCE_GONE if mirrored.mirror.is_over else Reason.ABANDONED)

    def _go_on(self, mirrored: _MirroredMount) -> None:
        """One line to one parent, or a wait for news."""
        mirror = mirrored.mirror
        # A parent, if there is one that has not just failed.
        parent = self._choose(mirrored)
        if parent is None:
            # None: get what the survivors have; if there is nothing, wait for news, but not long after a failure.
            if not self._level_with_survivors(mirrored):
                is_soon = any(self._clock() - at < RETRY_S for at in mirrored.failed.values())
                mirrored.news.wait(ABSENT_RETRY_S if is_soon else PAUSE_S)
            mirrored.news.clear()
            # By now listeners should know that the source is gone: a fallback can take them.
            if self._clock() - mirror.last_data >= WAITING_S:
                mirror.wait()
            return
        # The line, until it breaks. A parent that lacks our next byte is left for a moment: another node may have it.
        mirrored.parent = parent.node
        mirrored.since = mirrored.reviewed_at = self._clock()
        log.info("< mount %s: mirrored from node %s", mirror.name, parent.node)
        try:
            mirror.pull(self._connector, parent.address, mirrored.depth, may_jump=False)
        except Gap as gap:
            self._cross(mirrored, parent, gap)
        except (DialFailed, OSError, LinkError, Outrun) as error:
            self._fail(mirrored, parent, error)
        finally:
            mirrored.parent = ""

    def _cross(self, mirrored: _MirroredMount, parent: NodeRecord, gap: Gap) -> None:
        """The parent has not the next byte. If another node has it the gap is closed, else it is jumped."""
        mirror = mirrored.mirror
        # The parent begins later than we end. A node that has all from here to there closes the gap; of several, the
        # one that is the least ahead.
        if gap.offset > mirror.head:
            tails = [tail for tail in self._tails(mirror.name) if tail[1] >= gap.offset and tail[3] <= mirror.head]
            if tails and self._fetch(mirror, min(tails)[2], gap.offset):
                return
        # Nobody has it, or the parent has other bytes than we have: jump.
        mirrored.parent = parent.node
        try:
            mirror.pull(self._connector, parent.address, mirrored.depth)
        except (DialFailed, OSError, LinkError, Outrun) as error:
            self._fail(mirrored, parent, error)

    def _fail(self, mirrored: _MirroredMount, parent: NodeRecord, error: Exception) -> None:
        # An owner is known a moment before its mount is there: nobody should wait for that longer than it takes.
        # And a line that was good may only have been cut: if its node is gone, the next try tells.
        was_good = not isinstance(error, DialFailed) and self._clock() - mirrored.since >= RETRY_S
        patience = ABSENT_RETRY_S if isinstance(error, MountAbsent) or was_good else RETRY_S
        mirrored.failed[parent.node] = self._clock() - RETRY_S + patience
        if not mirrored.mirror.is_over:
            log.info("< mount %s: no longer mirrored from node %s: %s", mirrored.mirror.name, parent.node, error)
            mirrored.parent = ""
            self.parent_lost.emit(ParentLost(mirrored.mirror.name))

    def _choose(self, mirrored: _MirroredMount) -> NodeRecord | None:
        name, me, now = mirrored.mirror.name, self._own.now, self._clock()
        origin = self._state.origin(name)
        owner = self._state.peer(origin.node) if origin else None
        if owner is None:
            return None
        nodes = {peer.record.node: peer.record for peer in self._state.peers if peer.status is not Status.DEAD}
        for node in choose_parents(name, me, owner.record, self._state.up_nodes()):
            if node in nodes and now - mirrored.failed.get(node, -RETRY_S) >= RETRY_S:
                return nodes[node]
        return None

    def _level_with_survivors(self, mirrored: _MirroredMount) -> bool:
        """Gets what others have and this node does not, while there is no origin. Whether there was something."""
        mirror = mirrored.mirror
        # Who has nothing of the mount begins where the next origin does.
        if mirror.head < 0:
            return False
        mine = (self._lineages.get(mirror.name).newest, mirror.head)
        best = max(self._tails(mirror.name), default=None)
        # Of a higher epoch and yet not further than we are: those are other bytes, which only its owner can offer.
        is_ahead = best is not None and best[:2] > mine and best[1] > mirror.head
        # What it gets is of the same past: the next origin finds all survivors at the same byte.
        return best is not None and is_ahead and self._fetch(mirror, best[2], best[1])

    def _fetch(self, mirror: Mirror, address: str, until: int) -> bool:
        """Whether everything before `until` could be had from the node at `address`."""
        try:
            with gevent.Timeout(LEVEL_S, TimeoutError("too slow")):
                mirror.pull(self._connector, address, 0, until=until, may_jump=False)
        except (DialFailed, OSError, LinkError, Outrun, Gap) as error:
            log.info("< mount %s: could not be levelled with the node at %s: %s", mirror.name, address, error)
        return mirror.head >= until

    def _tails(self, name: str) -> list[tuple[Epoch, int, str, int]]:
        """Of each node that has the mount: newest epoch, head, address, oldest offset."""
        me = self._own.now.node
        addresses = [peer.record.address for peer in self._state.peers if peer.record.node != me and peer.is_up]
        answers = self._peers.call_all(addresses, AskTail(name), TAIL_S)
        tails = ((address, answer.tail) for address, answer in answers.items())
        return [(tail.epoch, tail.head, address, tail.oldest) for address, tail in tails if tail is not None]

    # -- who is needed

    def on_node_changed(self, change: NodeChanged) -> None:
        """Looks for a better parent, or one at all."""
        for mirrored in self._mirrored.values():
            mirrored.news.set()

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Mirrors what is always mirrored, and leaves a parent that is none any more."""
        after, me = change.after, self._own.now
        if after is not None and after.node != me.node and self._is_always(change.mount):
            self.ensure(change.mount)
        held = self._mirrored.get(change.mount)
        if held is not None:
            held.news.set()
            if after is not None and (change.before is None or change.before.epoch != after.epoch):
                held.failed.clear()
                owner = self._state.peer(after.node)
                wanted = choose_parents(change.mount, me, owner.record, self._state.up_nodes()) if owner else []
                if held.parent and held.parent not in wanted:
                    held.mirror.hang_up()

    def _is_always(self, name: str) -> bool:
        return self._settings.now.cluster.mirror == "always" or self._is_kept(name)

    def _review(self) -> None:
        while True:
            sleep_until_tick(REVIEW_S)
            now = self._clock()
            for name in list(self._mirrored):
                if name in self._mirrored:
                    self._review_mirror(name, self._mirrored[name], now)

    def _review_mirror(self, name: str, mirrored: _MirroredMount, now: float) -> None:
        mount = self._mounts.get(name)
        if bool(mount and len(mount.fanout)) or self._children.count(name) or self._is_always(name):
            mirrored.needed_at = now
        if now - mirrored.needed_at >= LINGER_S:
            log.info("< mount %s: nobody needs the mirror any more", name)
            self.release(name)
            self._close(name, Reason.ABANDONED)
        elif mirrored.parent and now - mirrored.reviewed_at >= PARENT_REVIEW_S:
            self._review_parent(mirrored, now)

    def _review_parent(self, mirrored: _MirroredMount, now: float) -> None:
        mirrored.reviewed_at = now
        best = self._choose(mirrored)
        if best is not None and best.node != mirrored.parent:
            log.info("< mount %s: node %s is the better parent now", mirrored.mirror.name, best.node)
            mirrored.mirror.hang_up()

    def _has_given_up(self, mirrored: _MirroredMount) -> bool:
        """No origin, and nothing for longer than any listener would wait."""
        mount = self._mounts.get(mirrored.mirror.name)
        last = mirrored.needed_at if mount is None else max(mount.last_audio, mirrored.needed_at - LISTENER_SILENCE_S)
        gone = self._clock() - last
        return gone >= LISTENER_SILENCE_S and self._state.origin(mirrored.mirror.name) is None

    def _close(self, name: str, reason: Reason) -> None:
        self._lineages.forget(name)
        self._mounts.close(name, reason)
