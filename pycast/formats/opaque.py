"""Opaque streams: whatever pycast has no parser for passes through untouched.

Nothing is looked at and nothing is held back, so every byte is as good a place to start as any other; the first byte of
each piece that arrives is the one named. The one invariant: out is exactly what came in. Native FLAC, MP4, NSV and
plain text live here.
"""

from pycast.formats.marks import Join, Mark


class Opaque:
    """Pass-through. Never raises; keeps nothing."""

    family = "generic"

    def __init__(self, base: int = 0) -> None:
        self.warning = ""
        self._offset = base

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Return `data` itself and, unless it is empty, a join at its first byte."""
        if not data:
            return b"", []
        join = Join(self._offset, None)
        self._offset += len(data)
        return data, [join]
