"""The HTML pages: the public page of `/` and `/status.xsl`, and the small one of `/server_version.xsl`.

Each page is made from a snapshot and is one self-contained file: style, script and pictures are inline, and nothing is
loaded. The page is complete without JavaScript. With it, `templates/player.js` plays the mounts, updates titles and
numbers from `status-json.xsl`, and fetches this page again when mounts come or go, so a mount's markup is made only
here. Links are relative, so the page also works below a path of a reverse proxy.

Invariant: text from outside (names, titles, addresses) reaches the page only through Jinja's escaping, and never as a
script, a style or the scheme of a link. The page's Content-Security-Policy enforces it a second time.
"""

import base64
import hashlib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import quote

from pycast.characters import clean_line
from pycast.http.response import Pair
from pycast.net.turns import in_turns
from pycast.stats.icestats import stream_url
from pycast.stats.snapshot import ClusterSnapshot, MountSnapshot, NodeSnapshot
from pycast.web.cover import Cover, covers

if TYPE_CHECKING:  # importing Jinja2 takes some 50 ms: that is left to the first page
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"

_LONGEST_TEXT = 500
"""Characters of a name or title that are shown. ICY allows 4,080 bytes, more than any layout needs."""


PATH_CHARACTERS = "/:@!$&'()*+,;=~"

_FORMATS = {
    "audio/mpeg": "MP3",
    "audio/mp3": "MP3",
    "audio/aac": "AAC",
    "audio/aacp": "AAC+",
    "audio/x-aac": "AAC",
    "application/ogg": "Ogg",
    "application/x-ogg": "Ogg",
    "audio/ogg": "Ogg",
    "video/ogg": "Ogg",
    "audio/opus": "Opus",
    "audio/flac": "FLAC",
    "audio/webm": "WebM",
    "video/webm": "WebM",
    "audio/x-matroska": "Matroska",
    "video/x-matroska": "Matroska",
    "video/x-matroska-3d": "Matroska",
}


@dataclass(frozen=True, slots=True)
class _Station:
    """One mount as the template shows it. Its texts have gone through `clean`, and are not escaped."""

    mount: str
    link: str
    """Relative to the page, percent-encoded."""
    url: str
    is_live: bool
    name: str
    title: str
    artist: str
    description: str
    genre: str
    home: str
    """The address of the station's website, http or https only; or empty."""
    badges: tuple[str, ...]
    """Format and bitrate."""
    details: tuple[str, ...]
    """Sample rate and channels, for a page with room for them."""
    content_type: str
    is_video: bool
    listeners: int
    peak: int
    since: str
    """When the stream began, ISO 8601; empty if that is unknown."""
    uptime: str
    cover: Cover
    revision: str
    """A digest of all but title and numbers. When it changes, the script takes the mount's markup from a new page."""


class StatusPage:
    """The public page of one moment, with gaps for what depends on the address by which a visitor came."""

    def __init__(self, html: bytes, host: str) -> None:
        self._host = host
        self._parts = _GAP.split(html)
        """By turns what is the same for all, and the name of a gap."""

    def for_visitor(self, base_url: str) -> bytes:
        """Returns the page, UTF-8 `text/html`. `base_url` is the server as the visitor reached it,
        `http://host:port`.
        """
        from markupsafe import escape

        base_url = base_url.rstrip("/")
        howto = _howto(base_url)
        before, _, after = howto["command"].partition("PASSWORD")
        texts = {
            "base": base_url,
            "brand": clean(howto["address"]) or self._host,
            "before": before,
            "after": after,
            "address": howto["address"],
            "port": howto["port"],
        }
        values = {name.encode(): escape(text).encode("utf-8", "replace") for name, text in texts.items()}
        parts = self._parts.copy()
        parts[1::2] = [values[name] for name in parts[1::2]]
        return b"".join(parts)


# A gap is marked by a text that nobody else knows, so that no name or title can be one.
_KEY = token_hex(8)
_GAP = re.compile(f"{_KEY}-([a-z]+);".encode())


def _gap(name: str) -> str:
    return f"{_KEY}-{name};"


def render_status(snapshot: NodeSnapshot) -> StatusPage:
    """Returns the public page. May switch."""
    shown = [mount for mount in snapshot.mounts if not mount.hidden]
    pictures = covers(mount.name for mount in shown)
    stations = [_station(mount, pictures[mount.name], snapshot.taken) for mount in in_turns(shown)]
    html = render(
        "status.html",
        brand=_gap("brand"),
        node=snapshot,
        location=clean(snapshot.location),
        stations=stations,
        live=sum(station.is_live for station in stations),
        listening=sum(station.listeners for station in stations),
        gap=_gap,
        nodes=nodes_in_words(snapshot.cluster) if snapshot.cluster else "",
    )
    return StatusPage(html, clean(snapshot.host))


def render_server_info(snapshot: NodeSnapshot) -> bytes:
    """Returns the page of `/server_version.xsl`, UTF-8 `text/html`."""
    rows = (
        ("Server", snapshot.server_id),
        ("Host", snapshot.host),
        ("Location", snapshot.location),
        ("Contact", snapshot.admin),
        ("Started", f"{_moment(snapshot.server_start):%d %B %Y, %H:%M} UTC"),
        ("Up for", _duration(snapshot.taken - snapshot.server_start)),
    )
    return render("server_info.html", brand=clean(snapshot.host), rows=[(label, clean(text)) for label, text in rows])


def _station(mount: MountSnapshot, cover: Cover, now: float) -> _Station:
    path = quote(mount.name.lstrip("/"), safe=PATH_CHARACTERS, errors="replace")
    artist, title = _artist_and_title(clean(mount.artist), clean(mount.title))
    name = clean(mount.server_name) or clean(mount.name).lstrip("/") or mount.name
    badges, details = _badges(mount), _details(mount)
    description, genre, home = (
        clean(mount.server_description),
        clean(mount.genre),
        _web_address(mount.server_url),
    )
    since = f"{_moment(mount.stream_start):%Y-%m-%dT%H:%M:%SZ}" if mount.stream_start else ""
    return _Station(
        mount=mount.name,
        link=f"./{path}",
        url=stream_url(_gap("base"), mount.name, mount.listen_url),
        is_live=mount.is_live,
        name=name,
        title=title,
        artist=artist,
        description=description,
        genre=genre,
        home=home,
        badges=badges,
        details=details,
        content_type=clean(mount.content_type),
        is_video=mount.content_type.startswith("video/") or "Theora" in mount.subtype,
        listeners=mount.listeners,
        peak=mount.listener_peak,
        since=since,
        uptime=_duration(now - mount.stream_start) if mount.stream_start else "",
        cover=cover,
        revision=_revision(
            mount.listen_url,
            name,
            description,
            genre,
            home,
            *badges,
            *details,
            since,
            str(mount.is_live),
            cover.palette.ink,
        ),
    )


def _artist_and_title(artist: str, title: str) -> tuple[str, str]:
    """Returns artist and title. Streams other than Ogg have one text for both, "artist - title", which is split here
    and in player.js by the same rule.
    """
    if artist:
        return artist, title
    before, dash, after = title.partition(" - ")
    return (before, after) if dash and before.strip() and after.strip() else ("", title)


def _badges(mount: MountSnapshot) -> tuple[str, ...]:
    essence = clean(mount.content_type).partition(";")[0].strip().lower()
    label = _FORMATS.get(essence, essence.partition("/")[2].removeprefix("x-").upper())
    codecs = clean(mount.subtype).replace("/", " + ")
    return tuple(filter(None, (f"{label} {codecs}".strip(), _bitrate(clean(mount.bitrate)))))


def _details(mount: MountSnapshot) -> tuple[str, ...]:
    rate = mount.stats.get("audio_samplerate", "")
    channels = {"1": "Mono", "2": "Stereo"}.get(mount.stats.get("audio_channels", ""), "")
    return tuple(filter(None, (f"{int(rate) / 1000:g} kHz" if _is_count(rate) else "", channels)))


def _bitrate(text: str) -> str:
    return f"{int(text)} kbit/s" if _is_count(text) else text[:40]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 10


def _howto(base_url: str) -> dict[str, str]:
    """Returns how to send a stream to a server that has none. The password is a placeholder: the page is public."""
    scheme, _, address = base_url.partition("://")
    netloc = address.partition("/")[0]
    host, port = _host_and_port(netloc)
    # It may hold the visitor's Host header: quoted, it has no meaning to the shell that this is pasted into.
    target = shlex.quote(f"icecast://source:PASSWORD@{netloc}/live.mp3")
    tls = "-tls 1 " if scheme == "https" else ""
    command = f"ffmpeg -re -i music.mp3 -vn -c:a libmp3lame -b:a 128k -content_type audio/mpeg {tls}-f mp3 {target}"
    return {"command": command, "address": host, "port": port or ("443" if scheme == "https" else "80")}


def _host_and_port(netloc: str) -> tuple[str, str]:
    """Splits `[::1]:8000` into `::1` and `8000`; a missing port is empty. Takes any text: urlsplit raises on some."""
    parts = re.fullmatch(r"\[?(.*?)\]?(?::(\d{1,5}))?", netloc, re.DOTALL)
    return (parts[1], parts[2] or "") if parts else (netloc, "")


def _web_address(url: str) -> str:
    """Returns the address if it is http or https, else "": a source may send `javascript:` and the like."""
    url = clean(url)
    return url if re.match(r"https?://[^/\s]", url, re.IGNORECASE) else ""


def nodes_in_words(cluster: ClusterSnapshot) -> str:
    """Returns how many nodes there are, and how many of them are up."""
    count = len(cluster.members)
    up = sum(member.status == "up" for member in cluster.members)
    if up < count:
        return f"{up} of {count} nodes up"
    return "1 node" if count == 1 else f"{count} nodes, all up"


def clean(value: str) -> str:
    """Returns a text from outside as one line of limited length, not escaped."""
    value = clean_line(value)
    return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"


def _duration(seconds: float) -> str:
    """Returns a duration in its two largest units of days, hours and minutes. player.js does the same."""
    minutes = max(0, int(seconds)) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _revision(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=6).hexdigest()


@cache
@cache
def headers() -> tuple[Pair, ...]:
    """Returns the headers of every page: its policy, and what a policy within the page cannot forbid, frames."""
    return (("Content-Security-Policy", f"{page_policy([_asset('player.js')])}; frame-ancestors 'none'"),)


def render(template: str, **values: object) -> bytes:
    """Returns a page from its template, UTF-8 `text/html`. May switch: a page may have thousands of mounts."""
    parts = in_turns(_environment().get_template(template).generate(**values))
    return "".join(parts).encode("utf-8", "replace")  # a title may have a lone surrogate


def compile_templates() -> Iterator[str]:
    """Compiles the templates, one for each name that it yields, so that no page has to wait for it or for a disk."""
    environment = _environment()
    headers()
    for name in environment.list_templates(["html"]):
        environment.get_template(name)
        yield name


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    script = _asset("player.js")
    environment.globals.update(style=Markup(_asset("style.css")), script=Markup(script), policy=page_policy([script]))
    return environment


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def page_policy(scripts: Sequence[str], forms: str = "'none'") -> str:
    """Returns the Content-Security-Policy: it allows our own scripts, by their hashes, and our own server. `forms` is
    where forms may be sent.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"media-src 'self'; connect-src 'self'; base-uri 'none'; form-action {forms}"
    )
