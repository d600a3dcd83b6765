"""Probes of nodes and origins that the registry no longer has, or about which it cannot be asked.

A registry may be empty by accident, be restored from a backup, or be cut off from a node that works. So a node whose
key is missing is asked directly: as long as it answers it stays in the cluster's state, and it is asked again every two
seconds (`PROBE_EVERY_S`). While the registry does not answer all nodes are asked in the same way, and none is removed.

The one invariant: a node whose key is missing is removed only after it did not answer. Each node that is probed has a
greenlet, which ends when the question is settled.
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
# How long a registered node that answers has to write keys again that were deleted: a few probes.
PATIENCE_S = 4.0


@dataclass(slots=True)
class _Probe:
    """One node that is probed: since when, and what of it is missing."""

    since: float
    is_gone: bool = False
    """Whether the node's own key is missing. If not, only `mounts` are, or the registry does not answer."""
    mounts: dict[str, Epoch] = field(default_factory=dict)


class LivenessProbes:
    """The nodes that are probed. `answers` asks one directly; it may switch."""

    def __init__(
        self, state: ClusterState, group: Group, answers: Callable[[NodeRecord], bool], clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._group = group
        self._answers = answers
        self._clock = clock
        self._probes: dict[str, _Probe] = {}

    def probe(self, node: str) -> None:
        """Asks a node because the registry does not answer. Never switches."""
        self._probe_for(node)

    def on_node_missing(self, node: str) -> None:
        """Asks a node whose key is missing; it is removed if it does not answer. Never switches."""
        self._probe_for(node).is_gone = True

    def on_origin_missing(self, node: str, mount: str, epoch: Epoch) -> None:
        """Asks a node that has unexpectedly lost an origin's key. The origin is removed if the node does not answer, or
        does not write the key again within `PATIENCE_S`. Never switches.
        """
        self._probe_for(node).mounts[mount] = epoch

    def on_node_present(self, node: str) -> bool:
        """Ends the probe of a node whose key is back, or which is leaving. Returns whether the key was missing."""
        probe = self._probes.get(node)
        if probe is None:
            return False
        was_gone, probe.is_gone = probe.is_gone, False
        if not probe.mounts:
            del self._probes[node]
        return was_gone

    def on_origin_present(self, node: str, mount: str) -> None:
        """Ends the probe of an origin whose key is back."""
        probe = self._probes.get(node)
        if probe is not None and probe.mounts.pop(mount, None) is not None and not probe.mounts and not probe.is_gone:
            del self._probes[node]

    def cancel_all(self) -> None:
        """Ends all probes: from now on nothing is removed."""
        self._probes.clear()

    def is_alive(self, node: NodeRecord) -> bool:
        """Whether the node answers, within PROBE_S. May switch."""
        return bool(gevent.with_timeout(PROBE_S, self._answers, node, timeout_value=False))

    def _probe_for(self, node: str) -> _Probe:
        probe = self._probes.get(node)
        if probe is None:
            probe = self._probes[node] = _Probe(self._clock())
            self._group.spawn(f"probe of {node}", self._ask, node, probe)
        return probe

    def _ask(self, node: str, probe: _Probe) -> None:
        while self._probes.get(node) is probe:
            peer = self._state.peer(node)
            is_alive = peer is not None and self.is_alive(peer.record)
            if self._probes.get(node) is not probe:
                return
            if self._conclude(node, probe, is_alive):
                del self._probes[node]
                return
            gevent.sleep(PROBE_EVERY_S)

    def _conclude(self, node: str, probe: _Probe, is_alive: bool) -> bool:
        """Applies one answer. Returns whether the probe is over. Never switches."""
        if probe.is_gone and not is_alive:
            self._state.remove_node(node)
            return True
        self._state.set_status(node, Status.UP if is_alive or probe.mounts else Status.SUSPECT)
        if probe.mounts and (not is_alive or self._clock() - probe.since >= PATIENCE_S) and not probe.is_gone:
            for mount, epoch in probe.mounts.items():
                self._state.remove_origin(mount, epoch)
            return True
        return False
