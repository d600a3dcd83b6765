"""The access log: one line for each client that has ended, in Icecast 2.4.4's format, so that its tools work unchanged.

`IP - USER [22/Nov/2025:07:00:05 +0000] "GET /live.mp3 HTTP/1.1" 200 1234567 "REFERER" "AGENT" SECONDS`

The combined format of Apache and nginx is the same without the seconds. Lines of JSON are in json_lines.py.

Invariant: nothing that a client sends can end a field or a line. Quotes, control characters, back-slashes, back-ticks
and all bytes outside ASCII become dots, as in Icecast. Passwords in URLs are hidden, which Icecast does not do.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from pycast.http.redact import shown_target, without_secrets
from pycast.logs.files import LogFile
from pycast.logs.shown_addresses import ShownAddresses

# Bytes without the newline: Icecast's line buffer has 1,024 bytes, one of them for the NUL.
MAX_LINE = 1023
# The bytes of each text in a line that would be longer; with the last of them it has room for all seven.
_CUTS = (256, 120)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def log_time(at: float, utc_offset_s: int) -> str:
    """Returns `at` (seconds since the epoch) as `22/Nov/2025:07:00:05 +0000`, in a zone `utc_offset_s` ahead of UTC."""
    return _log_second(int(at), utc_offset_s)


def local_utc_offset(at: float) -> int:
    """Returns how many seconds the local zone is ahead of UTC at `at`."""
    return time.localtime(at).tm_gmtoff


# When thousands of listeners leave at once, most of their lines have the same second.
@lru_cache(maxsize=4)
def _log_second(at: int, utc_offset_s: int) -> str:
    zone = timezone(timedelta(seconds=utc_offset_s))
    when = datetime.fromtimestamp(at, zone)
    # Not strftime: that looks at the file of the time zone each time, and a disk may stall.
    hours, minutes = divmod(abs(utc_offset_s) // 60, 60)
    sign = "-" if utc_offset_s < 0 else "+"
    date = f"{when.day:02}/{_MONTHS[when.month - 1]}/{when.year:04}"
    return f"{date}:{when.hour:02}:{when.minute:02}:{when.second:02} {sign}{hours:02}{minutes:02}"


class AccessEntry(NamedTuple):
    """One client that has ended. An empty text means "none"; `ended` is seconds since the epoch."""

    ip: str
    user: str
    ended: float
    method: str
    path: str
    """As requested, still percent-encoded, without the query."""
    protocol: str
    """`HTTP/1.1`"""
    status: int
    bytes_sent: int
    """All bytes written to the socket, the response head included."""
    referer: str
    agent: str
    duration_s: float


AccessFormat = Callable[[AccessEntry, int], bytes]
"""Returns the line of an entry, with its LF, in a zone so many seconds ahead of UTC."""


class AccessLog:
    """The access log in its file. Never raises because of the file. Never switches."""

    def __init__(
        self,
        file: LogFile,
        utc_offset: Callable[[float], int] = local_utc_offset,
        line: "AccessFormat | None" = None,
        shown: ShownAddresses | None = None,
    ) -> None:
        self._file = file
        self._utc_offset = utc_offset
        self._line = line or format_access
        self._shown = shown or ShownAddresses()

    def write(self, entry: AccessEntry) -> None:
        if not self._file.is_on:
            return
        ip = self._shown(entry.ip, entry.ended)
        shown = entry if ip is entry.ip else entry._replace(ip=ip)
        self._file.write(self._line(shown, self._utc_offset(entry.ended)))


def format_access(entry: AccessEntry, utc_offset_s: int = 0) -> bytes:
    """Returns the whole line with its LF, of `MAX_LINE` bytes at most before that."""
    return _fitting(entry, utc_offset_s, b" %d" % max(0, int(entry.duration_s)))


def format_combined(entry: AccessEntry, utc_offset_s: int = 0) -> bytes:
    """Returns the same without the seconds: the combined format of Apache and nginx."""
    return _fitting(entry, utc_offset_s, b"")


def _fitting(entry: AccessEntry, utc_offset_s: int, end: bytes) -> bytes:
    """Returns a line. Where it is too long its texts are cut, not its end as in Icecast: a page's address can have a
    thousand characters, and without the quote and the seconds behind it no program could read the line.
    """
    line = _combined(entry, utc_offset_s) + end
    for most in _CUTS:
        if len(line) <= MAX_LINE:
            break
        line = _combined(entry, utc_offset_s, most) + end
    return line + b"\n"


def _combined(entry: AccessEntry, utc_offset_s: int, most: int | None = None) -> bytes:
    return b'%b - %b [%b] "%b %b %b" %d %d "%b" "%b"' % (
        _word(entry.ip)[:most],
        _word(entry.user)[:most],
        log_time(entry.ended, utc_offset_s).encode("ascii"),
        _word(entry.method)[:most],
        _path(entry.path)[:most],
        _word(entry.protocol)[:most],
        entry.status,
        entry.bytes_sent,
        _text(entry.referer)[:most],
        _text(entry.agent)[:most],
    )


def _escapes(keep: bytes) -> bytes:
    refused = {*range(0x23), *b"\\`", *range(0x7F, 0x100)} - set(keep)
    return bytes(ord(".") if byte in refused else byte for byte in range(256))


_WORD = _escapes(keep=b"")
_PHRASE = _escapes(keep=b" ")


def _path(text: str) -> bytes:
    return _known_path(text) if len(text) <= MAX_LINE else _word(shown_target(text))


def _text(text: str) -> bytes:
    return _known_text(text) if len(text) <= MAX_LINE else _phrase(without_secrets(text))


# Ten thousand players share a handful of paths and agents, and looking for secrets costs as much as the rest of a line.
@lru_cache(maxsize=512)
def _known_path(text: str) -> bytes:
    return _word(shown_target(text))


@lru_cache(maxsize=512)
def _known_text(text: str) -> bytes:
    return _phrase(without_secrets(text))


def _word(text: str) -> bytes:
    return text.encode("utf-8", "replace").translate(_WORD) or b"-"


def _phrase(text: str) -> bytes:
    return text.encode("utf-8", "replace").translate(_PHRASE) or b"-"
