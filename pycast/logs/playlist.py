"""The playlist log: one line for each new title, in Icecast's format.

`22/Nov/2025:07:01:00 +0000|/live.mp3|LISTENERS|Artist - Title`

Titles are written as UTF-8 and may have a `|`, because they are the last field. Control characters, line separators and
marks of direction become blanks, so one title is one line; Icecast writes line ends as they are.
"""

from collections.abc import Callable
from typing import NamedTuple

from pycast.characters import blanked
from pycast.logs.access import MAX_LINE, local_utc_offset, log_time
from pycast.logs.files import LogFile


class PlaylistEntry(NamedTuple):
    """One new title. `at` is seconds since the epoch, `title` is `Artist - Title` or the title alone."""

    at: float
    mount: str
    listeners: int
    title: str


PlaylistFormat = Callable[[PlaylistEntry, int], bytes]
"""Returns the line of an entry, with its LF, in a zone so many seconds ahead of UTC."""


class PlaylistLog:
    """The playlist log in its file. Never raises because of the file. Never switches."""

    def __init__(
        self,
        file: LogFile,
        utc_offset: Callable[[float], int] = local_utc_offset,
        line: "PlaylistFormat | None" = None,
    ) -> None:
        self._file = file
        self._utc_offset = utc_offset
        self._line = line or format_playlist

    def write(self, entry: PlaylistEntry) -> None:
        if self._file.is_on:
            self._file.write(self._line(entry, self._utc_offset(entry.at)))


def format_playlist(entry: PlaylistEntry, utc_offset_s: int = 0) -> bytes:
    """Returns the whole line with its LF; before the LF it is cut at `MAX_LINE` bytes, never inside a character."""
    mount = blanked(entry.mount).replace("|", "%7C")
    line = f"{log_time(entry.at, utc_offset_s)}|{mount}|{entry.listeners}|{blanked(entry.title)}"
    cut = line.encode("utf-8", "replace")[:MAX_LINE]
    return cut.decode("utf-8", "ignore").encode() + b"\n"
