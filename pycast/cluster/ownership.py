"""Who has a mount's source: how a source gets on the air here, waits for its turn, and leaves.

On a node alone this is Icecast's rule with two additions: a source that calls again replaces its silent former self,
and a second source can stand by. In a cluster the mount also has to be ours: the present owner is asked whether its
source is alive, the registry is the referee, and the bytes go on where those of the owner before ended. A node that
hears of a higher epoch for a mount of its own steps down: its source stands by, its listeners follow the new owner's
bytes, and nobody is disconnected.

Decisions about one mount are made one at a time (`_turns`), because they switch. The one invariant: a source is on the
air here only while no higher epoch than ours is known.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from gevent.event import Event

from pycast.cluster.link.questions import Alive, IsAlive, Yield, Yielded
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.mirrors import ParentLost
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.registry.cluster_state import OriginChanged
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import OriginRecord
from pycast.cluster.registry.registry import Held
from pycast.cluster.standbys import Standbys
from pycast.config.live import Live
from pycast.errors import Refused
from pycast.formats.standby import StandbyStream
from pycast.net.group import Group
from pycast.net.keyed_lock import KeyedLock
from pycast.stats.counters import OwnershipCounters
from pycast.stream.events import MountClosed
from pycast.stream.mounts import SOURCE_SILENT_S, Mounts
from pycast.stream.relocation import relocate
from pycast.stream.source import Source

log = logging.getLogger(__name__)

# Claims that lose against another claim are decided anew.
TRIES = 3

# A source that made way for a newer one does not try to come back while that one claims the mount.
HOLD_OFF_S = 3.0

# A source that stands by looks this often whether its turn has come, also without news.
LOOK_S = 1.0


class Ownership:
    """The sources of this node. Without `cluster` it is alone."""

    def __init__(
        self,
        settings: Live,
        mounts: Mounts,
        lineages: Lineages,
        standbys: Standbys,
        group: Group,
        clock: Callable[[], float],
        cluster: OwnerClient | None = None,
    ) -> None:
        self.counters = OwnershipCounters()
        self._settings = settings
        self._mounts = mounts
        self._lineages = lineages
        self._group = group
        self._clock = clock
        self._cluster = cluster
        self._turns = KeyedLock()
        self._hold_off: dict[str, float] = {}
        self._owned: dict[str, OriginRecord] = {}
        self._claiming: set[str] = set()
        self._standbys = standbys
        self._news: dict[str, Event] = {}

    # -- what others want to know

    def owns(self, name: str) -> bool:
        """Whether the mount is this node's, in the cluster's eyes."""
        return name in self._owned

    def is_alive(self, question: IsAlive) -> Alive:
        """Whether a mount's source is on the air here and sends: an answer to another node."""
        name = question.mount
        is_coming = name in self._claiming  # it has the mount and is about to begin
        return Alive(is_coming or (self.owns(name) and not self._mounts.is_silent(name)))

    def yield_mount(self, question: Yield) -> Yielded:
        """Takes the mount's source off the air for a newer one elsewhere: an answer to another node. May switch."""
        name = question.mount
        with self._turns.of(name):
            if self.owns(name):
                self._hold_off[name] = self._clock() + HOLD_OFF_S
                self._to_standby(name)
                self._publish(name, is_live=False)
        return Yielded()

    # -- a source's life

    def check(self, name: str, credentials: tuple[str, str]) -> None:
        """Raises Refused if a source with these credentials has no chance, as far as this node knows; in Icecast's
        order.
        """
        if self._mounts.source(name) is None:
            self._check_room()
        elif not self._mounts.may_take_over(name, credentials):
            self._refuse_if_rejecting(name)
            self._check_room()

    def admit(self, name: str, source: Source) -> None:
        """A source has come: it is on the air, or stands by, when this returns. Raises Refused. May switch."""
        with self._turns.of(name):
            self.check(name, source.credentials)
            if self._mounts.may_take_over(name, source.credentials):
                self._replace(name, source)
            elif not self._try_to_go_on_air(name, source):
                self._resolve(name, source)

    def remove(self, name: str, source: Source) -> None:
        """A source has gone. May switch."""
        source.sink = None
        if self._standbys.remove(name, source):
            log.info("mount %s: a source that stood by is gone", name)
            return
        if self._mounts.source(name) is not source:
            return  # replaced
        heir = self._standbys.first(name)
        if heir is not None:
            self._standbys.remove(name, heir)
            self._put_on_air(name, heir)
            return
        self._mounts.release(name, source)
        self._publish(name, is_live=False)

    def disconnect_all(self) -> None:
        """The node drains: its sources have to connect elsewhere. Their mounts wait for them on all nodes."""
        for name in list(self._owned):
            source = self._mounts.source(name)
            if source is not None:
                source.stop("the node drains: it has to connect to another one")
        for source in self._standbys.all():
            source.stop("the node drains: it has to stand by on another one")

    # -- decisions

    def _try_to_go_on_air(self, name: str, source: Source) -> bool:
        """Puts `source` on the air unless another one is alive. Raises Refused. May switch."""
        if self._mounts.source(name) is not None:
            return False
        if self._cluster is None or self.owns(name):
            self._put_on_air(name, source)
            return True
        for _ in range(TRIES):
            if self._cluster.is_alive_elsewhere(name):
                return False
            self._claiming.add(name)
            try:
                if self._claim(name, source):
                    self._put_on_air(name, source)
                    return True
            finally:
                self._claiming.discard(name)
        return False

    def _resolve(self, name: str, source: Source) -> None:
        """Another source is on the air: what this one gets is the mount's policy. Raises Refused. May switch."""
        self._refuse_if_rejecting(name)
        if self._settings.now.for_mount(name).on_conflict == "take_over":
            self._ask_to_yield(name)
            if self._try_to_go_on_air(name, source):
                return
        self._stand_by(name, source)

    def _replace(self, name: str, source: Source) -> None:
        held = self._mounts.source(name)
        assert held is not None
        log.info("mount %s: its source was silent and is replaced by the one from %s", name, source.description.ip)
        held.replace()
        self._put_on_air(name, source)

    def _ask_to_yield(self, name: str) -> None:
        if self._mounts.source(name) is not None:
            self._to_standby(name)
        elif self._cluster is not None:
            self._cluster.ask_to_yield(name)

    def _claim(self, name: str, source: Source) -> bool:
        """Makes the mount ours, with everything in it that the other nodes have. May switch."""
        assert self._cluster is not None
        cluster, over = self._cluster, self._highest(name)
        offer = cluster.offer(name, source.description)
        answer = cluster.registry.claim(offer, over)
        if isinstance(answer, Held):
            self.counters.held += 1
            return False
        self.counters.won += 1
        self.counters.provisional += answer.is_provisional
        base = cluster.mirrors.level(name, over)
        if cluster.registry.state.highest(name) > answer.epoch:
            cluster.mirrors.ensure(name)  # lost again meanwhile
            return False
        self._move_to(name, base)
        self._own(replace(offer, epoch=answer.epoch, base=base, is_provisional=answer.is_provisional))
        log.info("mount %s: claimed, epoch %s from offset %d", name, answer.epoch, base)
        return True

    def _own(self, origin: OriginRecord) -> None:
        self._owned[origin.mount] = origin
        lineage = self._lineages.get(origin.mount)
        self._lineages.put(origin.mount, lineage.with_epoch(origin.epoch, origin.base))

    def _move_to(self, name: str, base: int) -> None:
        """The mount goes on at `base`; if it was elsewhere its listeners jump. May switch."""
        mount = self._mounts.get_or_create(name)
        if mount.ring.head == base:
            return
        relocate(mount, mount, prepare=lambda moving: mount.restart_at(base))
        self._lineages.forget(name)

    # -- on the air, off the air

    def _put_on_air(self, name: str, source: Source) -> None:
        """`source` is on the air from now on. Never switches."""
        mount = self._mounts.get(name)
        warm = source.sink if isinstance(source.sink, StandbyStream) else None
        head = mount.ring.head if mount is not None else 0
        source.sink = self._mounts.attach_source(name, source, warm.resume_at(head) if warm else None)
        if warm:
            log.info("mount %s: the source from %s, which stood by, goes on", name, source.description.ip)
        self._publish(name, is_live=True)

    @property
    def standbys(self) -> int:
        """How many sources stand by here."""
        return len(self._standbys)

    def _stand_by(self, name: str, source: Source) -> None:
        source.sink = StandbyStream(source.description.content_type)
        self._wait_in_line(name, source)
        log.info("mount %s: has a source; the one from %s stands by", name, source.description.ip)

    def _to_standby(self, name: str) -> None:
        """The source that is on the air stands by from now on. Never switches."""
        source, mount = self._mounts.source(name), self._mounts.get(name)
        if source is None or mount is None:
            return
        source.sink = mount.to_standby()
        self._mounts.detach(name)
        self._wait_in_line(name, source)
        log.info("mount %s: its source stands by, another one goes on", name)

    def _wait_in_line(self, name: str, source: Source) -> None:
        self._standbys.add(name, source)
        if self._cluster is None:
            return  # its turn comes when the one on the air leaves
        if not self.owns(name):
            self._cluster.mirrors.ensure(name)
        if name not in self._news:
            self._news[name] = Event()
            self._group.spawn(f"standby for {name}", self._wait_for_turn, name)

    def _wait_for_turn(self, name: str) -> None:
        """Puts the first in line on the air when the mount is free, as long as somebody waits."""
        news = self._news[name]
        try:
            while self._standbys.has(name):
                news.wait(LOOK_S)
                news.clear()
                with self._turns.of(name):
                    source = self._standbys.first(name)
                    if source is None or self._keeps_off(name) or not self._try_to_go_on_air(name, source):
                        continue
                    if not self._standbys.remove(name, source):  # it has left while the mount was claimed for it
                        self.remove(name, source)
        finally:
            del self._news[name]

    def _keeps_off(self, name: str) -> bool:
        """Whether there is no reason to ask: audio of another node's source comes."""
        assert self._cluster is not None
        now, mount = self._clock(), self._mounts.get(name)
        if now < self._hold_off.get(name, now):
            return True
        self._hold_off.pop(name, None)
        origin = self._cluster.registry.state.origin(name)
        is_heard = mount is not None and now - mount.last_audio < SOURCE_SILENT_S
        return origin is not None and origin.is_live and is_heard and self._cluster.mirrors.has_parent(name)

    def _wake_standby(self, name: str) -> None:
        news = self._news.get(name)
        if news is not None:
            news.set()

    # -- what the cluster says

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Steps down from a mount that another node has claimed; wakes who stands by for it."""
        self._wake_standby(change.mount)
        owned, highest = self._owned.get(change.mount), self._highest(change.mount)
        if owned is None or highest <= owned.epoch:
            return
        after = change.after
        if after is not None and (after.node, after.boot) == (owned.node, owned.boot):
            self._renew(owned, after)
        else:
            self._group.spawn(f"step down from {change.mount}", self._superseded, change.mount)

    def _renew(self, owned: OriginRecord, after: OriginRecord) -> None:
        """The registry has confirmed what was provisional: the same source, under a new epoch from here on."""
        mount = self._mounts.get(owned.mount)
        base = owned.base if mount is None else mount.ring.head
        log.info("mount %s: confirmed, epoch %s from offset %d", owned.mount, after.epoch, base)
        self._own(replace(after, base=base))

    def _superseded(self, name: str) -> None:
        with self._turns.of(name):
            owned = self._owned.get(name)
            if owned is None or self._highest(name) <= owned.epoch:
                return
            del self._owned[name]
            self.counters.stepped_down += 1
            log.warning("mount %s: epoch %s is over, %s has been seen", name, owned.epoch, self._highest(name))
            source = self._mounts.source(name)
            if source is not None and self._settings.now.for_mount(name).on_conflict == "reject":
                self._mounts.detach(name)
                source.stop("another node has its mount")
            else:
                self._to_standby(name)
            if self._mounts.get(name) is not None:
                self._mounts.get_or_create(name)  # its grace, if it was waiting, is the new owner's business
                assert self._cluster is not None
                self._cluster.mirrors.ensure(name)

    def on_parent_lost(self, event: ParentLost) -> None:
        """Wakes who stands by for a mount whose audio no longer comes."""
        self._wake_standby(event.mount)

    def on_mount_closed(self, event: MountClosed) -> None:
        """Gives the mount up: it is over."""
        name = event.mount
        owned = self._owned.pop(name, None)
        if owned is not None and self._cluster is not None:
            self._cluster.registry.release(name, owned.epoch)
            self._lineages.forget(name)

    def _publish(self, name: str, *, is_live: bool) -> None:
        owned = self._owned.get(name)
        source = self._mounts.source(name)
        if owned is None or self._cluster is None:
            return
        if source is not None:
            feed = source.description
            owned = replace(owned, content_type=feed.content_type, source_ip=feed.ip, started=feed.started)
        self._owned[name] = replace(owned, is_live=is_live)
        self._cluster.registry.publish(self._owned[name])
        if owned.is_provisional:
            self._cluster.announce(self._owned[name])

    def _highest(self, name: str) -> Epoch:
        return self._cluster.registry.state.highest(name) if self._cluster else NO_EPOCH

    def _refuse_if_rejecting(self, name: str) -> None:
        if self._settings.now.for_mount(name).on_conflict == "reject":
            raise Refused("Mountpoint in use", cause=f"{name} has a source that is alive")

    def _check_room(self) -> None:
        connected, limit = self._mounts.sources + len(self._standbys), self._settings.now.limits.sources
        if connected >= limit:
            raise Refused("too many sources connected", cause=f"{connected} sources are connected")
