"""The description of a stream in its source's request headers.

There are three families of names, `ice-`, `icy-` and `x-audiocast-`, from three generations of encoders; the first name
that has a value counts. The defaults that Icecast shows ("Unspecified name" …) and what a mount's configuration
overrides are not applied here. The text "(null)", which butt prints for an unset field, counts as absent, and so does a
bitrate of 0, which libshout sends over SHOUTcast's protocol for an encoder that told it none (VLC, `shout`).

`ice-audio-info: bitrate=128;channels=2;samplerate=44100` holds pairs that become stats of the mount. Keys stay as sent
(`bitrate` and `ice-bitrate` are different stats), values are percent-decoded (`+` is no blank). Sizes are Icecast's: a
key of more than 99 characters is left out, a value is cut at 199. Keys that cannot be an element's name are left out
too; Icecast writes XML with them that no parser reads.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from pycast.characters import clean_line
from pycast.http.charset import decode
from pycast.http.headers import Headers
from pycast.patterns import pattern

# Best first, Icecast's order.
_NAMES = {
    "name": ("ice-name", "icy-name", "x-audiocast-name"),
    "description": ("ice-description", "icy-description", "x-audiocast-description"),
    "url": ("ice-url", "icy-url", "x-audiocast-url"),
    "genre": ("ice-genre", "icy-genre", "x-audiocast-genre"),
    "bitrate": ("ice-bitrate", "icy-br", "x-audiocast-bitrate"),
    "public": ("ice-public", "icy-pub", "x-audiocast-public", "icy-public"),
    "audio_info": ("ice-audio-info",),
    "user_agent": ("user-agent",),
    "content_type": ("content-type",),
}


class SourceInfo(NamedTuple):
    """A source's description of its stream; what it did not send is empty."""

    name: str = ""
    description: str = ""
    url: str = ""
    genre: str = ""
    bitrate: str = ""
    """kbit/s, or any other text."""
    is_public: bool = False
    audio_info: str = ""
    """The raw `ice-audio-info`."""
    audio_stats: Mapping[str, str] = MappingProxyType({})
    """The pairs in it, each a stat of the mount."""
    user_agent: str = ""
    content_type: str | None = None
    """None if it sent none: then SOURCE means audio/mpeg and PUT is refused."""

    @property
    def declared_bitrate(self) -> str:
        """The bitrate as the source declares it: in a header of its own, or in `ice-audio-info` (libshout's key, then
        that of other encoders). Empty if it does not.
        """
        of_stats = (self.audio_stats.get(key, "") for key in ("bitrate", "ice-bitrate"))
        return self.bitrate or next((value for value in of_stats if not _is_no_bitrate(value)), "")


def source_info(headers: Headers) -> SourceInfo:
    """Returns the description in a source's request headers."""
    audio_info = _first(headers, "audio_info")
    return SourceInfo(
        name=_first(headers, "name"),
        description=_first(headers, "description"),
        url=_first(headers, "url"),
        genre=_first(headers, "genre"),
        bitrate=_first(headers, "bitrate"),
        is_public=_is_nonzero(_first(headers, "public")),
        audio_info=audio_info,
        audio_stats=parse_audio_info(audio_info),
        user_agent=_first(headers, "user_agent"),
        content_type=_first(headers, "content_type") or None,
    )


def _first(headers: Headers, what: str) -> str:
    for name in _NAMES[what]:
        value = clean_line(headers.get(name))
        if value and value != "(null)" and not (what == "bitrate" and _is_no_bitrate(value)):
            return value
    return ""


def _is_no_bitrate(text: str) -> bool:
    """Whether a bitrate is absent: empty, or 0."""
    return not text.strip("0.")


def _is_nonzero(text: str) -> bool:
    return text.lstrip("+0").isdigit() or text.lower() in ("true", "yes", "on")


_KEY = pattern(r"[A-Za-z_][A-Za-z0-9_.-]{0,98}\Z")
_BAD_ESCAPE = pattern(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_VALUE = 199


def parse_audio_info(raw: str) -> dict[str, str]:
    """Returns values by key, for a key that comes twice the last. Never raises: leaves out what cannot be read."""
    pairs = {}
    for item in raw.split(";"):
        key, _, value = item.partition("=")
        key, text = key.strip(), _value(value.strip())
        if text and _KEY.match(key):
            pairs[key] = text
    return pairs


def _value(raw: str) -> str:
    """Returns `raw` decoded; "" if it has a bad escape or a NUL."""
    if _BAD_ESCAPE.search(raw):
        return ""
    text = decode(unquote_to_bytes(raw))
    return "" if "\0" in text else clean_line(text)[:_LONGEST_VALUE].rstrip()
