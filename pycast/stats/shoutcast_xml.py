"""The statistics of a mount as SHOUTcast's XML, which `/admin.cgi?mode=viewxml` has there and in icecast-kh.

Scripts of twenty years take `<CURRENTLISTENERS>` or `<SONGTITLE>` out of it, some as text, so it is on one line, with
SHOUTcast's names in its order. Those of both of its versions are there; what this server does not know, such as the
station's ICQ number, is left out. A mount without a source is one whose `STREAMSTATUS` is 0.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pycast.stats.icestats import song_of, source_stats
from pycast.stats.xml import ascii_references, elements, wrapped

if TYPE_CHECKING:
    from pycast.stats.snapshot import ListenerSnapshot, MountSnapshot, NodeSnapshot, PlayedTitle

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'

# What SHOUTcast writes for a listener that does not say what it is.
_NO_AGENT = "**EMPTY**"

# `page=` asks for a part: the stream, its listeners, its titles.
_STREAM, _LISTENERS, _TITLES = "1", "3", "4"


def shoutcast_xml(
    snapshot: "NodeSnapshot",
    mount: "MountSnapshot | None",
    listeners: "Sequence[ListenerSnapshot]" = (),
    played: "Sequence[PlayedTitle]" = (),
    page: str = "",
) -> bytes:
    """Returns the document, or the part that `page` names. `played` are the titles, the newest first."""
    parts = {
        _STREAM: elements(_stream(snapshot, mount, listeners)),
        _LISTENERS: wrapped("LISTENERS", "".join(map(_listener, listeners))),
        _TITLES: wrapped("SONGHISTORY", "".join(map(_song, played))),
    }
    content = parts[page] if page in parts else "".join(parts.values())
    return ascii_references(f"{_HEAD}{wrapped('SHOUTCASTSERVER', content)}").encode()


def _stream(
    snapshot: "NodeSnapshot", mount: "MountSnapshot | None", listeners: "Sequence[ListenerSnapshot]"
) -> list[tuple[str, str]]:
    times = [one.connected_s for one in listeners]
    unique = str(len({one.ip for one in listeners}))
    stats = source_stats(snapshot, mount) if mount else {}
    limit = mount.max_listeners if mount and mount.max_listeners >= 0 else snapshot.clients_limit
    fields = [
        ("CURRENTLISTENERS", str(mount.listeners if mount else 0)),
        ("PEAKLISTENERS", str(mount.listener_peak if mount else 0)),
        ("MAXLISTENERS", str(limit)),
        ("UNIQUELISTENERS", unique),
        ("REPORTEDLISTENERS", unique),
        ("AVERAGETIME", str(sum(times) // len(times) if times else 0)),
        ("SERVERGENRE", stats.get("genre", "")),
        ("SERVERURL", stats.get("server_url", "")),
        ("SERVERTITLE", stats.get("server_name", "")),
        ("SONGTITLE", song_of(mount) if mount else ""),
        ("STREAMHITS", str(mount.listener_connections if mount else 0)),
        ("STREAMSTATUS", str(int(mount is not None and mount.is_live))),
    ]
    if mount and mount.is_live:
        fields.append(("STREAMUPTIME", str(mount.connected_s)))
    if mount:
        fields.append(("STREAMPATH", mount.name))
    known = [("BITRATE", stats.get("bitrate", "0")), ("CONTENT", stats.get("server_type", ""))]
    return [*fields, *known, ("VERSION", snapshot.server_id)]


def _listener(one: "ListenerSnapshot") -> str:
    fields = [("HOSTNAME", one.ip), ("USERAGENT", one.user_agent or _NO_AGENT), ("CONNECTTIME", str(one.connected_s))]
    return wrapped("LISTENER", elements([*fields, ("UID", str(one.id))]))


def _song(one: "PlayedTitle") -> str:
    title = f"{one.artist} - {one.title}" if one.artist else one.title
    return wrapped("SONG", elements([("PLAYEDAT", str(int(one.at))), ("TITLE", title)]))
