"""`/status-json.xsl`: what web players, bots and radio panels read from an Icecast.

Icecast makes it from its XML by a style sheet, and clients depend on the quirks of that: `source` is missing without a
mount, an object for one, a list for several; a value that looks like a number is one; `"dummy":null` is added where the
last stat is a hidden one; the mount's name is only in `listenurl`. These are kept. Its invalid JSON is not (a title `-`
has no quotes there), nor that a song called 1979 is a number: text is always a string here. Hidden mounts are left out.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pycast.patterns import pattern
from pycast.stats.icestats import global_stats, source_stats, visible_mounts

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot, PlayedTitle

JSON_TYPE = "application/json; charset=UTF-8"

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
        "yp_currently_playing",
    }
)
"""Stats that are always strings. The others are numbers or booleans if they look like them, as in Icecast."""

SHOWN_TITLES = 10
"""Titles of the history that are shown: this page is polled by every player on a web site."""

# Icecast takes a leading 0 (but not 0 itself) for text. At most 15 digits: what a reader's double holds exactly.
_NUMBER = pattern(r"0|-?[1-9][0-9]{0,14}(\.[0-9]{1,15})?")


def status_json(snapshot: "NodeSnapshot", mount: str | None = None) -> bytes:
    """Returns the document; with `mount` it has only that mount (none if it does not exist or is hidden)."""
    return b"".join(status_json_parts(snapshot, mount))


def status_json_parts(snapshot: "NodeSnapshot", mount: str | None = None) -> Iterator[bytes]:
    """Yields the document in parts, one for each mount, since a node may have thousands."""
    mounts = visible_mounts(snapshot, mount)
    fields = [(name, _string(value)) for name, value in global_stats(snapshot) if not _is_hidden(name, _HIDDEN_GLOBAL)]
    head = _object(fields)[:-1]
    if not mounts:
        yield _utf8(f'{{"icestats":{head},"dummy":null}}}}')
        return
    before, after = ("", "") if len(mounts) == 1 else ("[", "]")
    yield _utf8(f'{{"icestats":{head},"source":{before}')
    for number, one in enumerate(mounts):
        yield _utf8(f"{',' if number else ''}{_source(source_stats(snapshot, one), one.history)}")
    yield _utf8(f"{after}}}}}")


def _source(stats: dict[str, str], history: "Sequence[PlayedTitle]") -> str:
    fields = [(name, typed(name, value)) for name, value in stats.items() if not _is_hidden(name, _HIDDEN_SOURCE)]
    # A source may have a stat of the name "dummy" too, and a key must not occur twice.
    fields = [field for field in fields if field[0] != "dummy"]
    if _is_hidden(next(reversed(stats)), _HIDDEN_SOURCE):
        fields.append(("dummy", "null"))
    if history:
        fields = [field for field in fields if field[0] != "history"]
        fields.append(("history", f"[{','.join(map(_played, history[:SHOWN_TITLES]))}]"))
    return _object(fields)


def _played(song: "PlayedTitle") -> str:
    """Returns a title of the history. Icecast has none."""
    texts = (("artist", song.artist), ("title", song.title))
    known = [(name, _string(text)) for name, text in texts if text]
    return _object([("time", str(int(song.at))), *known])


def _is_hidden(name: str, hidden: frozenset[str]) -> bool:
    return name in hidden or "connections" in name or "total_bytes" in name


def typed(name: str, value: str) -> str:
    """Returns the JSON of a stat."""
    if name in _TEXT:
        return _string(value)
    if _NUMBER.fullmatch(value):
        return value
    lower = value.lower()
    return lower if lower in ("true", "false") else _string(value)


def _object(fields: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{_string(name)}:{value}" for name, value in fields) + "}"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


# `json.dumps` with an option makes an encoder for each call.
_string = json.JSONEncoder(ensure_ascii=False).encode
