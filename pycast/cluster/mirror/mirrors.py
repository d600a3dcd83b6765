"""The mirrors of this node: which mounts it mirrors and from which parent, with a loop for each mirror.

A mirror exists as long as it is needed: by a listener, another node, a source that stands by, or the configuration
(`mirror = "always"`). While there is an origin its parent is the choice of `parents.py`. While there is none the
survivors level: each asks the others how far they are and fetches what it lacks from the most advanced one. Then it
waits for the next origin, with its listeners. The one invariant: a mount has at most one mirror here.
"""

import logging
from collections.abc import Callable

import gevent
from gevent.event import Event

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.link import Connector, DialFailed
from pycast.cluster.link.questions import AskTail, TailAnswer
from pycast.cluster.link.rpc import RpcClient
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.parents import choose_parents
from pycast.cluster.mirror.pull import Gap, Mirror, MirroredMount, MountAbsent, ParentLost, StaleEpoch
from pycast.cluster.mirror.tails import KnownTail, ask_tails, own_tail
from pycast.cluster.registry.cluster_state import ClusterState, NodeChanged, OriginChanged, Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import NodeRecord
from pycast.config.live import Live
from pycast.net.group import Group
from pycast.net.ticks import sleep_until_tick
from pycast.signals import Signal
from pycast.stats.counters import MirrorCounters
from pycast.stream.events import SourceStarted
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)

# How long a listener waits at most for a mount that this node does not have yet.
OPEN_S = 3.0

# How long a mirror stays that is no longer needed: players come back.
LINGER_S = 15.0

# How long a parent that failed is not tried again: as long if it did not answer, less if it only lacked the mount or
# if its connection was good before. Another parent is tried meanwhile.
RETRY_S = 0.5
ABSENT_RETRY_S = 0.05

# How long after it did not answer a node is not waited for by somebody who has something else to hear. Meanwhile it is
# tried again.
SILENT_S = 2.5

# After this long without a parent the mount counts as one that waits for its source, and its fallback is used.
WAITING_S = 1.5

# How long a survivor has to send what another one lacks.
LEVEL_S = 0.5

# How often it is checked whether a mirror is still needed, and whether it has the best parent.
REVIEW_S = 1.0
PARENT_REVIEW_S = 5.0

# How often a parent is looked for, if nothing changes, and how often at least survivors are asked how far they are.
PAUSE_S = 0.2
MOST_PAUSE_S = 1.0


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
        self._mirrored: dict[str, MirroredMount] = {}
        self._replaced: dict[str, Event] = {}  # `begun` of mirrors in whose place this node claims the mount
        self._silent: dict[str, float] = {}  # nodes that could not be reached, and when

    def start(self) -> None:
        """Starts the review of the mirrors."""
        self._group.spawn_forever("review of mirrors", self._review)

    @property
    def health(self) -> float:
        """The part of the mirrors with an origin that have a parent, 0 to 1."""
        wanted = [mirrored for name, mirrored in self._mirrored.items() if self.has_origin(name)]
        return sum(1 for mirrored in wanted if mirrored.parent) / len(wanted) if wanted else 1.0

    def has_source(self, name: str) -> bool:
        """Whether a node that answers has a source for the mount."""
        origin = self._state.origin(name)
        return origin is not None and origin.is_live and self._state.is_up(origin.node)

    def has_origin(self, name: str) -> bool:
        """Whether a node that answers owns the mount, also while it waits for its source."""
        origin = self._state.origin(name)
        return origin is not None and self._state.is_up(origin.node)

    def is_beginning(self, name: str) -> bool:
        """Whether the mount is new here, and is not yet where its origin is: see `open`. Never switches."""
        mirrored = self._mirrored.get(name)
        return mirrored is not None and mirrored.mirror.is_beginning

    def __len__(self) -> int:
        return len(self._mirrored)

    def open(self, name: str, depth: int = 0, *, has_other: bool = False) -> Mount | None:
        """Returns the mount, mirrored from another node if need be; None if no node has it, or `has_other` (who asks
        would hear something else) and those that have it do not answer. May switch, for twice `OPEN_S` at most.
        """
        mount = self._mounts.get(name)
        if mount is not None and not self.is_beginning(name):
            return mount
        origin = self._state.origin(name)
        if origin is None or origin.node == self._own.now.node:
            return None
        mirror = (mirrored := self.ensure(name, depth)).mirror
        if not has_other:
            mirror.begun.wait(OPEN_S)
        elif self._may_answer(name):
            mirrored.unanswered.clear()
            gevent.wait((mirror.begun, mirrored.unanswered), OPEN_S, 1)
        if mirror.is_beginning:  # a parent was found late, and what it has is on its way
            mirror.begun.wait(OPEN_S)
        return mirror.mount

    def on_source_started(self, event: SourceStarted) -> None:
        """Lets those have the mount who wait for another node's: a source of this one feeds it. Never switches."""
        if begun := self._replaced.pop(event.mount, None):
            begun.set()

    def is_first_to_go_on(self, name: str, child: str) -> bool:
        """Whether `child` has to ask another node for the mount, because this one would ask it."""
        # Of two that have just started each may take the other for the leader of their zone, and wait for it.
        is_new = self._mounts.get(name) is None or self.is_beginning(name)
        return is_new and self._own.now.node < child and child in self._parents(name)

    def ensure(self, name: str, depth: int = 0) -> MirroredMount:
        """Starts to mirror the mount, unless it is mirrored already."""
        mirrored = self._mirrored.get(name)
        if mirrored is None:
            mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock)
            mirrored = MirroredMount(mirror, depth, needed_at=self._clock())
            self._mirrored[name] = mirrored
            mirrored.task = self._group.spawn(f"mirror of {name}", self._run, mirrored)
        return mirrored

    def release(self, name: str) -> None:
        """Ends the mirror but not the mount. May switch."""
        mirrored = self._mirrored.pop(name, None)
        if mirrored is not None and mirrored.task is not None and mirrored.task is not gevent.getcurrent():
            mirrored.task.kill()

    def has_parent(self, name: str) -> bool:
        """Whether the mount has a mirror that is connected to a parent."""
        mirrored = self._mirrored.get(name)
        return mirrored is not None and bool(mirrored.parent)

    def tail(self, question: AskTail) -> TailAnswer:
        """Answers another node how far this one is with a mount."""
        return own_tail(question, self._mounts, self._lineages)

    def level(self, name: str, over: Epoch) -> int:
        """Fetches what other nodes have of the mount's last epoch, `over`, and this one lacks. Returns the offset at
        which a new owner begins. Ends the mirror. May switch, for about `TAIL_S` + `LEVEL_S` at most.
        """
        if mirrored := self._mirrored.get(name):
            self._replaced[name] = mirrored.mirror.begun
        self.release(name)
        mirror = Mirror(name, self._mounts, self._lineages, self._state, self.counters, self._clock)
        # The node with a byte of the highest epoch has the valid ones; of those in the same epoch the longest has all.
        mine = (mirror.known, mirror.head)
        best = max(self._tails(name), default=None)
        if best is None or (best.epoch, best.head) <= mine:
            return max(mine[1], 0)
        # Fetch the rest. Also if that fails the new epoch begins after the longest tail.
        if mirror.head >= 0:
            self._fetch(mirror, best.address, best.head, floor=min(over, best.epoch))
        return max(best.head, mirror.head)

    # -- one mirror

    def _run(self, mirrored: MirroredMount) -> None:
        name = mirrored.mirror.name
        try:
            while not mirrored.mirror.is_over and not self._has_given_up(mirrored):
                self._follow_parent(mirrored)
        finally:
            mirrored.parent = ""
            # The two refer to each other, and nothing of an ended mirror must wait for the cyclic collector.
            mirrored.task = None
        if self._mirrored.get(name) is mirrored:
            del self._mirrored[name]
            mirrored.mirror.begun.set()  # there is nothing to wait for
            self._close(name, Reason.SOURCE_GONE if mirrored.mirror.is_over else Reason.ABANDONED)

    def _follow_parent(self, mirrored: MirroredMount) -> None:
        """Mirrors from one parent until the connection ends, or waits for a change if there is none. May switch."""
        mirror = mirrored.mirror
        # Choose a parent that has not just failed.
        parent = self._choose(mirrored)
        if parent is None:
            # Without one, fetch what other survivors have. If that is nothing, wait for a change, or for a moment.
            if self._clock() < mirrored.asks_at or not self._level_with_survivors(mirrored):
                is_soon = any(self._clock() - at < RETRY_S for at in mirrored.failed.values())
                mirrored.news.wait(ABSENT_RETRY_S if is_soon else PAUSE_S)
            mirrored.news.clear()
            # After some time the mount waits for its source, so that a fallback can take its listeners. A source that
            # was quiet while there was a parent has not begun to wait.
            if self._clock() - mirror.last_heard >= WAITING_S:
                mirror.mark_waiting()
            return
        # With one, mirror until the connection breaks.
        mirrored.parent, mirrored.asks_at = parent.node, 0.0
        mirrored.since = mirrored.reviewed_at = self._clock()
        log.info("< mount %s: mirrored from node %s", mirror.name, parent.node)
        try:
            mirror.pull(self._connector, parent.address, mirrored.depth, may_jump=False)
        except Gap as gap:
            self._cross_gap(mirrored, parent, gap)
        except (DialFailed, OSError, LinkError, StaleEpoch) as error:
            self._fail(mirrored, parent, error)
        finally:
            mirrored.parent = ""

    def _cross_gap(self, mirrored: MirroredMount, parent: NodeRecord, gap: Gap) -> None:
        """Handles a parent that lacks the next byte: closes the gap from another node, or else jumps. May switch."""
        mirror = mirrored.mirror
        # The parent begins after our end. Fetch from a node that has all between, of several from the least advanced.
        # The next connection then continues without a gap.
        if gap.offset > mirror.head:
            tails = [one for one in self._tails(mirror.name) if one.head >= gap.offset and one.oldest <= mirror.head]
            if tails and self._fetch(mirror, min(tails).address, gap.offset, floor=mirror.known):
                return
        # No node has it, or the parent has other bytes than this node: jump.
        mirrored.parent = parent.node
        try:
            mirror.pull(self._connector, parent.address, mirrored.depth)
        except (DialFailed, OSError, LinkError, StaleEpoch) as error:
            self._fail(mirrored, parent, error)

    def _fail(self, mirrored: MirroredMount, parent: NodeRecord, error: Exception) -> None:
        # Try again soon if the owner does not have its mount yet: the origin is announced a moment before that. And if
        # the connection was good before, because the next try shows whether the node is gone.
        was_good = not isinstance(error, DialFailed) and self._clock() - mirrored.since >= RETRY_S
        patience = ABSENT_RETRY_S if was_good or isinstance(error, MountAbsent) else RETRY_S
        mirrored.failed[parent.node] = self._clock() - RETRY_S + patience
        if isinstance(error, DialFailed):
            self._silent[parent.node] = self._clock()
            if not self._may_answer(mirrored.mirror.name):
                mirrored.unanswered.set()
        else:
            self._silent.pop(parent.node, None)
        if not mirrored.mirror.is_over:
            log.info("< mount %s: no longer mirrored from node %s: %s", mirrored.mirror.name, parent.node, error)
            mirrored.parent = ""
            self.parent_lost.emit(ParentLost(mirrored.mirror.name))

    def _parents(self, name: str) -> list[str]:
        """Returns the nodes to mirror the mount from, best first; none if its owner is not known."""
        origin = self._state.origin(name)
        owner = self._state.peer(origin.node) if origin else None
        return choose_parents(name, self._own.now, owner.record, self._state.up_nodes()) if owner else []

    def _may_answer(self, name: str) -> bool:
        """Whether one of the nodes to mirror the mount from has not just failed to answer."""
        now = self._clock()
        return any(now - self._silent.get(node, -SILENT_S) >= SILENT_S for node in self._parents(name))

    def _choose(self, mirrored: MirroredMount) -> NodeRecord | None:
        now = self._clock()
        nodes = {peer.record.node: peer.record for peer in self._state.peers if peer.status is not Status.DEAD}
        for node in self._parents(mirrored.mirror.name):
            if node in nodes and now - mirrored.failed.get(node, -RETRY_S) >= RETRY_S:
                return nodes[node]
        return None

    def _level_with_survivors(self, mirrored: MirroredMount) -> bool:
        """Fetches what other nodes have and this one lacks, while there is no parent. Returns whether all of it
        arrived. May switch.
        """
        mirror = mirrored.mirror
        # A node that has nothing of the mount begins where the next origin begins.
        if mirror.head < 0:
            return False
        mine = (mirror.known, mirror.head)
        now = self._clock()
        silent = [node for node, at in mirrored.failed.items() if now - at < SILENT_S]
        best = max(self._tails(mirror.name, *silent), default=None)
        # Ask less and less often: when a node is lost that had hundreds of mounts, the others have better things to do.
        mirrored.asks_at = now + min(max(now - mirror.last_heard, ABSENT_RETRY_S), MOST_PAUSE_S)
        # A node with a higher epoch that is not further than this one has other bytes. They come from their owner only.
        if best is None or (best.epoch, best.head) <= mine or best.head <= mirror.head:
            return False
        # What they lack may be of the epoch before that of an owner that came and went.
        floor = None if self.has_origin(mirror.name) else best.epoch
        return self._fetch(mirror, best.address, best.head, floor)

    def _fetch(self, mirror: Mirror, address: str, until: int, floor: Epoch | None) -> bool:
        """As `Mirror.pull`, from the node at `address`. Returns whether all before `until` arrived. May switch."""
        try:
            with gevent.Timeout(LEVEL_S, TimeoutError("too slow")):
                mirror.pull(self._connector, address, 0, until=until, floor=floor, may_jump=False)
        except (DialFailed, OSError, LinkError, StaleEpoch, Gap) as error:
            log.info("< mount %s: the node at %s did not give what is missing: %s", mirror.name, address, error)
        return mirror.head >= until

    def _tails(self, name: str, *without: str) -> list[KnownTail]:
        return ask_tails(name, (self._own.now.node, *without), self._state, self._peers)

    # -- which mirrors are needed, and from which parent

    def on_node_changed(self, change: NodeChanged) -> None:
        """Wakes the mirrors without a parent, to look for one."""
        for mirrored in self._mirrored.values():
            mirrored.news.set()

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Starts a mirror that the configuration wants, and leaves a parent that is no longer the right one."""
        after, me = change.after, self._own.now
        if after is not None and after.node != me.node and self._is_always(change.mount):
            self.ensure(change.mount)
        held = self._mirrored.get(change.mount)
        if held is not None:
            held.news.set()
            if after is not None and (change.before is None or change.before.epoch != after.epoch):
                held.failed.clear()
                if held.parent and held.parent not in self._parents(change.mount):
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

    def _review_mirror(self, name: str, mirrored: MirroredMount, now: float) -> None:
        mount = self._mounts.get(name)
        if bool(mount and len(mount.fanout)) or self._children.count(name) or self._is_always(name):
            mirrored.needed_at = now
        # Who is on a file in its place waits for it.
        if now - mirrored.needed_at >= LINGER_S and not self._mounts.asking_for(name):
            log.info("< mount %s: its mirror is no longer needed", name)
            self.release(name)
            # That may have switched: another mirror, or a source of this node, may feed the mount by now.
            if name not in self._mirrored and self._mounts.source(name) is None:
                if (mount := self._mounts.get(name)) is not None and len(mount.fanout):
                    self.ensure(name)  # or somebody was moved to it
                else:
                    self._close(name, Reason.ABANDONED)
        elif mirrored.parent and now - mirrored.reviewed_at >= PARENT_REVIEW_S:
            self._review_parent(mirrored, now)

    def _review_parent(self, mirrored: MirroredMount, now: float) -> None:
        mirrored.reviewed_at = now
        best = self._choose(mirrored)
        if best is not None and best.node != mirrored.parent:
            log.info("< mount %s: node %s is the better parent now", mirrored.mirror.name, best.node)
            mirrored.mirror.hang_up()

    def _has_given_up(self, mirrored: MirroredMount) -> bool:
        """Whether there is no origin, and has been no audio for longer than listeners wait."""
        name = mirrored.mirror.name
        mount, patience = self._mounts.get(name), self._settings.now.for_mount(name).longest_silence
        last = mirrored.needed_at if mount is None else max(mount.last_audio, mirrored.needed_at - patience)
        return self._clock() - last >= patience and self._state.origin(name) is None

    def _close(self, name: str, reason: Reason) -> None:
        self._lineages.forget(name)
        self._mounts.close(name, reason)
