"""The pages that programs take apart because they know no better: `/status.xsl` and `/server_version.xsl` as Icecast
2.4.4 makes them, and `/status2.xsl` and `/7.xsl`, which icecast-kh has.

Scripts of twenty years look for `Mount Point /live.mp3`, `Currently playing:` and `<td class="streamstats">`, or split
a line at its commas; those that look what server it is, for `Server Information` and the row `Version`. So the
structure is Icecast's to the element, but for the links to Icecast's own site. A comma in a title stays, as there.
Hidden mounts are left out. Whatever a source sends, it ends no element.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pycast.stats.icestats import source_stats, visible_mounts
from pycast.stats.xml import xml_text

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot

XHTML_TYPE = "text/xml; charset=UTF-8"
HTML_TYPE = "text/html; charset=UTF-8"
TEXT_TYPE = "text/plain; charset=UTF-8"

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
  <head>
    <meta http-equiv="Content-Type" content="text/html; charset=UTF-8"/>
    <title>Icecast Streaming Media Server</title>
    <link rel="stylesheet" type="text/css" href="style.css"/>
    <meta name="viewport" content="width=device-width, initial-scale=1.0, user-scalable=yes"/>
  </head>
  <body>
    <h1 id="header">{title}</h1>
    <div id="menu">
      <ul>
        <li><a href="admin/">Administration</a></li>
        <li><a href="status.xsl">Server Status</a></li>
        <li><a href="server_version.xsl">Version</a></li>
      </ul>
    </div>
"""
_FOOT = """    <div id="footer"/>
  </body>
</html>
"""
_ABOUT = """    <div class="roundbox">
      <h3>Server Information</h3>
      <table class="yellowkeys">
        <tbody>
{rows}        </tbody>
      </table>
    </div>
"""
_MOUNT = """    <div class="roundbox">
      <div class="mounthead">
        <h3 class="mount">Mount Point {name}</h3>
        <div class="right">
          <ul class="mountlist">
            <li><a class="play" href="{link}.m3u">M3U</a></li>
            <li><a class="play" href="{link}.xspf">XSPF</a></li>
          </ul>
        </div>
      </div>
      <div class="mountcont">
{player}        <table class="yellowkeys">
          <tbody>
"""
_PLAYER = """        <div class="audioplayer">
          <audio controls="controls" preload="none">
            <source src="{link}" type="{kind}"/>
          </audio>
        </div>
"""
_MOUNT_END = """          </tbody>
        </table>
      </div>
    </div>
"""

# The rows with their stats, in Icecast's order; the first three have no class.
_ROWS = (
    ("Stream Name:", "server_name"),
    ("Stream Description:", "server_description"),
    ("Content Type:", "server_type"),
    ("Stream started:", "stream_start"),
    ("Bitrate:", "bitrate"),
    ("Quality:", "quality"),
    ("Video Quality:", "video_quality"),
    ("Framesize:", "frame_size"),
    ("Framerate:", "frame_rate"),
    ("Listeners (current):", "listeners"),
    ("Listeners (peak):", "listener_peak"),
    ("Genre:", "genre"),
)
_PLAIN_ROWS = 3

# What Icecast's page has a player for.
_OGG = ("application/ogg", "audio/ogg")

_DOCTYPE = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.0 Transitional//EN" "http://www.w3.org/TR/REC-html40/loose.dtd">\n'
)
_STATUS2_HEAD = "MountPoint,Connections,Stream Name,Current Listeners,Description,Currently Playing,Stream URL\n"


def status_xhtml(snapshot: "NodeSnapshot", mount: str | None = None) -> Iterator[bytes]:
    """Yields `/status.xsl` in parts, one for each mount; with `mount` only that one."""
    yield _HEAD.format(title="Icecast2 Status").encode()
    for one in visible_mounts(snapshot, mount):
        yield "".join(_mount(one.name, source_stats(snapshot, one))).encode("utf-8", "replace")
    yield _FOOT.encode()


def server_xhtml(snapshot: "NodeSnapshot") -> bytes:
    """Returns `/server_version.xsl`."""
    facts = (
        ("Location", snapshot.location),
        ("Admin", snapshot.admin),
        ("Host", snapshot.host),
        ("Version", snapshot.server_id),
    )
    rows = "".join(_row(name, xml_text(text), has_class=False) for name, text in facts)
    parts = _HEAD.format(title="Server Information"), _ABOUT.format(rows=rows), _FOOT
    return "".join(parts).encode("utf-8", "replace")


def seven(snapshot: "NodeSnapshot", mount: str | None = None) -> bytes:
    """Returns `/7.xsl`: listeners, 1, peak, the most allowed, listeners, bitrate and title of the first mount."""
    mounts = visible_mounts(snapshot, mount)
    if not mounts:
        return f"{_DOCTYPE}0,1,0,unlimited,0,,\n".encode()
    stats = source_stats(snapshot, mounts[0])
    fields = (
        *(stats["listeners"], "1", stats["listener_peak"], stats["max_listeners"], stats["listeners"]),
        *(stats.get("bitrate", ""), _playing(stats)),
    )
    return f"{_DOCTYPE}{xml_text(','.join(map(_line, fields)))}\n".encode("utf-8", "replace")


def status2(snapshot: "NodeSnapshot", mount: str | None = None) -> Iterator[bytes]:
    """Yields `/status2.xsl` in parts: a line for the server, and one for each mount."""
    counters = snapshot.counters
    clients, sources = counters.connections, counters.source_client_connections
    yield f"\nGlobal,Clients:{clients},Sources:{sources},,{snapshot.listeners},,\n{_STATUS2_HEAD}".encode()
    for one in visible_mounts(snapshot, mount):
        stats = source_stats(snapshot, one)
        fields = (
            *(one.name, "", stats["server_name"], stats["listeners"], stats["server_description"]),
            *(_playing(stats), stats["listenurl"]),
        )
        yield f"{','.join(map(_line, fields))}\n".encode("utf-8", "replace")


def _mount(name: str, stats: dict[str, str]) -> Iterator[str]:
    kind, link = stats.get("server_type", ""), _attribute(name)
    player = _PLAYER.format(link=link, kind=_attribute(kind)) if kind in _OGG else ""
    yield _MOUNT.format(name=xml_text(name), link=link, player=player)
    for number, (title, key) in enumerate(_ROWS):
        if key in stats:
            yield _row(title, xml_text(stats[key]), has_class=number >= _PLAIN_ROWS)
    if url := stats.get("server_url"):
        # A source chooses it: a script is no link.
        is_link = url.lower().startswith(("http://", "https://"))
        text = xml_text(url)
        yield _row("Stream URL:", f'<a href="{_attribute(url)}">{text}</a>' if is_link else text)
    yield _row("Currently playing:", xml_text(_playing(stats)))
    yield _MOUNT_END


def _row(title: str, content: str, *, has_class: bool = True) -> str:
    given = ' class="streamstats"' if has_class else ""
    lines = ("<tr>", f"  <td>{title}</td>", f"  <td{given}>{content}</td>", "</tr>")
    return "".join(f"            {line}\n" for line in lines)


def _playing(stats: dict[str, str]) -> str:
    artist = stats.get("artist", "")
    return f"{artist} - {stats.get('title', '')}" if artist else stats.get("title", "")


def _attribute(text: str) -> str:
    return xml_text(text).replace('"', "&quot;")


def _line(text: str) -> str:
    """Returns the text without line ends: a line is one mount."""
    return " ".join(text.split()) if not text.isprintable() else text
