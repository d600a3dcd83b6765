"""What nodes tell each other of themselves: frozen values. `codec.py` writes and checks their JSON.

Each record has one writer: the node that it is about.
"""

from dataclasses import dataclass
from enum import StrEnum

from pycast.cluster.registry.epoch import Epoch


class NodeState(StrEnum):
    """What a node says of itself. Whether it answers at all is what the others find out."""

    UP = "up"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One node. `boot` is drawn anew at each start: two processes with one name differ in it."""

    node: str
    boot: str
    address: str
    """`host:port` where its links are taken."""
    zone: str = ""
    version: str = ""
    state: NodeState = NodeState.UP
    slots: int = 0
    """Connections it takes."""
    used: int = 0
    listeners: int = 0
    weight: int = 100
    """Headroom in per cent, 0 to 100."""
    machine: str = ""
    """Workers of one machine have the same."""


@dataclass(frozen=True, slots=True)
class OriginRecord:
    """Who has a mount's source. `is_live` is False while the mount waits for its source to come back."""

    mount: str
    node: str
    boot: str
    epoch: Epoch
    base: int
    """The offset of the epoch's first byte."""
    is_live: bool
    is_provisional: bool = False
    """Claimed while the registry could not be asked, or by a node that sees less than half of the others."""
    content_type: str = ""
    source_ip: str = ""
    started: float = 0.0
    """Seconds since the epoch, by the clock of the source's node. Only shown, never compared."""
