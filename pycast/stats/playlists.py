"""The small files that start a player: M3U, PLS, XSPF and VCLT of one mount.

XSPF and VCLT have exactly the form of Icecast 2.4.4's (its style sheets `xspf.xsl` and `vclt.xsl`), M3U too. PLS, which
Icecast does not have, is what Winamp and its successors expect. These formats have no escapes for line ends, so all
that come from outside are removed: `stream_url` percent-encodes mount names, and control characters in titles become
spaces. Hidden mounts give empty lists, as in Icecast.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pycast.characters import blanked
from pycast.stats.icestats import source_stats, stream_url, visible_mounts
from pycast.stats.xml import xml_text

if TYPE_CHECKING:
    from pycast.stats.snapshot import MountSnapshot, NodeSnapshot

M3U_TYPE = "audio/x-mpegurl"
PLS_TYPE = "audio/x-scpls"
XSPF_TYPE = "application/xspf+xml; charset=UTF-8"
VCLT_TYPE = "audio/x-vclt; charset=UTF-8"

_ANNOTATED = (
    ("bitrate", "Bitrate: "),
    ("quality", "Quality: "),
    ("video_quality", "Video Quality: "),
    ("frame_size", "Framesize: "),
    ("frame_rate", "Framerate: "),
    ("listeners", "Current Listeners: "),
    ("listener_peak", "Peak Listeners: "),
)
_VCLT_NAMES = (
    ("artist", "ARTIST"),
    ("title", "TITLE"),
    ("server_name", "SERVER_NAME"),
    ("server_description", "DESCRIPTION"),
)


def m3u(url: str) -> bytes:
    """Returns an M3U of one line: the URL and CRLF."""
    return _line(url).encode("utf-8", "replace") + b"\r\n"


def pls(urls_titles: Sequence[tuple[str, str]]) -> bytes:
    """Returns a PLS of version 2 with an entry for each `(url, title)`; an empty title is left out.

    Length -1 means a stream without end.
    """
    lines = ["[playlist]", f"NumberOfEntries={len(urls_titles)}"]
    for number, (url, title) in enumerate(urls_titles, 1):
        lines.append(f"File{number}={_line(url)}")
        if title:
            lines.append(f"Title{number}={_line(title)}")
        lines.append(f"Length{number}=-1")
    lines.append("Version=2")
    return "".join(line + "\r\n" for line in lines).encode("utf-8", "replace")


def xspf(snapshot: "NodeSnapshot", mount: str) -> bytes:
    """Returns an XSPF with one track that has title and artist; without a track if there is no such mount."""
    tracks = [_track(snapshot, one) for one in visible_mounts(snapshot, mount)]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<playlist xmlns="http://xspf.org/ns/0/" version="1">',
        "  <title/>",
        "  <creator/>",
        *(["  <trackList>", *tracks, "  </trackList>"] if tracks else ["  <trackList/>"]),
        "</playlist>",
    ]
    return "".join(line + "\n" for line in lines).encode()


def vclt(snapshot: "NodeSnapshot", mount: str) -> bytes:
    """Returns a VCLT: `NAME=value` lines up to `==`; empty if there is no such mount."""
    entries = [_vclt_entry(snapshot, one) for one in visible_mounts(snapshot, mount)]
    return "".join(line + "\n" for entry in entries for line in entry).encode("utf-8", "replace")


def _track(snapshot: "NodeSnapshot", mount: "MountSnapshot") -> str:
    stats = source_stats(snapshot, mount)
    fields = [
        ("location", stream_url(snapshot.listen_url, mount.name, mount.listen_url)),
        ("creator", stats.get("artist")),
        ("title", mount.title),
        ("annotation", _annotation(stats)),
        ("info", stats.get("server_url")),
    ]
    return "\n".join(
        ["    <track>", *(f"      {_leaf(name, value)}" for name, value in fields if value is not None), "    </track>"]
    )


def _annotation(stats: dict[str, str]) -> str:
    text = f"Stream Title: {stats['server_name']}\n" if "server_name" in stats else ""
    if "server_description" in stats:
        text += f"Stream Description: {stats['server_description']}"
    text += f"\nContent Type:{stats.get('server_type', '')}\n"
    text += "".join(f"{label}{stats[name]}\n" for name, label in _ANNOTATED if name in stats)
    return text + (f"Stream Genre: {stats['genre']}" if "genre" in stats else "")


def _leaf(name: str, value: str) -> str:
    # With an encoding declared libxml2 writes references in decimal, and only where it must.
    text = xml_text(value).replace("&#xD;", "&#13;")
    return f"<{name}>{text}</{name}>" if text else f"<{name}/>"


def _vclt_entry(snapshot: "NodeSnapshot", mount: "MountSnapshot") -> Iterable[str]:
    yield "STREAMURL=" + stream_url(snapshot.listen_url, mount.name, mount.listen_url)
    stats = source_stats(snapshot, mount)
    yield from (f"{name}={_line(stats[stat])}" for stat, name in _VCLT_NAMES if stat in stats)
    yield "SIGNALINFO=" + _signal_info(mount)
    if mount.genre:
        yield "GENRE=" + _line(mount.genre)
    yield "=="


def _signal_info(mount: "MountSnapshot") -> str:
    if mount.content_type != "application/ogg":
        return ""
    return "codec:ogg_vorbis" if mount.subtype == "Vorbis" else "codec:ogg_general"


def _line(text: str) -> str:
    return blanked(text)
