"""The keys and values in etcd: what each key holds, and how its record is written. Pure.

    /pycast/<cluster>/v1/meta                       {schema, generation}, without a lease
    /pycast/<cluster>/v1/nodes/<node>               a NodeRecord, with the node's lease
    /pycast/<cluster>/v1/mounts/<base64>/origin     an OriginRecord, with its node's lease

An origin's epoch is (generation, revision of the write that claimed the mount). That revision is not known when the
claim is written, so the value of a claim has the number 0, which means "this very write". What the owner writes later
has the number in it, because each write changes the key's revision. `claim` is a random token, new for each claim: by
it a node recognizes a claim of its own whose answer was lost.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any

from pycast.cluster.codec import decode, encode
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value."""

    key: str
    value: bytes
    revision: int
    """The revision of its last write."""
    lease: int = 0


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node's key in etcd."""

    record: NodeRecord
    revision: int
    lease: int
    is_leaving: bool = False
    """Whether it is leaving: then it is not probed."""


@dataclass(frozen=True, slots=True)
class OriginEntry:
    """An origin's key in etcd."""

    record: OriginRecord
    revision: int
    lease: int
    claim: str


class Keys:
    """The keys of one cluster."""

    def __init__(self, cluster: str) -> None:
        self.prefix = f"/pycast/{cluster}/v1/"
        self.meta = f"{self.prefix}meta"
        self._nodes = f"{self.prefix}nodes/"
        self._mounts = f"{self.prefix}mounts/"

    def node(self, name: str) -> str:
        return self._nodes + name

    def origin(self, mount: str) -> str:
        return f"{self._mounts}{urlsafe_b64encode(mount.encode()).decode().rstrip('=')}/origin"

    def maybe_node(self, key: str) -> str | None:
        """Returns the node whose key this is, or None."""
        return key.removeprefix(self._nodes) if key.startswith(self._nodes) else None

    def maybe_mount(self, key: str) -> str | None:
        """Returns the mount whose origin has this key, or None."""
        if not (key.startswith(self._mounts) and key.endswith("/origin")):
            return None
        text = key[len(self._mounts) : -len("/origin")]
        try:
            mount = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        except ValueError:
            return None
        # The decoder skips letters that are not base64: only the one right spelling of a mount is its key.
        return mount if self.origin(mount) == key else None


def encode_meta(generation: int) -> bytes:
    return _encode({"schema": SCHEMA, "generation": generation})


def decode_meta(entry: Entry) -> int:
    """Returns the generation. Raises ValueError."""
    generation = _decode(entry.value).get("generation")
    if isinstance(generation, bool) or not isinstance(generation, int) or generation < 1:
        raise ValueError(f"bad generation: {str(generation)[:60]!r}")
    return generation


def encode_node(record: NodeRecord, is_leaving: bool = False) -> bytes:
    return _encode(encode(record) | ({"leaving": True} if is_leaving else {}))


def decode_node(entry: Entry) -> NodeEntry:
    """Reads a node's key. Raises ValueError."""
    data = _decode(entry.value)
    return NodeEntry(decode(NodeRecord, data), entry.revision, entry.lease, data.get("leaving") is True)


def encode_claim(offer: OriginRecord, generation: int, claim: str) -> bytes:
    """Returns the value that claims a mount: its epoch's number is the revision of the write."""
    epoch = Epoch(generation, 0, 0, offer.node)
    return encode_origin(replace(offer, epoch=epoch, is_provisional=False), claim)


def encode_origin(record: OriginRecord, claim: str) -> bytes:
    """Returns the value of an origin whose epoch is known."""
    return _encode(encode(record) | {"claim": claim})


def decode_origin(entry: Entry) -> OriginEntry:
    """Reads an origin's key. Raises ValueError."""
    data = _decode(entry.value)
    record = decode(OriginRecord, data)
    if record.epoch.number == 0:
        record = replace(record, epoch=replace(record.epoch, number=entry.revision))
    if record.epoch.number > entry.revision:
        raise ValueError(f"an epoch of a write that has not been made yet: {str(record.epoch)[:60]}")
    return OriginEntry(record, entry.revision, entry.lease, str(data.get("claim", "")))


def has_moved(before: NodeRecord, after: NodeRecord) -> bool:
    """Whether a node's record differs by more than small changes of its load: 2 % of its slots, or of its weight."""
    if replace(before, used=0, listeners=0, weight=0) != replace(after, used=0, listeners=0, weight=0):
        return True
    step = max(after.slots, 1) * 0.02
    is_near = abs(before.used - after.used) <= step and abs(before.listeners - after.listeners) <= step
    return not is_near or abs(before.weight - after.weight) > 2


def _encode(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _decode(value: bytes) -> dict[str, Any]:
    try:
        data = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError("no JSON object")
    return data
