"""An admin's questions and orders, for this node alone: an implementation of `Control`."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pycast.balance.slaves import Slaves
from pycast.cluster.claim import MountClaims
from pycast.control.event_log import NEWCOMERS, EventLog
from pycast.control.listener_moves import ListenerMoves
from pycast.control.mount_finder import MountFinder
from pycast.control.node_snapshot import NodeSnapshots, snapshot_listeners
from pycast.control.relay_desk import RelayDesk, RelayOrder
from pycast.control.sound_match import is_noise_after
from pycast.errors import Refused
from pycast.stream.fanout import Reason
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.stats.snapshot import ListenerSnapshot, NodeEvents, NodeSnapshot, RelayLine
    from pycast.stream.source import Source


class NodeControl:
    """The control of this node alone."""

    def __init__(
        self,
        mounts: Mounts,
        claims: MountClaims,
        finder: MountFinder,
        moves: ListenerMoves,
        snapshots: NodeSnapshots,
        slaves: Slaves,
        relay_desk: RelayDesk,
        event_log: EventLog,
    ) -> None:
        self._mounts = mounts
        self._claims = claims
        self._finder = finder
        self._moves = moves
        self._snapshots = snapshots
        self._slaves = slaves
        self._relay_desk = relay_desk
        self._event_log = event_log

    def snapshot(self) -> "NodeSnapshot":
        """Returns the node's current statistics."""
        return self._snapshots.take()

    def workers(self) -> "list[NodeSnapshot]":
        """Returns the node's current statistics alone."""
        return [self.snapshot()]

    def knows(self, mount: str) -> bool:
        """Whether this node has the mount, as a mirror too, or would fetch it for a listener."""
        return self._finder.on_this_node(mount) is not None or self._finder.is_on_demand(mount)

    def has_source(self, mount: str) -> bool:
        """Whether the mount's source is on this node, or this node waits for it."""
        return self._finder.on_this_node(mount) is not None and not self._mounts.is_mirror(mount)

    def listeners(self, mount: str) -> "list[ListenerSnapshot]":
        """Returns the mount's listeners on this node."""
        found = self._finder.on_this_node(mount)
        return snapshot_listeners(found) if found else []

    def kill(self, mount: str, id: int) -> bool:
        """Ends a listener's connection. Returns whether it was there."""
        found = self._finder.on_this_node(mount)
        listener = found.fanout.get(id) if found else None
        if found is None or listener is None:
            return False
        found.fanout.drop(listener, Reason.KILLED)
        return True

    def kill_source(self, mount: str) -> bool:
        """Ends a mount's source. Returns whether there was one."""
        source = self._mounts.source(mount)
        if source is None:
            return False
        source.end("removed by an admin")
        return True

    def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
        """Sets the title, of the source from `sender` if that stands by. Returns whether the stream takes titles."""
        standing_by = self._standing_by(mount, sender)
        if standing_by:
            taken = [source.output.set_title(artist, title, url) for source in standing_by]
            return all(taken)
        found = self._finder.on_this_node(mount)
        return found is not None and found.family != "webm" and found.set_title(artist, title, url)

    def set_fallback(self, mount: str, fallback: str) -> None:
        """Puts a fallback in place of the configured one, until the mount has another source."""
        self._finder.order_fallback(mount, fallback)

    def reset_stats(self, mount: str, counts: Collection[str]) -> None:
        """Has some of a mount's statistics counted anew: "peak", "read", "sent"."""
        found = self._finder.on_this_node(mount)
        if found is not None:
            found.count_anew(counts)

    def add_slave(self, host: str, port: int, interval_s: int) -> None:
        """Remembers a server that takes listeners for whom there is no room here."""
        self._slaves.add(host, port, interval_s)

    def relays(self) -> "list[RelayLine]":
        """Returns what the relays of this node do."""
        return self._relay_desk.lines()

    def events(self, marks: Mapping[str, int]) -> "list[NodeEvents]":
        """Returns what has happened on this node since its mark."""
        return [self._event_log.since(marks.get(self._event_log.boot, marks.get(NEWCOMERS)))]

    def order_relay(self, mount: str, order: RelayOrder) -> bool:
        """Gives an order to the relay of a mount. Returns whether there is one."""
        return self._relay_desk.order(mount, order)

    def has_standby_from(self, mount: str, sender: str) -> bool:
        """Whether a title from the address `sender` is that of a source that stands by on this node."""
        return bool(self._standing_by(mount, sender))

    def _standing_by(self, mount: str, sender: str) -> "list[Source]":
        """Returns the sources of the mount that stand by and are from `sender`; none if that on the air is from there
        too. All have the same password, and only the address tells them apart.
        """
        claim, found = self._claims.get(mount), self._mounts.get(mount)
        if claim is None or not sender or (found is not None and found.description.ip == sender):
            return []
        sources = (standby.source for standby in claim.standbys)
        return [source for source in sources if source.description.ip == sender]

    def move(self, mount: str, to: str) -> int:
        """Moves a mount's listeners to another mount for good. Returns how many. Raises Refused. May switch."""
        found = self._finder.on_this_node(mount)
        if found is None or not len(found.fanout):
            return 0
        other = self._finder.live(to)
        if other is None or other is found or other.family != found.family or is_noise_after(found, other):
            raise Refused("Destination not running", status=400, cause=f"{to} cannot take the listeners of {mount}")
        return self._moves.for_good(found, other)
