"""What the registry no longer has, or cannot be asked about: nothing goes from the table before its node was asked.

A registry may be empty by accident, be restored, be cut from a node that works. So a node whose key is gone is asked
itself: as long as it answers it stays, and is asked again every two seconds. While the registry is away all nodes are
asked in the same way, and none is removed.

One greenlet for each node in doubt; it ends with the doubt.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import gevent

from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord
from pycast.net.group import Group

PROBE_EVERY_S = 2.0
PROBE_S = 1.0
# A registered node that answers has this long to put back what somebody else took out of the registry: a few probes.
PATIENCE_S = 4.0


@dataclass(slots=True)
class _Probe:
    since: float
    is_gone: bool = False
    """Its key is not there. False: only these mounts are in doubt, or the registry is away."""
    mounts: dict[str, Epoch] = field(default_factory=dict)


class LivenessProbes:
    """Nodes that are asked. `answers` asks one directly; it may switch."""

    def __init__(
        self, state: ClusterState, group: Group, answers: Callable[[NodeRecord], bool], clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._group = group
        self._answers = answers
        self._clock = clock
        self._probes: dict[str, _Probe] = {}

    def probe(self, node: str) -> None:
        """The registry is away: only the node itself can say that it is alive."""
        self._doubt(node)

    def gone(self, node: str) -> None:
        """The node's key is not there."""
        self._doubt(node).is_gone = True

    def origin_gone(self, node: str, mount: str, epoch: Epoch) -> None:
        """The origin's key is not there, and that is hard to believe."""
        self._doubt(node).mounts[mount] = epoch

    def node_settled(self, node: str) -> bool:
        """The node's key is there, or it has said goodbye. Gives whether it was gone."""
        probe = self._probes.get(node)
        if probe is None:
            return False
        was_gone, probe.is_gone = probe.is_gone, False
        if not probe.mounts:
            del self._probes[node]
        return was_gone

    def origin_settled(self, node: str, mount: str) -> None:
        """The origin's key is there again."""
        probe = self._probes.get(node)
        if probe is not None and probe.mounts.pop(mount, None) is not None and not probe.mounts and not probe.is_gone:
            del self._probes[node]

    def forget(self) -> None:
        """This node stops: nothing is in doubt any more, and nothing more goes from the table."""
        self._probes.clear()

    def asked(self, node: NodeRecord) -> bool:
        """Whether the node answers, within PROBE_S."""
        return bool(gevent.with_timeout(PROBE_S, self._answers, node, timeout_value=False))

    def _doubt(self, node: str) -> _Probe:
        probe = self._probes.get(node)
        if probe is None:
            probe = self._probes[node] = _Probe(self._clock())
            self._group.spawn(f"doubt {node}", self._ask, node, probe)
        return probe

    def _ask(self, node: str, probe: _Probe) -> None:
        while self._probes.get(node) is probe:
            peer = self._state.peer(node)
            is_alive = peer is not None and self.asked(peer.record)
            if self._probes.get(node) is not probe:
                return
            if self._conclude(node, probe, is_alive):
                del self._probes[node]
                return
            gevent.sleep(PROBE_EVERY_S)

    def _conclude(self, node: str, probe: _Probe, is_alive: bool) -> bool:
        """Whether there is nothing more to find out. Never switches."""
        if probe.is_gone and not is_alive:
            self._state.remove_node(node)
            return True
        self._state.set_status(node, Status.UP if is_alive or probe.mounts else Status.SUSPECT)
        if probe.mounts and (not is_alive or self._clock() - probe.since >= PATIENCE_S) and not probe.is_gone:
            for mount, epoch in probe.mounts.items():
                self._state.remove_origin(mount, epoch)
            return True
        return False
