"""The byte streams that listeners get, made from ring and timeline.

A view turns a range of audio offsets into buffers. `RawView` is the ring itself. `IcyView` is a virtual stream with a
title block after each `metaint` bytes of audio; its grid is fixed by `phase`, so all listeners with the same
phase share the same bytes, and there are few phases because ICY listeners start at the first join point after a grid
line (`stream/placement.py`).

What differs per listener (response head, codec header) is its prefix and not a view's business. The one rule of the
grid: the block at offset x belongs to the audio that ends at x. A listener that has got the audio up to x has got the
block too, or has the rest of it in its prefix.
"""

from typing import Protocol

from pycast.http.icy import BLANK_TITLE_BLOCK, EMPTY_BLOCK
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline

Piece = memoryview | bytes
"""memoryview: audio of the ring. bytes: something inserted, which does not move the listener's position."""


class View(Protocol):
    """A byte stream made of a mount's audio. Views with equal `key` give equal bytes for equal offsets."""

    key: tuple[int, int]

    def pieces(self, start: int, stop: int, first_title_at: int = -1) -> list[Piece]: ...


class RawView:
    """The audio as it is."""

    key = (0, 0)

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def pieces(self, start: int, stop: int, first_title_at: int = -1) -> list[Piece]:
        """Returns the audio from `start` to `stop`."""
        return list(self._ring.slices(start, stop))


class IcyView:
    """The audio with a title block after each offset x for which `(x - phase) % metaint == 0`."""

    def __init__(self, ring: Ring, timeline: Timeline, metaint: int, phase: int) -> None:
        self._ring = ring
        self._timeline = timeline
        self._metaint = metaint
        self._phase = phase
        self.key = (metaint, phase)

    def pieces(self, start: int, stop: int, first_title_at: int = -1) -> list[Piece]:
        """Returns the audio after `start` up to `stop` and the blocks in it.

        A block carries the title only if the title changed since the block before it, else it is one zero byte; the
        block at `first_title_at` (a listener's first) carries the title in any case.
        """
        found: list[Piece] = []
        grid = start + self._metaint - (start - self._phase) % self._metaint
        while grid <= stop:
            found += self._ring.slices(start, grid)
            found.append(self._block(grid, grid == first_title_at))
            start, grid = grid, grid + self._metaint
        found += self._ring.slices(start, stop)
        return found

    def _block(self, offset: int, full: bool) -> bytes:
        mark = self._timeline.title_at(offset)
        if mark is None:
            # Icecast begins with the 17-byte empty title; mplayer and old Winamp wait for one.
            return BLANK_TITLE_BLOCK if full else EMPTY_BLOCK
        begun, title = mark
        return title.block if full or begun >= offset - self._metaint else EMPTY_BLOCK
