"""What the registry no longer has, or cannot be asked about: nothing goes from the table before its node was asked.

A registry may be empty by accident, be restored, be cut from a node that works. So a node whose key is gone is asked
itself: as long as it answers it stays, and is asked again every two seconds. While the registry is away all nodes are
asked in the same way, and none is removed.

One greenlet for each node in doubt; it ends with the doubt.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import gevent

from pycast.cluster.registry.cluster_state import Status, Table
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord
from pycast.net.group import Group

PROBE_EVERY_S = 2.0
PROBE_S = 1.0
# A registered node that answers has this long to put back what somebody else took out of the registry: a few probes.
PATIENCE_S = 4.0


@dataclass(slots=True)
class _Doubt:
    since: float
    is_gone: bool = False
    """Its key is not there. False: only these mounts are in doubt, or the registry is away."""
    mounts: dict[str, Epoch] = field(default_factory=dict)


class Doubts:
    """Nodes that are asked. `answers` asks one directly; it may switch."""

    def __init__(
        self, table: Table, group: Group, answers: Callable[[NodeRecord], bool], clock: Callable[[], float]
    ) -> None:
        self._table = table
        self._group = group
        self._answers = answers
        self._clock = clock
        self._doubts: dict[str, _Doubt] = {}

    def vouch(self, node: str) -> None:
        """The registry is away: only the node itself can say that it is alive."""
        self._doubt(node)

    def gone(self, node: str) -> None:
        """The node's key is not there."""
        self._doubt(node).is_gone = True

    def origin_gone(self, node: str, mount: str, epoch: Epoch) -> None:
        """The origin's key is not there, and that is hard to believe."""
        self._doubt(node).mounts[mount] = epoch

    def settled(self, node: str) -> bool:
        """The node's key is there, or it has said goodbye. Gives whether it was gone."""
        doubt = self._doubts.get(node)
        if doubt is None:
            return False
        was_gone, doubt.is_gone = doubt.is_gone, False
        if not doubt.mounts:
            del self._doubts[node]
        return was_gone

    def origin_settled(self, node: str, mount: str) -> None:
        """The origin's key is there again."""
        doubt = self._doubts.get(node)
        if doubt is not None and doubt.mounts.pop(mount, None) is not None and not doubt.mounts and not doubt.is_gone:
            del self._doubts[node]

    def forget(self) -> None:
        """This node stops: nothing is in doubt any more, and nothing more goes from the table."""
        self._doubts.clear()

    def asked(self, node: NodeRecord) -> bool:
        """Whether the node answers, within PROBE_S."""
        return bool(gevent.with_timeout(PROBE_S, self._answers, node, timeout_value=False))

    def _doubt(self, node: str) -> _Doubt:
        doubt = self._doubts.get(node)
        if doubt is None:
            doubt = self._doubts[node] = _Doubt(self._clock())
            self._group.spawn(f"doubt {node}", self._ask, node, doubt)
        return doubt

    def _ask(self, node: str, doubt: _Doubt) -> None:
        while self._doubts.get(node) is doubt:
            peer = self._table.peer(node)
            is_alive = peer is not None and self.asked(peer.record)
            if self._doubts.get(node) is not doubt:
                return
            if self._conclude(node, doubt, is_alive):
                del self._doubts[node]
                return
            gevent.sleep(PROBE_EVERY_S)

    def _conclude(self, node: str, doubt: _Doubt, is_alive: bool) -> bool:
        """Whether there is nothing more to find out. Never switches."""
        if doubt.is_gone and not is_alive:
            self._table.remove_node(node)
            return True
        self._table.set_status(node, Status.UP if is_alive or doubt.mounts else Status.SUSPECT)
        if doubt.mounts and (not is_alive or self._clock() - doubt.since >= PATIENCE_S) and not doubt.is_gone:
            for mount, epoch in doubt.mounts.items():
                self._table.remove_origin(mount, epoch)
            return True
        return False
