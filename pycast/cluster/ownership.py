"""The ownership of mounts: how a source goes on the air at this node, waits for its turn, and leaves.

On a single node this is Icecast's rule with two additions: a source that connects again replaces its own silent
connection, and a second source can stand by. In a cluster the mount also has to be ours. The present owner is asked
whether its source is alive, the registry decides between two claims, and the new bytes begin at the offset where those
of the last owner ended. When a higher epoch is seen for a mount of this node it gives the mount up: its source stands
by, its listeners follow the new owner's bytes, and none is disconnected.

The state of a mount is its claim (`claim.py`). Decisions about one mount are made one at a time (`_turns`), because
they switch. An empty claim may be dropped at any switch, so code keeps one across a switch only if it holds something.
The one invariant: when a higher epoch is seen the source here is taken off the air.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.relocation import relocate
from pycast.stream.source import SOURCE_SILENT_S, Source

if TYPE_CHECKING:  # of the cluster a node alone needs the claims only
    from pycast.cluster.mirror.pull import ParentLost
    from pycast.cluster.owner_client import OwnerClient
    from pycast.cluster.registry.cluster_state import OriginChanged
    from pycast.cluster.registry.epoch import Epoch
    from pycast.cluster.registry.records import OriginRecord

log = logging.getLogger(__name__)

# How often a claim is tried that loses against another one. Each try asks the new owner first.
TRIES = 3

# How long a source that made way for a newer one does not try to come back, so that the newer one can claim the mount.
HOLD_OFF_S = 3.0

# How often a source that stands by checks whether its turn has come, if no event wakes it.
LOOK_S = 1.0


class Ownership:
    """The sources of this node and its claims. Without `cluster` the node is alone."""

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

    # -- questions

    def owns(self, name: str) -> bool:
        """Whether this node has claimed the mount and not given it up."""
        return self._claims.origin(name) is not None

    @property
    def standbys(self) -> int:
        """The number of sources that stand by."""
        return len(self._claims.standbys)

    def is_alive(self, name: str) -> bool:
        """Whether the mount's source is on the air here and sends, for another node that asks."""
        claim = self._claims.get(name)
        # A source for which the mount is being claimed is about to begin.
        is_coming = claim is not None and claim.state is ClaimState.CLAIMING
        return is_coming or (self.owns(name) and not self._mounts.is_silent(name))

    def yield_mount(self, name: str) -> None:
        """Takes the mount's source off the air for a newer one on the node that asks. May switch."""
        with self._turns.of(name):
            claim = self._claims.get(name)
            if claim is not None and self.owns(name):
                claim.move(ClaimEvent.MADE_WAY)
                claim.hold_off_until = self._clock() + HOLD_OFF_S
                self._to_standby(name)
                self._publish(name, is_live=False)

    # -- a source's life

    def check(self, name: str, credentials: tuple[str, str] | None, takes_over: bool = False) -> None:
        """Raises Refused, in Icecast's order, if a source with these credentials has no chance on this node."""
        if self._mounts.source(name) is None:
            self._check_room()
        elif not self._mounts.may_take_over(name, credentials):
            self._refuse_if_rejecting(name, takes_over)
            self._check_room()

    def admit(self, name: str, source: Source) -> None:
        """Puts a new source on the air, or has it stand by. Raises Refused. May switch."""
        with self._turns.of(name):
            self.check(name, source.credentials, source.takes_over)
            if self._mounts.may_take_over(name, source.credentials):
                self._replace(name, source)
            elif not self._try_to_go_on_air(name, source):
                self._resolve(name, source)

    def start_known(self, name: str, source: Source, first: bytes) -> None:
        """Takes the first bytes of a source, whose format is known now. Raises FormatError. Never switches."""
        if self._mounts.source(name) is source:
            self._mounts.start_known(name, source, first)
            self._publish(name, is_live=True)
        elif (standby := self._claims.standby_of(name, source)) is not None:
            standby.stream.begin(source.description.new_format(), first)

    def take_over_known(self, name: str, source: Source) -> None:
        """Puts a standby on the air if it has to take over, as its format is known. Raises Refused. May switch."""
        with self._turns.of(name):
            standby = self._claims.standby_of(name, source)
            if standby is not None and self._take_over(name, standby) and not self._claims.remove(name, source):
                self.remove(name, source)

    def remove(self, name: str, source: Source) -> None:
        """Removes a source that has ended; the next in line replaces it. May switch."""
        source.output.take_out()
        if self._claims.remove(name, source):
            log.info("mount %s: a source that stood by is gone", name)
            return
        if self._mounts.source(name) is not source:
            return  # another source has replaced it
        heir = self._claims.pop_next(name)
        if heir is not None:
            self._put_on_air(name, heir.source, heir.stream)
            log.info("mount %s: the source from %s, which stood by, goes on", name, heir.source.description.ip)
            return
        self._mounts.release(name, source)
        self._publish(name, is_live=False)

    def disconnect_all(self) -> None:
        """Ends all sources, because the node drains. They connect to other nodes; their mounts wait for them."""
        for name, claim in self._claims:
            source = self._mounts.source(name)
            if source is not None and claim.origin is not None:
                source.end("the node drains: it has to connect to another one")
        for standby in self._claims.standbys:
            standby.source.end("the node drains: it has to stand by on another one")

    # -- decisions

    def _try_to_go_on_air(self, name: str, source: Source, stream: StandbyStream | None = None) -> bool:
        """Returns whether `source` is on the air: not if another one is alive. Raises Refused. May switch."""
        if self._mounts.source(name) is not None:
            return False
        if self._cluster is None or self.owns(name):
            self._put_on_air(name, source, stream)
            return True
        for _ in range(TRIES):
            # An owner that answers that its source is alive keeps the mount.
            if self._cluster.is_alive_elsewhere(name):
                return False
            # From now on this node answers others that its source is alive (`is_alive`).
            claim = self._claims.get_or_create(name)
            claim.move(ClaimEvent.ASKED)
            try:
                if self._claim(name, source, claim):
                    self._put_on_air(name, source, stream)
                    return True
            finally:
                # Another node was faster, or an error ended the try. The next try asks the new owner.
                if claim.state is ClaimState.CLAIMING:
                    claim.move(ClaimEvent.LOST)
                    self._claims.drop_if_empty(name)
        return False

    def _resolve(self, name: str, source: Source) -> None:
        """Applies the mount's `on_conflict`: another source is on the air. Raises Refused. May switch."""
        self._refuse_if_rejecting(name, source.takes_over)
        is_known = source.description.is_known
        standby = Standby(source, StandbyStream(source.description.new_format() if is_known else None), is_new=True)
        if is_known and self._take_over(name, standby):
            return
        source.output.stand_by(standby.stream)
        self._wait_in_line(name, standby)
        log.info("mount %s: has a source; the one from %s stands by", name, source.description.ip)

    def _take_over(self, name: str, standby: Standby) -> bool:
        """Puts a source on the air in place of another, if it or `on_conflict` says so. Returns whether. May switch."""
        has_to = standby.source.takes_over or self._settings.now.for_mount(name).on_conflict == "take_over"
        if not (standby.is_new and has_to):
            return False
        if self._mounts.source(name) is not None:
            self._to_standby(name)
        elif self._cluster is not None:
            self._cluster.ask_to_yield(name)
        # With a stream of its own it does not count as a reconnect of the other source, and does not get its title.
        return self._try_to_go_on_air(name, standby.source, standby.stream)

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
        # The registry decides: only one claim over the same epoch succeeds.
        if (origin := cluster.claim(name, source.description, over)) is None:
            self.counters.held += 1
            return False
        self.counters.won += 1
        self.counters.provisional += origin.is_provisional
        # Fetch what other nodes have of the last epoch; our first byte comes after it.
        base = cluster.mirrors.level(name, over)
        # That may have switched for long: another node may have claimed the mount meanwhile.
        if self._highest(name) > origin.epoch:
            cluster.mirrors.ensure(name)
            return False
        # Begin at that offset in our own ring too, and record the ownership.
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
        """Continues the mount at `base`; if it was elsewhere its listeners jump. Switches only then."""
        assert self._cluster is not None
        # Once more if the mount is over when the wait for a pass ends: it is another one then.
        while (mount := self._mounts.get_or_create(name, source.description)).ring.head != base:
            relocate(mount, mount, prepare=partial(_restart, mount, base))
            self._cluster.lineages.forget(name)

    # -- on the air, off the air

    def _put_on_air(self, name: str, source: Source, stream: StandbyStream | None = None) -> None:
        """Puts `source` on the air. `stream` has its audio if it stood by. Never switches."""
        source.output.put_on_air(self._mounts.attach_source(name, source, stream))
        claim = self._claims.get(name)
        if claim is not None and claim.origin is not None:
            claim.move(ClaimEvent.ON_AIR)
        self._publish(name, is_live=True)

    def _take_off_air(self, name: str) -> Standby | None:
        """Takes the source off the air and returns it as a standby. Never switches."""
        if (source := self._mounts.source(name)) is None or (mount := self._mounts.get(name)) is None:
            return None
        stream = mount.to_standby() if source.description.is_known else StandbyStream(tags=mount.timeline.tags_at(0))
        source.output.stand_by(stream)
        self._mounts.detach(name)
        return Standby(source, stream)

    def _to_standby(self, name: str) -> None:
        """Takes the source off the air and puts it into the waiting line. Never switches."""
        standby = self._take_off_air(name)
        if standby is not None:
            self._wait_in_line(name, standby)
            log.info("mount %s: its source stands by, another one goes on", name)

    def _wait_in_line(self, name: str, standby: Standby) -> None:
        claim = self._claims.get_or_create(name)
        claim.add(standby)
        if self._cluster is None:
            return  # its turn comes when the source on the air leaves (`remove`)
        if not self.owns(name):
            self._cluster.mirrors.ensure(name)
        if claim.wake is None:
            claim.wake = Event()
            self._group.spawn(f"standby for {name}", self._wait_for_turn, name, claim, claim.wake)

    def _wait_for_turn(self, name: str, claim: MountClaim, wake: Event) -> None:
        """Puts the first in line on the air when the mount is free, as long as sources wait. May switch."""
        try:
            while claim.first() is not None:
                # Wait for a change of the owner, the loss of the mirror's parent, or the next check.
                wake.wait(LOOK_S)
                wake.clear()
                with self._turns.of(name):
                    # Other decisions came first: look again at who is first in line, and whether it still has to wait.
                    standby = claim.first()
                    if standby is None or self._must_wait(name, claim):
                        continue
                    # Claim the mount for it. Meanwhile it stays in line and feeds its stream.
                    source = standby.source
                    if not self._try_to_go_on_air(name, source, standby.stream):
                        continue
                    log.info("mount %s: the source from %s, which stood by, goes on", name, source.description.ip)
                    # It is on the air and leaves the line. If it has ended meanwhile the next one replaces it.
                    if not claim.remove(source):
                        self.remove(name, source)
        finally:
            claim.wake = None
            self._claims.drop_if_empty(name)

    def _must_wait(self, name: str, claim: MountClaim) -> bool:
        """Whether the standbys have to wait: a newer source has time to claim, or another node's source sends audio."""
        assert self._cluster is not None
        if (now := self._clock()) < claim.hold_off_until:
            return True
        mount, origin = self._mounts.get(name), self._cluster.registry.state.origin(name)
        is_receiving = mount is not None and now - mount.last_audio < SOURCE_SILENT_S
        return origin is not None and origin.is_live and is_receiving and self._cluster.mirrors.has_parent(name)

    # -- events of the cluster

    def on_origin_changed(self, change: "OriginChanged") -> None:
        """Gives up a mount that another node has claimed, and wakes the standbys of the mount. Never switches."""
        self._claims.wake(change.mount)
        owned, after = self._claims.origin(change.mount), change.after
        if owned is None or self._highest(change.mount) <= owned.epoch:
            return
        if after is not None and (after.node, after.boot) == (owned.node, owned.boot):
            self._renew(change.mount, after)
        else:
            self._group.spawn(f"step down from {change.mount}", self._superseded, change.mount)

    def _renew(self, name: str, after: "OriginRecord") -> None:
        """Takes the new epoch of a provisional claim that was confirmed. It begins at the next byte. Never switches."""
        claim, mount = self._claims.get(name), self._mounts.get(name)
        assert claim is not None and claim.origin is not None
        base = claim.origin.base if mount is None else mount.ring.head
        log.info("mount %s: confirmed, epoch %s from offset %d", name, after.epoch, base)
        self._own(claim, replace(after, base=base))

    def _superseded(self, name: str) -> None:
        with self._turns.of(name):
            # The decision before this one may have claimed the mount again.
            claim, owned = self._claims.get(name), self._claims.origin(name)
            if claim is None or owned is None or self._highest(name) <= owned.epoch:
                return
            claim.move(ClaimEvent.SUPERSEDED)
            self.counters.stepped_down += 1
            log.warning("mount %s: epoch %s is over, %s has been seen", name, owned.epoch, self._highest(name))
            # Take the source off the air first, so that its last bytes do not follow those of our epoch.
            standby = self._take_off_air(name)
            if standby is not None and self._settings.now.for_mount(name).on_conflict == "reject":
                standby.source.end("another node has its mount")
            elif standby is not None:
                self._wait_in_line(name, standby)
            # Keep the mount with its listeners, and mirror the new owner's bytes.
            if self._mounts.get(name) is not None:
                assert self._cluster is not None
                self._mounts.keep(name)
                self._cluster.mirrors.ensure(name)
            self._claims.drop_if_empty(name)

    def on_parent_lost(self, event: "ParentLost") -> None:
        """Wakes the standbys of a mount whose audio no longer arrives."""
        self._claims.wake(event.mount)

    def on_mount_closed(self, event: MountClosed) -> None:
        """Gives up a mount that has closed."""
        claim, owned = self._claims.get(event.mount), self._claims.origin(event.mount)
        if claim is not None and owned is not None and self._cluster is not None:
            claim.move(ClaimEvent.MOUNT_CLOSED)
            self._claims.drop_if_empty(event.mount)
            self._cluster.release(owned)

    def _publish(self, name: str, *, is_live: bool) -> None:
        claim, source = self._claims.get(name), self._mounts.source(name)
        if claim is None or claim.origin is None or self._cluster is None:
            return
        claim.origin = self._cluster.publish(claim.origin, source, is_live=is_live)

    def _highest(self, name: str) -> "Epoch":
        assert self._cluster is not None
        return self._cluster.registry.state.highest(name)

    def _refuse_if_rejecting(self, name: str, takes_over: bool) -> None:
        if not takes_over and self._settings.now.for_mount(name).on_conflict == "reject":
            raise Refused("Mountpoint in use", cause=f"{name} has a source that is alive")

    def _check_room(self) -> None:
        if (connected := self._mounts.sources + self.standbys) >= self._settings.now.limits.sources:
            raise Refused("too many sources connected", cause=f"{connected} sources are connected")


def _restart(mount: Mount, base: int, moving: object) -> None:
    mount.restart_at(base)
