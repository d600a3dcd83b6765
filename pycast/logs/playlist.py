"""The playlist log: one line for each new title, in Icecast's format.

`22/Nov/2025:07:01:00 +0000|/live.mp3|LISTENERS|Artist - Title`

Titles stay readable (UTF-8, may hold `|`: they are the last field), but no control character gets through, so one
title is one line; Icecast lets line ends pass.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pycast.logs.access import MAX_LINE, local_utc_offset, log_time
from pycast.logs.files import LogFile

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class PlaylistEntry:
    """One new title. `at` is seconds since the epoch, `title` is `Artist - Title` or the title alone."""

    at: float
    mount: str
    listeners: int
    title: str


class PlaylistLog:
    """Writes entries to a log file. Never raises because of the file; never switches."""

    def __init__(self, file: LogFile, utc_offset: Callable[[float], int] = local_utc_offset) -> None:
        self._file = file
        self._utc_offset = utc_offset

    def write(self, entry: PlaylistEntry) -> None:
        """Logs one new title."""
        if self._file.is_on:
            self._file.write(format_playlist(entry, self._utc_offset(entry.at)))


def format_playlist(entry: PlaylistEntry, utc_offset_s: int = 0) -> bytes:
    """The whole line, its LF included; cut at `MAX_LINE` bytes before the LF, never inside a character."""
    mount = _plain(entry.mount).replace("|", "%7C")
    line = f"{log_time(entry.at, utc_offset_s)}|{mount}|{entry.listeners}|{_plain(entry.title)}"
    cut = line.encode("utf-8", "replace")[:MAX_LINE]
    return cut.decode("utf-8", "ignore").encode() + b"\n"


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)
