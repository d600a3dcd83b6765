"""What nodes tell each other about themselves, as frozen values. `codec.py` writes and checks their JSON.

Each record has one writer: the node that it is about.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pycast.cluster.codec import Bounds, Matching, Within
from pycast.cluster.registry.epoch import Epoch
from pycast.config.address_values import is_node_address
from pycast.http.mount_names import why_no_mount

NodeAddress = Annotated[str, Matching(is_node_address, 'an address such as "10.0.0.1:8000"')]
# As long as a request's head, in which a source gives it, may be.
MountName = Annotated[
    str, Bounds(text=1 << 15), Matching(lambda name: not why_no_mount(name), 'the name of a mount, such as "/live.mp3"')
]

# A count of connections, and an offset. An offset cannot come near 64 bits, in which it is sent, by streaming.
Count = Annotated[int, Within(0, 1 << 31)]
Offset = Annotated[int, Within(0, 1 << 62)]


class NodeState(StrEnum):
    """The state that a node announces. Whether it answers at all is for the others to find out (`cluster_state.py`)."""

    UP = "up"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One node. `boot` is random and new at each start, so two processes with the same name differ in it."""

    node: str
    boot: str
    address: NodeAddress
    """`host:port` at which it accepts links."""
    zone: str = ""
    version: str = ""
    state: NodeState = NodeState.UP
    slots: Count = 0
    """The most connections it accepts."""
    used: Count = 0
    listeners: Count = 0
    weight: Annotated[int, Within(0, 100)] = 100
    """Headroom in per cent, 0 to 100: see `headroom.py`."""
    machine: str = ""
    """The same for all workers of one parent; empty for a node that is no worker."""


@dataclass(frozen=True, slots=True)
class OriginRecord:
    """The node that has a mount's source. `is_live` is False while the mount waits for its source to come back."""

    mount: MountName
    node: str
    boot: str
    epoch: Epoch
    base: Offset
    """The offset of the epoch's first byte."""
    is_live: bool
    is_provisional: bool = False
    """Claimed while the registry could not be asked, or by a node that sees less than half of the nodes."""
    content_type: str = ""
    source_ip: str = ""
    started: float = 0.0
    """Unix time, by the clock of the source's node. Only shown, never compared."""
