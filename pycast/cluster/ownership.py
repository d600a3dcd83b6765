"""Who has a mount's source: how a source gets on the air here, waits for its turn, and leaves.

On a node alone this is Icecast's rule with two additions: a source that calls again replaces its silent former self,
and a second source can stand by. In a cluster the mount also has to be ours: the present owner is asked whether its
source is alive, the registry is the referee, and the bytes go on where those of the owner before ended. A node that
hears of a higher epoch for a mount of its own steps down: its source stands by, its listeners follow the new owner's
bytes, and nobody is disconnected.

What this node has to do with a mount is its claim (`claim.py`). Decisions about one mount are made one at a time
(`_turns`), because they switch; what happens meanwhile may change the claim, so none is kept over a switch unless there
is something in it. The one invariant: a source is on the air here only while no higher epoch than ours is known.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gevent.event import Event

from pycast.cluster.claim import ClaimEvent, ClaimState, MountClaim, MountClaims, Standby
from pycast.config.live import Live
from pycast.errors import Refused
from pycast.formats.standby import StandbyStream
from pycast.net.group import Group
from pycast.net.keyed_lock import KeyedLock
from pycast.stats.counters import OwnershipCounters
from pycast.stream.events import MountClosed
from pycast.stream.mounts import Mounts
from pycast.stream.relocation import relocate
from pycast.stream.source import SOURCE_SILENT_S, Source

if TYPE_CHECKING:  # of the cluster a node alone needs the claims only
    from pycast.cluster.mirror.mirrors import ParentLost
    from pycast.cluster.owner_client import OwnerClient
    from pycast.cluster.registry.cluster_state import OriginChanged
    from pycast.cluster.registry.epoch import Epoch
    from pycast.cluster.registry.records import OriginRecord

log = logging.getLogger(__name__)

# MountClaims that lose against another claim are decided anew.
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
        claims: MountClaims,
        group: Group,
        clock: Callable[[], float],
        cluster: "OwnerClient | None" = None,
    ) -> None:
        self.counters = OwnershipCounters()
        self._settings = settings
        self._mounts = mounts
        self._group = group
        self._clock = clock
        self._cluster = cluster
        self._turns = KeyedLock()
        self._claims = claims

    # -- what others want to know

    def owns(self, name: str) -> bool:
        """Whether the mount is this node's, in the cluster's eyes."""
        return self._claims.origin(name) is not None

    @property
    def standbys(self) -> int:
        """How many sources stand by here."""
        return len(self._claims.standbys)

    def is_alive(self, name: str) -> bool:
        """Whether a mount's source is on the air here and sends: an answer to another node."""
        claim = self._claims.get(name)
        is_coming = claim is not None and claim.state is ClaimState.CLAIMING  # it has the mount and is about to begin
        return is_coming or (self.owns(name) and not self._mounts.is_silent(name))

    def yield_mount(self, name: str) -> None:
        """Takes the mount's source off the air for a newer one elsewhere: an order of another node. May switch."""
        with self._turns.of(name):
            claim = self._claims.get(name)
            if claim is not None and self.owns(name):
                claim.move(ClaimEvent.MADE_WAY)
                claim.hold_off_until = self._clock() + HOLD_OFF_S
                self._to_standby(name)
                self._publish(name, is_live=False)

    # -- a source's life

    def check(self, name: str, credentials: tuple[str, str] | None) -> None:
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
        source.output.take_out()
        if self._claims.remove(name, source):
            log.info("mount %s: a source that stood by is gone", name)
            return
        if self._mounts.source(name) is not source:
            return  # another one took its place
        heir = self._claims.pop_next(name)
        if heir is not None:
            self._put_on_air(name, heir.source, heir.stream)
            log.info("mount %s: the source from %s, which stood by, goes on", name, heir.source.description.ip)
            return
        self._mounts.release(name, source)
        self._publish(name, is_live=False)

    def disconnect_all(self) -> None:
        """The node drains: its sources have to connect elsewhere. Their mounts wait for them on all nodes."""
        for name, claim in self._claims:
            source = self._mounts.source(name)
            if source is not None and claim.origin is not None:
                source.end("the node drains: it has to connect to another one")
        for standby in self._claims.standbys:
            standby.source.end("the node drains: it has to stand by on another one")

    # -- decisions

    def _try_to_go_on_air(self, name: str, source: Source, stream: StandbyStream | None = None) -> bool:
        """Puts `source` on the air unless another one is alive; `stream` is what it has fed while it stood by. Raises
        Refused. May switch.
        """
        if self._mounts.source(name) is not None:
            return False
        if self._cluster is None or self.owns(name):
            self._put_on_air(name, source, stream)
            return True
        for _ in range(TRIES):
            # The owner that the registry knows decides, as long as it answers.
            if self._cluster.is_alive_elsewhere(name):
                return False
            # From here on this node says that its source is alive: another claim would come too late.
            claim = self._claims.get_or_create(name)
            claim.move(ClaimEvent.ASKED)
            try:
                if self._claim(name, source, claim):
                    self._put_on_air(name, source, stream)
                    return True
            finally:
                # Somebody else was faster, or the source has left while it waited: the next try asks the winner.
                if claim.state is ClaimState.CLAIMING:
                    claim.move(ClaimEvent.LOST)
                    self._claims.drop_if_empty(name)
        return False

    def _resolve(self, name: str, source: Source) -> None:
        """Another source is on the air: what this one gets is the mount's policy. Raises Refused. May switch."""
        self._refuse_if_rejecting(name)
        standby = Standby(source, StandbyStream(source.description.content_type))
        if self._settings.now.for_mount(name).on_conflict == "take_over":
            if self._mounts.source(name) is not None:
                self._to_standby(name)
            elif self._cluster is not None:
                self._cluster.ask_to_yield(name)
            # It brings a stream, so it is not taken for the other one that connects again, and does not get its title.
            if self._try_to_go_on_air(name, source, standby.stream):
                return
        source.output.stand_by(standby.stream)
        self._wait_in_line(name, standby)
        log.info("mount %s: has a source; the one from %s stands by", name, source.description.ip)

    def _replace(self, name: str, source: Source) -> None:
        held = self._mounts.source(name)
        assert held is not None
        log.info("mount %s: its source was silent and is replaced by the one from %s", name, source.description.ip)
        held.end("replaced by a new connection of the same source")
        self._put_on_air(name, source)

    def _claim(self, name: str, source: Source, claim: MountClaim) -> bool:
        """Makes the mount ours, with everything in it that the other nodes have. May switch."""
        assert self._cluster is not None
        cluster, over = self._cluster, self._highest(name)
        # The referee: the claim succeeds only if nobody has claimed over the same epoch before.
        origin = cluster.claim(name, source.description, over)
        if origin is None:
            self.counters.held += 1
            return False
        self.counters.won += 1
        self.counters.provisional += origin.is_provisional
        # What any node has of the last epoch comes before our first byte.
        base = cluster.mirrors.level(name, over)
        # That took its time: the mount may be lost again.
        if self._highest(name) > origin.epoch:
            cluster.mirrors.ensure(name)
            return False
        # Our bytes begin where the last ones ended, in our own ring as everywhere.
        self._move_to(name, base, source)
        claim.move(ClaimEvent.WON)
        self._own(claim, replace(origin, base=base))
        log.info("mount %s: claimed, epoch %s from offset %d", name, origin.epoch, base)
        return True

    def _own(self, claim: MountClaim, origin: "OriginRecord") -> None:
        assert self._cluster is not None
        claim.origin = origin
        self._cluster.begin_epoch(origin)

    def _move_to(self, name: str, base: int, source: Source) -> None:
        """The mount goes on at `base`; if it was elsewhere its listeners jump. May switch, but not with a new mount."""
        mount = self._mounts.get_or_create(name, source.description)
        if mount.ring.head == base:
            return
        relocate(mount, mount, prepare=lambda moving: mount.restart_at(base))
        assert self._cluster is not None
        self._cluster.lineages.forget(name)

    # -- on the air, off the air

    def _put_on_air(self, name: str, source: Source, stream: StandbyStream | None = None) -> None:
        """`source` is on the air from now on; `stream` is what it has fed while it stood by. Never switches."""
        source.output.put_on_air(self._mounts.attach_source(name, source, stream))
        claim = self._claims.get(name)
        if claim is not None and claim.origin is not None:
            claim.move(ClaimEvent.ON_AIR)
        self._publish(name, is_live=True)

    def _take_off_air(self, name: str) -> Standby | None:
        """Returns the source that was on the air and stands by from now on. Never switches."""
        source, mount = self._mounts.source(name), self._mounts.get(name)
        if source is None or mount is None:
            return None
        stream = mount.to_standby()
        source.output.stand_by(stream)
        self._mounts.detach(name)
        return Standby(source, stream)

    def _to_standby(self, name: str) -> None:
        """The source that is on the air waits for its turn from now on. Never switches."""
        standby = self._take_off_air(name)
        if standby is not None:
            self._wait_in_line(name, standby)
            log.info("mount %s: its source stands by, another one goes on", name)

    def _wait_in_line(self, name: str, standby: Standby) -> None:
        claim = self._claims.get_or_create(name)
        claim.add(standby)
        if self._cluster is None:
            return  # its turn comes when the one on the air leaves
        if not self.owns(name):
            self._cluster.mirrors.ensure(name)
        if claim.wake is None:
            claim.wake = Event()
            self._group.spawn(f"standby for {name}", self._wait_for_turn, name, claim, claim.wake)

    def _wait_for_turn(self, name: str, claim: MountClaim, wake: Event) -> None:
        """Puts the first in line on the air when the mount is free, as long as somebody waits."""
        try:
            while claim.first() is not None:
                # News of the owner, the loss of the mirror's parent, or a look now and then.
                wake.wait(LOOK_S)
                wake.clear()
                with self._turns.of(name):
                    # Others had their turn before us: who is first now, and is there anything to decide?
                    standby = claim.first()
                    if standby is None or self._keeps_off(name, claim):
                        continue
                    # It stays in line while the mount is claimed for it, and feeds its stream.
                    if not self._try_to_go_on_air(name, standby.source, standby.stream):
                        continue
                    log.info(
                        "mount %s: the source from %s, which stood by, goes on", name, standby.source.description.ip
                    )
                    # It is on the air. If it has left meanwhile it is taken off again, and the next one goes on.
                    if not claim.remove(standby.source):
                        self.remove(name, standby.source)
        finally:
            claim.wake = None
            self._claims.drop_if_empty(name)

    def _keeps_off(self, name: str, claim: MountClaim) -> bool:
        """Whether there is no reason to ask: audio of another node's source comes."""
        assert self._cluster is not None
        now, mount = self._clock(), self._mounts.get(name)
        if now < claim.hold_off_until:
            return True
        origin = self._cluster.registry.state.origin(name)
        is_heard = mount is not None and now - mount.last_audio < SOURCE_SILENT_S
        return origin is not None and origin.is_live and is_heard and self._cluster.mirrors.has_parent(name)

    # -- what the cluster says

    def on_origin_changed(self, change: "OriginChanged") -> None:
        """Steps down from a mount that another node has claimed; wakes who stands by for it."""
        self._claims.wake(change.mount)
        owned, after = self._claims.origin(change.mount), change.after
        if owned is None or self._highest(change.mount) <= owned.epoch:
            return
        if after is not None and (after.node, after.boot) == (owned.node, owned.boot):
            self._renew(change.mount, after)
        else:
            self._group.spawn(f"step down from {change.mount}", self._superseded, change.mount)

    def _renew(self, name: str, after: "OriginRecord") -> None:
        """The registry has confirmed what was provisional: the same source, under a new epoch from here on."""
        claim, mount = self._claims.get(name), self._mounts.get(name)
        assert claim is not None and claim.origin is not None
        base = claim.origin.base if mount is None else mount.ring.head
        log.info("mount %s: confirmed, epoch %s from offset %d", name, after.epoch, base)
        self._own(claim, replace(after, base=base))

    def _superseded(self, name: str) -> None:
        with self._turns.of(name):
            # The decision before this one may have claimed the mount anew.
            claim, owned = self._claims.get(name), self._claims.origin(name)
            if claim is None or owned is None or self._highest(name) <= owned.epoch:
                return
            claim.move(ClaimEvent.SUPERSEDED)
            self.counters.stepped_down += 1
            log.warning("mount %s: epoch %s is over, %s has been seen", name, owned.epoch, self._highest(name))
            # Off the air first: what an ended source has sent last must not follow the bytes of our epoch.
            standby = self._take_off_air(name)
            if standby is not None and self._settings.now.for_mount(name).on_conflict == "reject":
                standby.source.end("another node has its mount")
            elif standby is not None:
                self._wait_in_line(name, standby)
            # The listeners wait for the new owner's bytes, however long those take to come.
            if self._mounts.get(name) is not None:
                assert self._cluster is not None
                self._mounts.keep(name)
                self._cluster.mirrors.ensure(name)
            self._claims.drop_if_empty(name)

    def on_parent_lost(self, event: "ParentLost") -> None:
        """Wakes who stands by for a mount whose audio no longer comes."""
        self._claims.wake(event.mount)

    def on_mount_closed(self, event: MountClosed) -> None:
        """Gives the mount up: it is over."""
        claim, owned = self._claims.get(event.mount), self._claims.origin(event.mount)
        if claim is None or owned is None or self._cluster is None:
            return
        claim.move(ClaimEvent.MOUNT_CLOSED)
        self._claims.drop_if_empty(event.mount)
        self._cluster.registry.release(event.mount, owned.epoch)
        self._cluster.lineages.forget(event.mount)

    def _publish(self, name: str, *, is_live: bool) -> None:
        claim, source = self._claims.get(name), self._mounts.source(name)
        if claim is None or claim.origin is None or self._cluster is None:
            return
        origin = replace(claim.origin, is_live=is_live)
        if source is not None:
            said = source.description
            origin = replace(origin, content_type=said.content_type, source_ip=said.ip, started=said.started)
        claim.origin = origin
        self._cluster.registry.publish(origin)
        if origin.is_provisional:
            self._cluster.announce(origin)

    def _highest(self, name: str) -> "Epoch":
        assert self._cluster is not None
        return self._cluster.registry.state.highest(name)

    def _refuse_if_rejecting(self, name: str) -> None:
        if self._settings.now.for_mount(name).on_conflict == "reject":
            raise Refused("Mountpoint in use", cause=f"{name} has a source that is alive")

    def _check_room(self) -> None:
        connected, limit = self._mounts.sources + self.standbys, self._settings.now.limits.sources
        if connected >= limit:
            raise Refused("too many sources connected", cause=f"{connected} sources are connected")
