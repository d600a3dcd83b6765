"""The frames in which nodes send messages: a length, a kind, a payload.

    4 bytes  length of the payload, big endian
    1 byte   kind
    n bytes  payload: JSON, or for audio the format in `mirror/messages.py`

Pure: bytes to frames and back. The one invariant: the result depends on the bytes, not on how they were cut, and a
reader buffers at most one incomplete frame of `MAX_PAYLOAD`.
"""

import json
from enum import IntEnum
from math import isfinite
from struct import Struct
from typing import Any

from pycast.errors import PeerError

_HEAD = Struct(">IB")

# Audio comes in pieces of some 64 KiB; the longest answer is a list of ten thousand listeners.
MAX_PAYLOAD = 16 << 20


class LinkError(PeerError):
    """The error of a peer that breaks the protocol of a link."""


class Malformed(LinkError):
    """The error of a peer whose frames or messages make no sense. A link that ends or is changed on its way is another
    error: that is not its peer's fault.
    """


class Kind(IntEnum):
    """The kind of a frame."""

    NOTIFY = 1
    CALL = 2
    REPLY = 3
    # A mirror's connection:
    PULL = 10
    REFUSED = 11
    HEAD = 12
    AUDIO = 13
    EVENT = 14
    STATE = 15
    LINEAGE = 16
    IDLE = 17
    GONE = 18


Frame = tuple[Kind, bytes]


class FrameReader:
    """A parser of bytes into whole frames. It must not be fed again after it has raised."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_payload = max_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Returns the frames that are complete now. Raises Malformed."""
        buffer = self._buffer
        buffer += data
        found: list[Frame] = []
        at = 0
        while len(buffer) - at >= _HEAD.size:
            length, number = _HEAD.unpack_from(buffer, at)
            if length > self._max_payload:
                raise Malformed(f"a frame of {length} bytes")
            end = at + _HEAD.size + length
            if len(buffer) < end:
                break
            try:
                kind = Kind(number)
            except ValueError:
                raise Malformed(f"a frame of the unknown kind {number}") from None
            found.append((kind, bytes(buffer[at + _HEAD.size : end])))
            at = end
        del buffer[:at]
        return found


def pack(kind: Kind, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), kind) + payload


def pack_json(kind: Kind, value: Any) -> bytes:
    return pack(kind, json.dumps(value, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def read_json(payload: bytes) -> dict[str, Any]:
    """Returns the object in a payload. Raises Malformed."""
    try:
        value = json.loads(payload.decode("utf-8", "surrogatepass"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed("a payload that is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("a payload that is not an object")
    return value


def _finite(text: str) -> float:
    """Returns the number. Raises ValueError for NaN and infinities, which are not JSON and break conversions to int."""
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"the number {text[:20]}")
    return value
