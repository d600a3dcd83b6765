"""What belongs to a moment of the audio: marks at absolute offsets, trimmed with the ring.

Join points, titles, codec headers and splices are never variables of the mount: a listener that is ten seconds behind
gets the audio and the title of ten seconds ago. The timeline only answers questions about offsets; it knows no ring, no
listener and no clock.
"""

from array import array
from bisect import bisect_left, bisect_right
from math import nan
from typing import NamedTuple

# Join points that fell off the ring are removed in batches, so that trimming costs next to nothing per mark.
TRIM_BATCH = 512


class Title(NamedTuple):
    """A song and its performer. `block` is the ICY block with them, in the mount's charset."""

    artist: str
    title: str
    url: str
    block: bytes

    @property
    def text(self) -> str:
        """Artist and title in one, as players show them."""
        return f"{self.artist} - {self.title}" if self.artist else self.title


class Timeline:
    """Marks of one mount, each at an offset that is not before the last one of its kind."""

    def __init__(self) -> None:
        self._join_offsets = array("Q")
        self._join_times = array("d")
        self._title_offsets: list[int] = []
        self._titles: list[Title] = []
        self._header_offsets: list[int] = []
        self._headers: list[bytes] = []
        self._splices: list[int] = []

    def add_join(self, offset: int, time_s: float | None) -> None:
        """Marks `offset`, `time_s` seconds into the stream (None: unknown), as a place where a listener may start."""
        if self._join_offsets and self._join_offsets[-1] >= offset:
            return
        self._join_offsets.append(offset)
        self._join_times.append(nan if time_s is None else time_s)

    def add_title(self, offset: int, title: Title) -> None:
        """Marks `title` as what plays from `offset` on.

        The tags of an Ogg chain may come after a title that an admin set at a later offset: they hold from there.
        """
        if self._title_offsets:
            offset = max(offset, self._title_offsets[-1])
        if self._title_offsets and self._title_offsets[-1] == offset:
            self._titles[-1] = title
            return
        self._title_offsets.append(offset)
        self._titles.append(title)

    def add_header(self, offset: int, data: bytes) -> None:
        """Marks `data` as what a listener that starts at `offset` or later needs first."""
        if self._header_offsets and self._header_offsets[-1] == offset:
            self._headers[-1] = data
            return
        self._header_offsets.append(offset)
        self._headers.append(data)

    def add_splice(self, offset: int) -> None:
        """Marks `offset` as the first byte of another source."""
        self._splices.append(offset)

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def joins(self, start: int, stop: int) -> list[tuple[int, float]]:
        """Returns the join points at `start` or later and before `stop`, each with its media time (NaN: unknown)."""
        first, last = bisect_left(self._join_offsets, start), bisect_left(self._join_offsets, stop)
        return list(zip(self._join_offsets[first:last], self._join_times[first:last], strict=True))

    def first_join(self, offset: int) -> int | None:
        """Returns the first join point at or after `offset`, if there is one."""
        index = bisect_left(self._join_offsets, offset)
        return self._join_offsets[index] if index < len(self._join_offsets) else None

    def last_join(self) -> int | None:
        return self._join_offsets[-1] if self._join_offsets else None

    def join_before_end(self, seconds: float) -> int | None:
        """Returns the first join point within the last `seconds` of media time; None if the format has no time."""
        if not self._join_times:
            return None
        wanted = self._join_times[-1] - seconds
        if wanted != wanted:  # NaN: the format has no time
            return None
        # Media time begins anew with each source, so the search stays within the present one.
        floor = self._splices[-1] if self._splices else 0
        # Step back from the last join point for as long as the one before is of this source and not too old.
        index = len(self._join_times) - 1
        while index > 0 and self._join_offsets[index - 1] >= floor and self._join_times[index - 1] >= wanted:
            index -= 1
        return self._join_offsets[index]

    def title_at(self, offset: int) -> tuple[int, Title] | None:
        """Returns the title in force just before `offset`, and the offset at which it began.

        Before, not at: a title that is set at the head must not change a block that was already sent at the head.
        """
        index = bisect_left(self._title_offsets, offset)
        return (self._title_offsets[index - 1], self._titles[index - 1]) if index else None

    @property
    def title(self) -> Title | None:
        return self._titles[-1] if self._titles else None

    def header_at(self, offset: int) -> bytes:
        """Returns the codec header that a listener that starts at `offset` needs first."""
        index = bisect_right(self._header_offsets, offset)
        return self._headers[index - 1] if index else b""

    def trim(self, oldest: int) -> None:
        """Removes the marks that no position at or after `oldest` needs."""
        gone = bisect_left(self._join_offsets, oldest)
        if gone >= TRIM_BATCH:
            del self._join_offsets[:gone]
            del self._join_times[:gone]
        _trim_pair(self._title_offsets, self._titles, oldest)
        _trim_pair(self._header_offsets, self._headers, oldest)
        # One splice older than the ring stays: it is where the media time of the oldest audio began.
        while len(self._splices) > 1 and self._splices[1] < oldest:
            del self._splices[0]


def _trim_pair(offsets: list[int], values: list[Title] | list[bytes], oldest: int) -> None:
    # The last mark before `oldest` still holds at `oldest`.
    while len(offsets) > 1 and offsets[1] < oldest:
        del offsets[0], values[0]
