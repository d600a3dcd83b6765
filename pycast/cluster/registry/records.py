"""What nodes tell each other of themselves: frozen values, and their JSON.

Each record has one writer: the node that it is about. `from_json` takes what came from another machine, so it checks
every field and raises ValueError; it takes records with more fields than it knows, so that a newer node can be
understood during an upgrade.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from pycast.cluster.registry.epoch import Epoch

LONGEST_TEXT = 4096


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

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Raises ValueError."""
        values = _known(cls, data)
        return cls(**values | {"state": NodeState(values.get("state", "up"))})


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

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"epoch": str(self.epoch)}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Raises ValueError."""
        values = _known(cls, data, also={"epoch": str})
        return cls(**values | {"epoch": Epoch.parse(values["epoch"])})


def _known(cls: type, data: object, also: Mapping[str, type] | None = None) -> dict[str, Any]:
    """The fields of `cls` that `data` has, each of its type."""
    if not isinstance(data, dict):
        raise ValueError(f"expected an object, not {type(data).__name__}")
    values: dict[str, Any] = {}
    for one in fields(cls):
        if one.name in data:
            values[one.name] = _checked(one.name, data[one.name], (also or {}).get(one.name, one.type))
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"no {one.name}")
    return values


def _checked(name: str, value: object, wanted: object) -> object:
    kind = wanted if isinstance(wanted, type) else None
    if kind is not None and issubclass(kind, StrEnum):
        kind = str
    if kind is float:
        is_right = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int:
        is_right = isinstance(value, int) and not isinstance(value, bool)
    else:
        is_right = kind is not None and isinstance(value, kind)
    if not is_right or (isinstance(value, str) and len(value) > LONGEST_TEXT):
        raise ValueError(f"bad {name}: {str(value)[:60]!r}")
    return value
