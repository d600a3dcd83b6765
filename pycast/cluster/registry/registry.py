"""The Protocol of a registry: how nodes find each other, and which of two nodes gets a mount that both want.

Audio and new connections never wait for a registry. Its drivers (`mesh_registry.py`, `etcd_registry.py`) fill a
`ClusterState`; all other parts query that, and its signals notify them of changes. `start`, `stop` and `claim` may
switch; a claim takes at most `CALL_S`.

The rule of claims: a claim names the epoch that it follows (`over`: the highest that its node has seen, whether that
owner is gone or is to be replaced), and succeeds only if no higher one exists. Before it claims, a node asks the
present owner whether its source is alive; that is done in `ownership.py`, not here.
"""

from dataclasses import dataclass
from typing import Protocol

from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.errors import PycastError

# A claim takes at most this long: an encoder waits for its answer meanwhile.
CALL_S = 1.5


class DuplicateNode(PycastError):
    """The error of a node whose name another living process has."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim that succeeded. `is_provisional` if the registry could not confirm it yet."""

    epoch: Epoch
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The answer to a claim that failed: another node has the mount. `epoch` is the highest one known, `origin` the
    owner if known.
    """

    epoch: Epoch
    origin: OriginRecord | None = None


class Registry(Protocol):
    """The methods that each driver has."""

    state: ClusterState
    """What is known of the cluster, this node's own records included."""

    @property
    def is_reachable(self) -> bool:
        """Whether the registry answers. In a mesh: whether half of the nodes do, this one included."""

    def start(self, node: NodeRecord) -> None:
        """Registers this node and begins to follow the others. Raises DuplicateNode. A registry that does not answer is
        no error: the driver tries again until it does. May switch.
        """

    def stop(self) -> None:
        """Removes this node and its origins from the registry. May switch, for about a second at most."""

    def update(self, node: NodeRecord) -> None:
        """Announces this node's record, whose load or state has changed. Never switches."""

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        """Claims a mount. `offer.epoch` is ignored: the epoch is in the answer. On success `state` has the record with
        its epoch. May switch, for `CALL_S` at most.
        """

    def publish(self, origin: OriginRecord) -> None:
        """Announces that an origin of this node has changed, for example from live to waiting. Does nothing if the
        mount is no longer ours. Never switches.
        """

    def release(self, mount: str, epoch: Epoch) -> None:
        """Gives a mount up, if it is still ours in that epoch. Never switches."""
