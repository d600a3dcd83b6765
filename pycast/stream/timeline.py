"""What belongs to a moment of the audio: marks at absolute offsets, trimmed with the ring.

Join points, titles, codec headers and splices are never variables of the mount: a listener that is ten seconds behind
gets the audio and the title of ten seconds ago. The timeline only answers questions about offsets; it knows no ring, no
listener and no clock.

However many marks a source or another node sends, only so many are kept: of titles, headers and splices the newest, of
join points every second one.
"""

from array import array
from bisect import bisect_left, bisect_right
from math import nan
from typing import NamedTuple

from pycast.formats.marks import Tags
from pycast.http.titles import Song

# Join points that fell off the ring are removed in batches, so that trimming costs next to nothing per mark.
TRIM_BATCH = 512

# Join points that are kept: those of a ring with half an hour of MP3 frames. Then every second one is removed.
MOST_JOINS = 1 << 16

# Titles, headers and splices that are kept, each. A ring holds minutes, and a song has one of each.
MOST_MARKS = 256

# Bytes of headers that are kept. One may have a megabyte, with a picture in it.
MOST_HEADER_BYTES = 4 << 20


class Title(NamedTuple):
    """A song and its performer. `block` is the ICY block with them, in the mount's charset."""

    artist: str
    title: str
    url: str
    block: bytes

    @property
    def text(self) -> str:
        """Artist and title in one, as players show them."""
        return Song(self.artist, self.title, self.url).text


class Timeline:
    """Marks of one mount, each at an offset that is not before the last one of its kind."""

    def __init__(self) -> None:
        self.dropped = 0
        """How many marks were given up because there were too many."""
        self._join_offsets = array("Q")
        self._join_times = array("d")
        self._timed_from = 0
        self._title_offsets: list[int] = []
        self._titles: list[Title] = []
        self._header_offsets: list[int] = []
        self._headers: list[bytes] = []
        self._header_bytes = 0
        self._splices: list[int] = []

    def add_join(self, offset: int, time_s: float | None) -> None:
        """Marks `offset`, `time_s` seconds into the stream (None: unknown), as a place where a listener may start."""
        if self._join_offsets and self._join_offsets[-1] >= offset:
            return
        self._join_offsets.append(offset)
        if time_s is None:
            self._timed_from = offset + 1
        self._join_times.append(nan if time_s is None else time_s)
        if len(self._join_offsets) > MOST_JOINS:
            # Not the last one: from there on the latest audio can be decoded.
            self.dropped += len(self._join_offsets[1:-1:2])
            del self._join_offsets[1:-1:2]
            del self._join_times[1:-1:2]

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
        if len(self._titles) > MOST_MARKS:
            del self._title_offsets[0], self._titles[0]
            self.dropped += 1

    def add_header(self, offset: int, data: bytes) -> None:
        """Marks `data` as what a listener that starts at `offset` or later needs first."""
        self._header_bytes += len(data)
        if self._header_offsets and self._header_offsets[-1] == offset:
            self._header_bytes -= len(self._headers[-1])
            self._headers[-1] = data
            return
        self._header_offsets.append(offset)
        self._headers.append(data)
        while len(self._headers) > MOST_MARKS or (self._header_bytes > MOST_HEADER_BYTES and len(self._headers) > 1):
            self._drop_header()
            self.dropped += 1

    def add_splice(self, offset: int) -> None:
        """Marks `offset` as the first byte of another source."""
        if self._splices and self._splices[-1] == offset:
            return
        self._splices.append(offset)
        if len(self._splices) > MOST_MARKS:
            del self._splices[0]
            self.dropped += 1

    def clear(self) -> None:
        """Removes all marks. The count of those that were dropped continues."""
        dropped = self.dropped
        self.__init__()  # type: ignore[misc]
        self.dropped = dropped

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
        # Media time begins anew with each source. Within the present one, and after the last join point of unknown
        # time, it never goes back: so the first join point that is not too old is searched for there.
        floor = max(self._splices[-1] if self._splices else 0, self._timed_from)
        last = len(self._join_times) - 1
        first = min(bisect_left(self._join_offsets, floor), last)
        return self._join_offsets[min(bisect_left(self._join_times, wanted, first), last)]

    def title_at(self, offset: int) -> tuple[int, Title] | None:
        """Returns the title in force just before `offset`, and the offset at which it began.

        Before, not at: a title that is set at the head must not change a block that was already sent at the head.
        """
        index = bisect_left(self._title_offsets, offset)
        return (self._title_offsets[index - 1], self._titles[index - 1]) if index else None

    @property
    def title(self) -> Title | None:
        return self._titles[-1] if self._titles else None

    def songs(self) -> frozenset[Song]:
        """Returns all songs whose audio it still knows."""
        return frozenset(Song(one.artist, one.title, one.url) for one in self._titles)

    def tags_at(self, offset: int) -> Tags | None:
        """Returns the latest title as a mark at `offset`; None if there is none."""
        title = self.title
        return Tags(offset, title.artist, title.title, title.url) if title else None

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
        # The last mark before `oldest` still holds at `oldest`.
        while len(self._titles) > 1 and self._title_offsets[1] < oldest:
            del self._title_offsets[0], self._titles[0]
        while len(self._headers) > 1 and self._header_offsets[1] < oldest:
            self._drop_header()
        # One splice older than the ring stays: it is where the media time of the oldest audio began.
        while len(self._splices) > 1 and self._splices[1] < oldest:
            del self._splices[0]

    def _drop_header(self) -> None:
        self._header_bytes -= len(self._headers[0])
        del self._header_offsets[0], self._headers[0]
