"""What belongs to a moment of the audio: marks at absolute offsets, trimmed with the ring.

Join points, titles, codec headers and splices are never variables of the mount: a listener that is ten seconds behind
hears, and is told, what was true ten seconds ago. The timeline only answers questions about offsets; it knows no ring,
no listener and no clock.
"""

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import nan

# Marks that fell off the ring are removed in lots, so that trimming costs nothing per mark.
TRIM_BATCH = 512


@dataclass(frozen=True, slots=True)
class Title:
    """What plays now. `block` is the ICY block that says so, in the mount's charset."""

    artist: str
    title: str
    url: str
    block: bytes

    @property
    def text(self) -> str:
        """The title as players show it."""
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
        """A new listener may start at `offset`, which is `time_s` seconds into the stream (None: unknown)."""
        if self._join_offsets and self._join_offsets[-1] >= offset:
            return
        self._join_offsets.append(offset)
        self._join_times.append(nan if time_s is None else time_s)

    def add_title(self, offset: int, title: Title) -> None:
        """From `offset` on, `title` plays. The tags of an Ogg chain may come after a title that an admin set meanwhile:
        they hold from there.
        """
        if self._title_offsets:
            offset = max(offset, self._title_offsets[-1])
        if self._title_offsets and self._title_offsets[-1] == offset:
            self._titles[-1] = title
            return
        self._title_offsets.append(offset)
        self._titles.append(title)

    def add_header(self, offset: int, data: bytes) -> None:
        """A listener that starts at `offset` or later needs `data` first."""
        if self._header_offsets and self._header_offsets[-1] == offset:
            self._headers[-1] = data
            return
        self._header_offsets.append(offset)
        self._headers.append(data)

    def add_splice(self, offset: int) -> None:
        """The audio from `offset` on comes from another source than the audio before."""
        self._splices.append(offset)

    def clear(self) -> None:
        """Forgets everything."""
        self.__init__()  # type: ignore[misc]

    def joins(self, start: int, stop: int) -> list[tuple[int, float]]:
        """Join points at `start` or later and before `stop`, each with its media time (NaN: unknown)."""
        first, last = bisect_left(self._join_offsets, start), bisect_left(self._join_offsets, stop)
        return list(zip(self._join_offsets[first:last], self._join_times[first:last], strict=True))

    def first_join(self, offset: int) -> int | None:
        """The first join point at or after `offset`."""
        index = bisect_left(self._join_offsets, offset)
        return self._join_offsets[index] if index < len(self._join_offsets) else None

    def last_join(self) -> int | None:
        """The latest join point."""
        return self._join_offsets[-1] if self._join_offsets else None

    def join_before_end(self, seconds: float) -> int | None:
        """The first join point within the last `seconds` of media time; None where the format tells no time."""
        if not self._join_times:
            return None
        wanted = self._join_times[-1] - seconds
        if wanted != wanted:  # NaN: the format tells no time
            return None
        # Backwards and only over the present source: a new source's media time begins anew.
        floor = self._splices[-1] if self._splices else 0
        index = len(self._join_times) - 1
        while index > 0 and self._join_offsets[index - 1] >= floor and self._join_times[index - 1] >= wanted:
            index -= 1
        return self._join_offsets[index]

    def title_at(self, offset: int) -> tuple[int, Title] | None:
        """The title in force just before `offset`, and the offset at which it began.

        Before, not at: a title that is set at the head must not change a block that was already sent at the head.
        """
        index = bisect_left(self._title_offsets, offset)
        return (self._title_offsets[index - 1], self._titles[index - 1]) if index else None

    @property
    def title(self) -> Title | None:
        """The latest title."""
        return self._titles[-1] if self._titles else None

    def header_at(self, offset: int) -> bytes:
        """The codec header a listener that starts at `offset` needs first."""
        index = bisect_right(self._header_offsets, offset)
        return self._headers[index - 1] if index else b""

    def trim(self, oldest: int) -> None:
        """Forgets what no position at or after `oldest` can ask for."""
        gone = bisect_left(self._join_offsets, oldest)
        if gone >= TRIM_BATCH:
            del self._join_offsets[:gone]
            del self._join_times[:gone]
        _trim_pair(self._title_offsets, self._titles, oldest)
        _trim_pair(self._header_offsets, self._headers, oldest)
        # One splice older than the ring is kept: it tells where the present source's media time began.
        while len(self._splices) > 1 and self._splices[1] < oldest:
            del self._splices[0]


def _trim_pair(offsets: list[int], values: list[Title] | list[bytes], oldest: int) -> None:
    # The last mark before `oldest` still holds at `oldest`.
    while len(offsets) > 1 and offsets[1] < oldest:
        del offsets[0], values[0]
