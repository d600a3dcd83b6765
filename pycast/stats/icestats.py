"""Icecast's stats: which field of a snapshot has which of Icecast's names.

XML, JSON and playlists are made from these pairs, so they can never disagree. Values are text, as in Icecast; pairs
come in byte order of their names. A stat without a value is left out; it is never an empty string. What the source
itself claims (`MountSnapshot.stats`) never replaces what the server knows. A source without a name, description or
genre gets Icecast's texts for that.

Times are given in UTC with the zone written out, so that they read the same on every node.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pycast.stats.snapshot import MountSnapshot, NodeSnapshot


UNLIMITED = "unlimited"

# RFC 3986 section 3.3: characters that need no escape in a path.
_PATH_SAFE = "/:@!$&'()*+,;=~"


def stream_url(base: str, mount: str, own: str = "") -> str:
    """Returns the URL of a mount. `base` is `http://host:port`; the name is percent-encoded where it must be. `own` is
    the mount's `listenurl`: the whole URL if it has a path, else what replaces `base`.
    """
    if "/" in own.partition("://")[2]:
        return own
    return (own or base) + quote(mount, safe=_PATH_SAFE, errors="replace")


def global_stats(snapshot: "NodeSnapshot") -> list[tuple[str, str]]:
    """Returns the node's own stats, by name. Names and meanings are Icecast 2.4.4's."""
    counters = snapshot.counters
    stats = {
        "admin": snapshot.admin,
        "client_connections": str(counters.client_connections),
        "clients": str(snapshot.clients),
        "connections": str(counters.connections),
        "file_connections": str(counters.file_connections),
        "host": snapshot.host,
        "listener_connections": str(counters.listener_connections),
        "listeners": str(snapshot.listeners),
        "location": snapshot.location,
        "server_id": snapshot.server_id,
        "server_start": rfc822_time(snapshot.server_start),
        "server_start_iso8601": iso8601_time(snapshot.server_start),
        "source_client_connections": str(counters.source_client_connections),
        "source_relay_connections": str(counters.source_relay_connections),
        "source_total_connections": str(counters.source_client_connections + counters.source_relay_connections),
        "sources": str(snapshot.sources),
        "stats": str(counters.stats_connections - counters.stats_disconnections),
        "stats_connections": str(counters.stats_connections),
    }
    return sorted(stats.items())


def source_stats(snapshot: "NodeSnapshot", mount: "MountSnapshot") -> dict[str, str]:
    """Returns one mount's stats in byte order of their names, without those that have no value."""
    stats = dict(mount.stats)
    stats.update((name, value) for name, value in _known(snapshot, mount).items() if value)
    return {name: value for name, value in sorted(stats.items()) if name and value}


def find_mount(snapshot: "NodeSnapshot", name: str) -> "MountSnapshot | None":
    return next((mount for mount in snapshot.mounts if mount.name == name), None)


def select_mounts(snapshot: "NodeSnapshot", name: str | None) -> "tuple[MountSnapshot, ...]":
    """Returns all mounts, or only the one with that name; none if there is no such mount."""
    return snapshot.mounts if name is None else tuple(mount for mount in snapshot.mounts if mount.name == name)


def visible_mounts(snapshot: "NodeSnapshot", name: str | None = None) -> "tuple[MountSnapshot, ...]":
    """Returns the mounts that are not hidden, or only the one with that name."""
    return tuple(mount for mount in select_mounts(snapshot, name) if not mount.hidden)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rfc822_time(at: float) -> str:
    """Returns a time as `Sat, 22 Nov 2025 07:00:00 +0000`."""
    when = datetime.fromtimestamp(at, UTC)
    # Not strftime: that looks at the file of the time zone each time, and a disk may stall.
    date = f"{_DAYS[when.weekday()]}, {when.day:02} {_MONTHS[when.month - 1]} {when.year}"
    return f"{date} {when.hour:02}:{when.minute:02}:{when.second:02} +0000"


def iso8601_time(at: float) -> str:
    """Returns a time as `2025-11-22T07:00:00+0000`: without a colon in the zone, as Icecast writes it."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "+0000")


def _title_has_artist(mount: "MountSnapshot") -> bool:
    """Whether the title begins with the artist. Icecast then has no stat for the artist (it has one only for Ogg), and
    readers that join the two would show it twice.
    """
    return mount.title.startswith(f"{mount.artist} - ")


def _known(snapshot: "NodeSnapshot", mount: "MountSnapshot") -> dict[str, str]:
    return {
        "artist": "" if _title_has_artist(mount) else mount.artist,
        "audio_info": mount.audio_info,
        "authenticator": mount.authenticator,
        "bitrate": mount.bitrate,
        "genre": mount.genre or "various",
        "listener_peak": str(mount.listener_peak),
        "listeners": str(mount.listeners),
        "listenurl": stream_url(snapshot.listen_url, mount.name, mount.listen_url),
        "max_listeners": UNLIMITED if mount.max_listeners < 0 else str(mount.max_listeners),
        "on_demand": "1" if mount.on_demand else "",
        "public": "1" if mount.public else "0",
        "server_description": mount.server_description or "Unspecified description",
        "server_name": mount.server_name or "Unspecified name",
        "server_type": mount.content_type,
        "server_url": mount.server_url,
        "slow_listeners": str(mount.slow_listeners),
        "source_ip": mount.source_ip,
        "stream_start": rfc822_time(mount.stream_start) if mount.stream_start else "",
        "stream_start_iso8601": iso8601_time(mount.stream_start) if mount.stream_start else "",
        "subtype": mount.subtype,
        "title": mount.title,
        "total_bytes_read": str(mount.total_bytes_read),
        "total_bytes_sent": str(mount.total_bytes_sent),
        "user_agent": mount.user_agent,
        "yp_currently_playing": song_of(mount) if mount.is_listed else "",
    }


def song_of(mount: "MountSnapshot") -> str:
    """Returns what plays on a mount as one text, as directories show it."""
    return f"{mount.artist} - {mount.title}" if mount.artist and not _title_has_artist(mount) else mount.title
