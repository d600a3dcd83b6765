"""Conditions of a request for a file: what the client has, and what it wants then (RFC 9110, 13).

They are looked at in the RFC's order: If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, and If-Range for
the parts. A date that cannot be read is a condition that is not there.

Pure: headers and what the file is in, a decision out.
"""

from enum import Enum

from pycast.http.headers import Headers
from pycast.patterns import pattern

_TAG = pattern(r'(W/)?("[^"]*")')


class CopyState(Enum):
    """How the client's copy stands to the file, and so the status of the answer."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def outcome_of(headers: Headers, tag: str, modified: int) -> CopyState:
    """Returns what a request with these headers gets, of a file with this strong tag, which was modified in this second
    since the epoch.
    """
    if "if-match" in headers:
        if not _has(headers, "if-match", tag, is_strong=True):
            return CopyState.FAILED
    elif (since := _second(headers.get("if-unmodified-since"))) is not None and modified > since:
        return CopyState.FAILED
    if "if-none-match" in headers:
        return CopyState.NOT_MODIFIED if _has(headers, "if-none-match", tag, is_strong=False) else CopyState.SEND
    since = _second(headers.get("if-modified-since"))
    return CopyState.SEND if since is None or modified > since else CopyState.NOT_MODIFIED


def takes_parts(headers: Headers, tag: str, modified: int) -> bool:
    """Whether the client wants parts of this file: not if what it has is of another one (13.1.5)."""
    if "if-range" not in headers:
        return True
    value = headers.get("if-range").strip()
    if value.startswith(('"', "W/")):
        return value == tag
    return _second(value) == modified


def _has(headers: Headers, name: str, tag: str, *, is_strong: bool) -> bool:
    given = ",".join(headers.all(name)).strip()
    tags = _TAG.findall(given)
    return given == "*" or any(one == tag and not (weak and is_strong) for weak, one in tags)


def _second(text: str) -> int | None:
    """Returns a date in one of the three forms of 5.6.7 as seconds since the epoch, None if it is no date."""
    if not text:
        return None
    from email.utils import mktime_tz, parsedate_tz

    try:
        parsed = parsedate_tz(text)
        # Without a zone, as C's asctime writes it, it is GMT.
        return None if parsed is None else int(mktime_tz(parsed))
    except (ValueError, OverflowError, TypeError):
        return None
