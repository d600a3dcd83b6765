"""`/status-json.xsl`: what web players, bots and radio panels read from an Icecast.

Icecast makes it from its XML by a style sheet, and the quirks of that are the format by now: `source` is missing
without a mount, an object for one, a list for several; a value that looks like a number is one; `"dummy":null` stands
where the last stat is a hidden one; the mount's name is only in `listenurl`. All kept. What is not kept is its
invalid JSON (a title `-` comes out bare there), and that a song called 1979 is a number: text is always a string
here. Hidden mounts are not in it.
"""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pycast.stats.icestats import global_stats, source_stats, visible_mounts

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot

CONTENT_TYPE = "application/json; charset=UTF-8"

_HIDDEN_GLOBAL = frozenset({"clients", "listeners", "sources", "stats"})
_HIDDEN_SOURCE = frozenset({"listener", "max_listeners", "public", "slow_listeners", "source_ip", "user_agent"})
_TEXT = frozenset(
    {
        "artist",
        "audio_info",
        "authenticator",
        "genre",
        "listenurl",
        "server_description",
        "server_name",
        "server_type",
        "server_url",
        "stream_start",
        "stream_start_iso8601",
        "subtype",
        "title",
    }
)
"""Stats that are text whatever they look like. For the others the look decides, as in Icecast."""

# Icecast takes a leading 0 (but not 0 itself) for text. At most 15 digits: what a reader's double holds exactly.
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,14}(\.[0-9]{1,15})?")


def status_json(snapshot: "NodeSnapshot", mount: str | None = None) -> bytes:
    """The document; with `mount` that mount alone is in it (none if it does not exist or is hidden)."""
    fields = [(name, _string(value)) for name, value in global_stats(snapshot) if not _is_hidden(name, _HIDDEN_GLOBAL)]
    sources = [_source(source_stats(snapshot, one)) for one in visible_mounts(snapshot, mount)]
    if not sources:
        fields.append(("dummy", "null"))
    else:
        fields.append(("source", sources[0] if len(sources) == 1 else "[" + ",".join(sources) + "]"))
    return _object([("icestats", _object(fields))]).encode("utf-8", "replace")


def _source(stats: dict[str, str]) -> str:
    fields = [(name, _value(name, value)) for name, value in stats.items() if not _is_hidden(name, _HIDDEN_SOURCE)]
    # "dummy" is ours to say: a source may have a stat of that name, and a key must not stand twice.
    fields = [field for field in fields if field[0] != "dummy"]
    if _is_hidden(next(reversed(stats)), _HIDDEN_SOURCE):
        fields.append(("dummy", "null"))
    return _object(fields)


def _is_hidden(name: str, hidden: frozenset[str]) -> bool:
    return name in hidden or "connections" in name or "total_bytes" in name


def _value(name: str, value: str) -> str:
    if name in _TEXT:
        return _string(value)
    if _NUMBER.fullmatch(value):
        return value
    lower = value.lower()
    return lower if lower in ("true", "false") else _string(value)


def _object(fields: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{_string(name)}:{value}" for name, value in fields) + "}"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
