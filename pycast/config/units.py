"""Sizes and times as people write them: `65536`, `"64k"`, `"512KiB"`, `"4s"`, `"2m"`.

Pure: text to numbers. Sizes have binary multiples only (k = 1024 bytes, as Icecast's sample file counts its 64k),
because a buffer is a memory size. A text that is no size or time raises ValueError whose text begins with "expected",
so that an error can have it after "limits.burst_size = ...: " as it is.

The one invariant: a value that was accepted is finite and not negative.
"""

import re
from typing import NamedTuple

from pycast.patterns import pattern

_NUMBER_AND_UNIT = pattern(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]{0,3})", re.ASCII)
_BYTES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmg", start=1):
    _BYTES |= {_letter: 1024**_power, _letter + "b": 1024**_power, _letter + "ib": 1024**_power}
_SECONDS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# "m" is mega in a size and minutes in a time, so a span of audio has only the unambiguous units.
_SPAN_SECONDS = {unit: _SECONDS[unit] for unit in ("s", "ms", "min")}

MAX_BYTES = 1 << 30
"""1 GiB: a mount's buffer is in memory, and one key must not be able to use all of it."""
MAX_SECONDS = 100 * 365 * 86400.0

_MOST = 10**18
"""What a plain number may be, so that it is a float too; what it may be as a size or a time is checked after."""

_SIZE_EXPECTED = 'expected bytes up to 1 GiB, such as 65536, "64k" or "512KiB"'
_FILE_EXPECTED = 'expected bytes such as 1000000, or a size such as "500k" or "10M"'
_SPAN_EXPECTED = 'expected bytes such as 65536, "64k" or "512KiB", or a time of audio such as "4s"'
_TIME_EXPECTED = 'expected seconds such as 10 or 0.5, or a time such as "500ms", "30s", "2m" or "1h"'


class Size(NamedTuple):
    """An amount of audio: `bytes`, or `seconds` of it (then `bytes` is None). Exactly one of the two is set."""

    bytes: int | None = None
    seconds: float | None = None

    def in_bytes(self, bytes_per_second: float) -> int:
        """Returns this in bytes for a stream of that rate."""
        return self.bytes if self.bytes is not None else round((self.seconds or 0.0) * bytes_per_second)

    def __str__(self) -> str:
        return f"{self.seconds:g}s" if self.bytes is None else format_bytes(self.bytes)


def parse_bytes(value: object) -> int:
    """Returns bytes from `65536`, `"65536"`, `"64k"`, `"64kB"` or `"512KiB"`; raises ValueError."""
    size = _scaled(value, _BYTES, _SIZE_EXPECTED)
    if size > MAX_BYTES:
        raise ValueError(_SIZE_EXPECTED)
    return int(size)


def parse_file_size(value: object) -> int:
    """Returns what `parse_bytes` reads, without its bound: a file is not in memory. Raises ValueError."""
    return int(_scaled(value, _BYTES, _FILE_EXPECTED))


def parse_size(value: object) -> Size:
    """Returns what `parse_bytes` reads, or seconds of audio from `"4s"`, `"500ms"`, `"2min"`; raises ValueError."""
    if isinstance(value, Size):
        return value
    match = _NUMBER_AND_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and match[2].lower() in _SPAN_SECONDS:
        return Size(seconds=float(match[1]) * _SPAN_SECONDS[match[2].lower()])
    try:
        return Size(bytes=parse_bytes(value))
    except ValueError:
        raise ValueError(_SPAN_EXPECTED) from None


def parse_time(value: object) -> float:
    """Returns seconds from `10`, `0.5`, `"10"`, `"500ms"`, `"30s"`, `"2m"`, `"1h"` or `"1d"`; raises ValueError."""
    seconds = _scaled(value, _SECONDS, _TIME_EXPECTED)
    if seconds > MAX_SECONDS:
        raise ValueError(_TIME_EXPECTED)
    return seconds


def format_bytes(size: int) -> str:
    """Returns the shortest text that `parse_bytes` reads as this size: 65536 -> "64k", 65535 -> "65535"."""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _scaled(value: object, units: dict[str, int] | dict[str, float], expected: str) -> float:
    if isinstance(value, bool):
        raise ValueError(expected)
    if isinstance(value, int | float) and 0 <= value <= _MOST:
        return float(value)
    match = _NUMBER_AND_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in units:
        raise ValueError(expected)
    return float(match[1]) * units[match[2].lower()]
