"""Lines of JSON, one object each, for programs that collect logs: `logging.format = "json"`.

All three logs have them. Times are ISO 8601 with milliseconds and the local zone. Fields that are empty are left out.
Everything outside ASCII is an escape, so no text can end a line, and no program misreads it.
"""

import json
import logging
from datetime import datetime, timedelta, timezone

from pycast.http.redact import shown_target, without_secrets
from pycast.logs.access import MAX_LINE, AccessEntry
from pycast.logs.playlist import PlaylistEntry


def json_access(entry: AccessEntry, utc_offset_s: int = 0) -> bytes:
    """Returns the line of the access log."""
    return _line(
        time=_time(entry.ended, utc_offset_s),
        ip=entry.ip,
        user=entry.user,
        method=entry.method,
        path=shown_target(entry.path),
        protocol=entry.protocol,
        status=entry.status,
        bytes=entry.bytes_sent,
        referer=without_secrets(entry.referer),
        agent=without_secrets(entry.agent),
        duration=round(max(0.0, entry.duration_s), 3),
    )


def json_playlist(entry: PlaylistEntry, utc_offset_s: int = 0) -> bytes:
    """Returns the line of the playlist log."""
    return _line(time=_time(entry.at, utc_offset_s), mount=entry.mount, listeners=entry.listeners, title=entry.title)


def json_error(record: logging.LogRecord, level: str, text: str, trace: str, utc_offset_s: int = 0) -> str:
    """Returns the line of the error log, without its LF. `trace` is the traceback, or empty; neither is cut."""
    fields = {
        "time": _time(record.created, utc_offset_s),
        "level": level,
        "where": f"{record.module}/{record.funcName}",
        "text": text,
    }
    return json.dumps({**fields, "traceback": trace} if trace else fields)


def _time(at: float, utc_offset_s: int) -> str:
    return datetime.fromtimestamp(at, timezone(timedelta(seconds=utc_offset_s))).isoformat(timespec="milliseconds")


def _line(**fields: str | float) -> bytes:
    kept = {
        name: value[:MAX_LINE] if isinstance(value, str) else value for name, value in fields.items() if value != ""
    }
    return json.dumps(kept).encode("ascii") + b"\n"
