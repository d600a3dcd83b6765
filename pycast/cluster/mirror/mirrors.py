"""Which mounts this node copies, and from whom: each copy's loop, from its first listener to its last.

A copy goes on for as long as somebody needs it: a listener, another node, a source that stands by, or the configuration
(`mirror = "always"`). Whom it copies from is `tree.py`'s choice while the origin is there. When it is not, the
survivors level: each asks the others how far they are, and gets from the most advanced what it lacks; then it waits for
the next origin, and its listeners with it.
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

# A copy that nobody needs stays for as long: players come back.
LINGER_S = 15.0

# A parent that failed is not asked again before this; another one is tried meanwhile.
RETRY_S = 0.5
ABSENT_RETRY_S = 0.05

# Without a parent for this long the mount counts as one that waits for its source, and its fallback is taken.
WAITING_S = 1.5

# How long survivors have to say how far they are, and to give what another one lacks.
TAIL_S = 0.4
LEVEL_S = 0.5

# How often a copy looks whether it has the parent it should have, and whether it is still needed.
REVIEW_S = 1.0
PARENT_REVIEW_S = 5.0

# Between two looks for a parent, if no news comes.
PAUSE_S = 0.2


@dataclass(slots=True, eq=False)
class _Mirrored:
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
    """The copies of this node."""

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
        self._copies: dict[str, _Mirrored] = {}

    def start(self) -> None:
        """Looks after the copies from now on."""
        self._group.spawn_forever("review of mirrors", self._review)

    @property
    def health(self) -> float:
        """Which part of the copies has a line to a parent, of those whose source could be had, 0 to 1."""
        wanted = [copy for name, copy in self._copies.items() if self._has_origin(name)]
        return sum(1 for copy in wanted if copy.parent) / len(wanted) if wanted else 1.0

    def has_source(self, name: str) -> bool:
        """Whether a node that answers has a source for the mount."""
        origin = self._state.origin(name)
        return origin is not None and origin.is_live and self._state.is_up(origin.node)

    def _has_origin(self, name: str) -> bool:
        origin = self._state.origin(name)
        return origin is not None and self._state.is_up(origin.node)

    def __len__(self) -> int:
        return len(self._copies)

    def open(self, name: str, depth: int = 0) -> Mount | None:
        """The mount, copied from another node if need be; None if no node has it. May switch."""
        mount = self._mounts.get(name)
        if mount is not None and mount.description is not None:
            return mount
        origin = self._state.origin(name)
        if origin is None or origin.node == self._own.now.node:
            return None
        copy = self.ensure(name, depth)
        copy.mirror.begun.wait(OPEN_S)
        return copy.mirror.mount

    def ensure(self, name: str, depth: int = 0) -> _Mirrored:
        """Copies the mount from now on, if it does not already."""
        copy = self._copies.get(name)
        if copy is None:
            mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock)
            copy = _Mirrored(mirror, depth, needed_at=self._clock())
            self._copies[name] = copy
            copy.task = self._group.spawn(f"mirror of {name}", self._run, copy)
        return copy

    def release(self, name: str) -> None:
        """Ends the copy and leaves the mount to whoever has it now. May switch."""
        copy = self._copies.pop(name, None)
        if copy is not None and copy.task is not None and copy.task is not gevent.getcurrent():
            copy.task.kill()

    def has_parent(self, name: str) -> bool:
        """Whether audio can come: the copy has a line to another node."""
        copy = self._copies.get(name)
        return copy is not None and bool(copy.parent)

    def tail(self, question: AskTail) -> TailAnswer:
        """How far this node is with a mount: an answer to another node."""
        name = question.mount
        mount, lineage = self._mounts.get(name), self._lineages.get(name)
        if mount is None or mount.description is None or not lineage.entries:
            return TailAnswer()
        return TailAnswer(Tail(lineage.newest, mount.ring.head, mount.ring.oldest))

    def level(self, name: str, over: Epoch) -> int:
        """Gets what other nodes have of the mount's last epoch, `over`, and this one does not. Returns the offset at
        which a new owner goes on. Ends the copy. May switch, for `TAIL_S` + `LEVEL_S` at most.
        """
        self.release(name)
        # That epoch is over, and what it left behind is what we want.
        mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock, floor=over)
        mine = (self._lineages.get(name).newest, mirror.head)
        tails = self._tails(name)
        best = max(tails, default=None)
        if best is None or best[:2] <= mine:
            return max(mine[1], 0)
        if mirror.head >= 0:
            self._fetch(mirror, best[2], best[1])
        return max(best[1], mirror.head)

    # -- one copy

    def _run(self, copy: _Mirrored) -> None:
        name = copy.mirror.name
        try:
            while not copy.mirror.is_over and not self._has_given_up(copy):
                self._go_on(copy)
        finally:
            copy.parent = ""
        if self._copies.get(name) is copy:
            del self._copies[name]
            self._close(name, Reason.SOURCE_GONE if copy.mirror.is_over else Reason.ABANDONED)

    def _go_on(self, copy: _Mirrored) -> None:
        """One line to one parent, or a wait for news."""
        mirror = copy.mirror
        parent = self._choose(copy)
        if parent is None:
            if not self._level_with_survivors(copy):
                is_soon = any(self._clock() - at < RETRY_S for at in copy.failed.values())
                copy.news.wait(ABSENT_RETRY_S if is_soon else PAUSE_S)
            copy.news.clear()
            if self._clock() - mirror.last_data >= WAITING_S:
                mirror.wait()
            return
        copy.parent = parent.node
        copy.since = copy.reviewed_at = self._clock()
        log.info("< mount %s: copied from node %s", mirror.name, parent.node)
        try:
            mirror.pull(self._connector, parent.address, copy.depth, may_jump=False)
        except Gap as gap:
            self._cross(copy, parent, gap)
        except (DialFailed, OSError, LinkError, Outrun) as error:
            self._fail(copy, parent, error)
        finally:
            copy.parent = ""

    def _cross(self, copy: _Mirrored, parent: NodeRecord, gap: Gap) -> None:
        """The parent has not the next byte. If another node has it the gap is closed, else it is jumped."""
        mirror = copy.mirror
        if gap.offset > mirror.head:
            tails = [tail for tail in self._tails(mirror.name) if tail[1] >= gap.offset and tail[3] <= mirror.head]
            if tails and self._fetch(mirror, min(tails)[2], gap.offset):
                return
        copy.parent = parent.node
        try:
            mirror.pull(self._connector, parent.address, copy.depth)
        except (DialFailed, OSError, LinkError, Outrun) as error:
            self._fail(copy, parent, error)

    def _fail(self, copy: _Mirrored, parent: NodeRecord, error: Exception) -> None:
        # An owner is known a moment before its mount is there: nobody should wait for that longer than it takes.
        # And a line that was good may only have been cut: if its node is gone, the next try tells.
        was_good = not isinstance(error, DialFailed) and self._clock() - copy.since >= RETRY_S
        patience = ABSENT_RETRY_S if isinstance(error, MountAbsent) or was_good else RETRY_S
        copy.failed[parent.node] = self._clock() - RETRY_S + patience
        if not copy.mirror.is_over:
            log.info("< mount %s: no longer copied from node %s: %s", copy.mirror.name, parent.node, error)
            copy.parent = ""
            self.parent_lost.emit(ParentLost(copy.mirror.name))

    def _choose(self, copy: _Mirrored) -> NodeRecord | None:
        name, me, now = copy.mirror.name, self._own.now, self._clock()
        origin = self._state.origin(name)
        owner = self._state.peer(origin.node) if origin else None
        if owner is None:
            return None
        nodes = {peer.record.node: peer.record for peer in self._state.peers if peer.status is not Status.DEAD}
        for node in choose_parents(name, me, owner.record, self._state.up_nodes()):
            if node in nodes and now - copy.failed.get(node, -RETRY_S) >= RETRY_S:
                return nodes[node]
        return None

    def _level_with_survivors(self, copy: _Mirrored) -> bool:
        """Gets what others have and this node does not, while there is no origin. Whether there was something."""
        mirror = copy.mirror
        if mirror.head < 0:
            return False
        mine = (self._lineages.get(mirror.name).newest, mirror.head)
        best = max(self._tails(mirror.name), default=None)
        # Of a higher epoch and yet not further than we are: those are other bytes, which only its owner can offer.
        is_ahead = best is not None and best[:2] > mine and best[1] > mirror.head
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
        for copy in self._copies.values():
            copy.news.set()

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Mirrors what is always mirrored, and leaves a parent that is none any more."""
        after, me = change.after, self._own.now
        if after is not None and after.node != me.node and self._is_always(change.mount):
            self.ensure(change.mount)
        held = self._copies.get(change.mount)
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
            for name in list(self._copies):
                if name in self._copies:
                    self._review_copy(name, self._copies[name], now)

    def _review_copy(self, name: str, copy: _Mirrored, now: float) -> None:
        mount = self._mounts.get(name)
        if bool(mount and len(mount.fanout)) or self._children.count(name) or self._is_always(name):
            copy.needed_at = now
        if now - copy.needed_at >= LINGER_S:
            log.info("< mount %s: nobody needs the copy any more", name)
            self.release(name)
            self._close(name, Reason.ABANDONED)
        elif copy.parent and now - copy.reviewed_at >= PARENT_REVIEW_S:
            self._review_parent(copy, now)

    def _review_parent(self, copy: _Mirrored, now: float) -> None:
        copy.reviewed_at = now
        best = self._choose(copy)
        if best is not None and best.node != copy.parent:
            log.info("< mount %s: node %s is the better parent now", copy.mirror.name, best.node)
            copy.mirror.hang_up()

    def _has_given_up(self, copy: _Mirrored) -> bool:
        """No origin, and nothing for longer than any listener would wait."""
        mount = self._mounts.get(copy.mirror.name)
        last = copy.needed_at if mount is None else max(mount.last_audio, copy.needed_at - LISTENER_SILENCE_S)
        gone = self._clock() - last
        return gone >= LISTENER_SILENCE_S and self._state.origin(copy.mirror.name) is None

    def _close(self, name: str, reason: Reason) -> None:
        self._lineages.forget(name)
        self._mounts.close(name, reason)
