"""The face of a registry: where nodes find each other, and the referee when two want the same mount.

A registry is advice for finding and a referee for conflicts; it is never in the path of a byte or of an accept. Its
drivers (`mesh_registry.py`, `etcd_registry.py`) feed a `ClusterState`; whoever wants to know something asks that, and
is told of changes by its signals. Calls here may switch, and take at most `CALL_S`.

The rule of claims: a claim says which epoch it follows (`over`: the highest its node has seen, whether that owner is
gone or is to be replaced), and succeeds only if that is still the highest. Asking the present owner whether it is alive
comes before, and is not the registry's business (`ownership.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.errors import PycastError

# A claim is decided, or counts as provisional, after this long: an encoder waits for its answer meanwhile.
CALL_S = 1.5


class DuplicateNode(PycastError):
    """Another process has this node's name, and is alive."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The mount is ours. `is_provisional` if the registry could not confirm it: it does that later by itself."""

    epoch: Epoch
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else was faster. `epoch` is the one to know, `origin` its owner if known."""

    epoch: Epoch
    origin: OriginRecord | None = None


class Registry(Protocol):
    """One driver."""

    state: ClusterState
    """What is known. Has this node's own records too."""

    @property
    def is_reachable(self) -> bool:
        """Whether the registry answers. In a mesh: whether half of the configured nodes do, this one included."""

    def start(self, node: NodeRecord) -> None:
        """Registers this node and begins to follow the others. Raises DuplicateNode; a registry that does not answer
        is no error: it is tried again and again.
        """

    def stop(self) -> None:
        """Takes this node and its origins out, within a second."""

    def update(self, node: NodeRecord) -> None:
        """This node's record has changed (its load, its state). Never waits."""

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        """Asks for a mount. `offer.epoch` is ignored: the epoch is in the answer. On success the table has the record
        with its epoch.
        """

    def publish(self, origin: OriginRecord) -> None:
        """A mount that is ours has changed (live or waiting). Never waits. Does nothing if it is no longer ours."""

    def release(self, mount: str, epoch: Epoch) -> None:
        """Gives a mount up, if it is still ours in that epoch. Never waits."""
