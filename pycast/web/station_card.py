"""The card of one mount on the public page: what it shows, and its markup.

A card is kept until something on it changes: most mounts are from one second to the next as they were, and making 200
cards takes a tenth of a second.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from pycast.stats.icestats import stream_url
from pycast.stats.snapshot import MountSnapshot
from pycast.web.cover import Cover
from pycast.web.page_templates import PATH_CHARACTERS, clean, duration, moment, template

if TYPE_CHECKING:
    from markupsafe import Markup

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

MOST_CARDS = 1000
"""Mounts whose markup is kept: some 5 kB each."""


class Facts(NamedTuple):
    """What the page shows of a mount, as it came: two that are equal have the same card."""

    name: str
    listen_url: str
    is_address_given: bool
    """Whether the operator says by which address listeners come; else it is the one by which the visitor came."""
    is_live: bool
    is_on_demand: bool
    server_name: str
    server_description: str
    server_url: str
    genre: str
    artist: str
    title: str
    content_type: str
    subtype: str
    bitrate: str
    rate: str
    channels: str
    listeners: int
    peak: int
    stream_start: float
    uptime: str


@dataclass(frozen=True, slots=True)
class Station:
    """One mount as the template shows it. Its texts have gone through `clean`, and are not escaped."""

    mount: str
    link: str
    """Relative to the page, percent-encoded."""
    url: str
    is_url_given: bool
    is_live: bool
    rest: str
    """What it does while the visitor does not play it."""
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


def facts_of(mount: MountSnapshot, now: float, *, has_public_url: bool = False) -> Facts:
    """Returns what the page shows of a mount at the time `now`, seconds since the epoch."""
    return Facts(
        name=mount.name,
        listen_url=mount.listen_url,
        is_address_given=has_public_url or bool(mount.listen_url),
        is_live=mount.is_live,
        is_on_demand=mount.on_demand,
        server_name=mount.server_name,
        server_description=mount.server_description,
        server_url=mount.server_url,
        genre=mount.genre,
        artist=mount.artist,
        title=mount.title,
        content_type=mount.content_type,
        subtype=mount.subtype,
        bitrate=mount.bitrate,
        rate=mount.stats.get("audio_samplerate", ""),
        channels=mount.stats.get("audio_channels", ""),
        listeners=mount.listeners,
        peak=mount.listener_peak,
        stream_start=mount.stream_start,
        uptime=duration(now - mount.stream_start) if mount.stream_start else "",
    )


@lru_cache(MOST_CARDS)
def card(facts: Facts, cover: Cover, base_url: str, is_solo: bool) -> "Markup":
    """Returns the markup of one mount; `is_solo` if it is the only one of its page. `base_url` is what its address
    begins with.
    """
    from markupsafe import Markup

    return Markup(template("station.html").render(it=to_station(facts, cover, base_url), is_solo=is_solo))


def to_station(facts: Facts, cover: Cover, base_url: str) -> Station:
    """Returns what the card of a mount says."""
    path = quote(facts.name.lstrip("/"), safe=PATH_CHARACTERS, errors="replace")
    artist, title = _artist_and_title(clean(facts.artist), clean(facts.title))
    name = clean(facts.server_name) or clean(facts.name).lstrip("/") or facts.name
    badges, details = _badges(facts), _details(facts)
    description, genre, home = (
        clean(facts.server_description),
        clean(facts.genre),
        _web_address(facts.server_url),
    )
    since = f"{moment(facts.stream_start):%Y-%m-%dT%H:%M:%SZ}" if facts.stream_start else ""
    return Station(
        mount=facts.name,
        link=f"./{path}",
        url=stream_url(base_url, facts.name, facts.listen_url),
        is_url_given=facts.is_address_given,
        is_live=facts.is_live,
        rest=_rest(facts),
        name=name,
        title=title,
        artist=artist,
        description=description,
        genre=genre,
        home=home,
        badges=badges,
        details=details,
        content_type=clean(facts.content_type),
        is_video=facts.content_type.startswith("video/") or "Theora" in facts.subtype,
        listeners=facts.listeners,
        peak=facts.peak,
        since=since,
        uptime=facts.uptime,
        cover=cover,
        revision=_revision(
            facts.listen_url,
            "given" if facts.is_address_given else "",
            name,
            description,
            genre,
            home,
            *badges,
            *details,
            since,
            _rest(facts),
            cover.palette.ink,
        ),
    )


def _rest(facts: Facts) -> str:
    if facts.is_live:
        return "On air"
    return "Plays on demand" if facts.is_on_demand else "Waiting for source"


def _artist_and_title(artist: str, title: str) -> tuple[str, str]:
    """Returns artist and title. Streams other than Ogg have one text for both, "artist - title", which is split here
    and in player.js by the same rule.
    """
    if artist:
        return artist, title
    before, dash, after = title.partition(" - ")
    return (before, after) if dash and before.strip() and after.strip() else ("", title)


def _badges(facts: Facts) -> tuple[str, ...]:
    essence = clean(facts.content_type).partition(";")[0].strip().lower()
    label = _FORMATS.get(essence, essence.partition("/")[2].removeprefix("x-").upper())
    codecs = clean(facts.subtype).replace("/", " + ")
    return tuple(filter(None, (f"{label} {codecs}".strip(), _bitrate(clean(facts.bitrate)))))


def _details(facts: Facts) -> tuple[str, ...]:
    rate, channels = facts.rate, {"1": "Mono", "2": "Stereo"}.get(facts.channels, "")
    return tuple(filter(None, (f"{int(rate) / 1000:g} kHz" if _is_count(rate) else "", channels)))


def _bitrate(text: str) -> str:
    return f"{int(text)} kbit/s" if _is_count(text) else text[:40]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 10


def _web_address(url: str) -> str:
    """Returns the address if it is http or https, else "": a source may send `javascript:` and the like."""
    url = clean(url)
    return url if re.match(r"https?://[^/\s]", url, re.IGNORECASE) else ""


def _revision(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=6).hexdigest()
