"""Opaque streams: whatever pycast has no parser for passes through untouched.

Nothing is looked at and nothing is held back, so listeners may start at any byte; the first one of each piece that
arrives is marked. The one invariant: what comes out is exactly what came in. NSV and plain text are such streams.
"""

from pycast.formats.marks import Join, Mark


class Opaque:
    """A format that passes all bytes through. Never raises; keeps nothing."""

    family = "generic"
    dropped = 0

    def __init__(self, base: int = 0) -> None:
        self.warning = ""
        self._offset = base

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns `data` itself and, unless it is empty, a join at its first byte."""
        if not data:
            return b"", []
        join = Join(self._offset, None)
        self._offset += len(data)
        return data, [join]
