"""Which format belongs to a content type, and which types listeners are told. A new format is a row here.

Parameters after `;` and the case of letters do not matter, as in Icecast 2.5; a type without a row is opaque, because
Icecast has always carried anything. A format's module is imported with the first stream that needs it, not at the start
of the server.

A source chooses its content type, and a browser that opens the mount's URL does with the bytes what the type says. So
listeners are told only types that a browser plays or saves; it would run a script in `text/html`, in SVG and in every
XML (`audio/x+xml` too), with the rights that this server's pages have. Of a list of types (`audio/mpeg, text/html`)
browsers take the last one, so a type is told only if all of it can be read.

The one invariant: a type's family never depends on the bytes of the stream.
"""

import re
from importlib import import_module
from typing import NamedTuple, cast

from pycast.formats.marks import Format


class Row(NamedTuple):
    """The place of a format: a module of this package and the class in it."""

    module: str
    name: str
    family: str
    """Which streams a listener of this format can be moved to; the same as the class's own `family`."""


_MPEG = Row("mpeg", "MpegAudio", "generic")
_ADTS = Row("adts", "Adts", "generic")
_OGG = Row("ogg", "Ogg", "ogg")
_WEBM = Row("webm", "WebM", "webm")
_FLAC = Row("flac", "Flac", "flac")
_MP4 = Row("mp4", "Mp4", "mp4")
_WAV = Row("wav", "Wav", "wav")
_OPAQUE = Row("opaque", "Opaque", "generic")

_FORMATS = {
    "audio/mpeg": _MPEG,
    "audio/mp3": _MPEG,
    "audio/mpeg3": _MPEG,
    "audio/mpg": _MPEG,
    "audio/x-mp3": _MPEG,
    "audio/x-mpeg": _MPEG,
    "audio/x-mpeg-3": _MPEG,
    "audio/aac": _ADTS,
    "audio/aacp": _ADTS,
    "audio/x-aac": _ADTS,
    "audio/x-aacp": _ADTS,
    "audio/x-hx-aac-adts": _ADTS,
    "application/ogg": _OGG,
    "application/x-ogg": _OGG,
    "audio/ogg": _OGG,
    "video/ogg": _OGG,
    "audio/webm": _WEBM,
    "video/webm": _WEBM,
    "audio/x-matroska": _WEBM,
    "video/x-matroska": _WEBM,
    "video/x-matroska-3d": _WEBM,
    "audio/flac": _FLAC,
    "audio/x-flac": _FLAC,
    "audio/mp4": _MP4,
    "audio/m4a": _MP4,
    "audio/x-m4a": _MP4,
    "video/mp4": _MP4,
    "audio/wav": _WAV,
    "audio/wave": _WAV,
    "audio/x-wav": _WAV,
    "audio/vnd.wave": _WAV,
}

OCTET_STREAM = "application/octet-stream"
"""What listeners are told of a stream whose content type is not on the list: browsers save it to a file."""

_APPLICATIONS = frozenset({"application/ogg", OCTET_STREAM})
# `+` at the end only (audio/amr-wb+): `+xml` makes a document of any type.
_MEDIA = re.compile(r"(?:audio|video)/[A-Za-z0-9][A-Za-z0-9.!#$&^_-]*\+?", re.IGNORECASE | re.ASCII)
# `; codecs=opus` or `; codecs="vp8, vorbis"`. Without single quotes, which some browsers take for quotes as well.
_PARAMETERS = re.compile(
    r"""(?:[ \t]*;[ \t]*[A-Za-z0-9_.+-]+=(?:[A-Za-z0-9_.+-]+|"[^"'\\\x00-\x1f\x7f]*"))*[ \t]*""", re.ASCII
)


def new_format(content_type: str, base: int = 0) -> Format:
    """Returns a parser for `content_type`, whose first byte out has the absolute offset `base`."""
    row = _row(content_type)
    return cast(Format, getattr(import_module(f"pycast.formats.{row.module}"), row.name)(base))


def family_of(content_type: str) -> str:
    """Returns "generic", "ogg", "webm", "flac", "mp4" or "wav"."""
    return _row(content_type).family


def content_type_for_listeners(content_type: str) -> str:
    """Returns the content type for listeners: the source's if that is audio or video, else `OCTET_STREAM`. Parameters
    that cannot be read are left out; the outdated application/x-ogg becomes application/ogg.
    """
    bare = _bare(content_type)
    if bare == "application/x-ogg":
        return "application/ogg"
    if not (_MEDIA.fullmatch(bare) or bare in _APPLICATIONS):
        return OCTET_STREAM
    kind, semicolon, parameters = content_type.strip().partition(";")
    return kind.rstrip() + (semicolon + parameters if _PARAMETERS.fullmatch(semicolon + parameters) else "")


def _row(content_type: str) -> Row:
    return _FORMATS.get(_bare(content_type), _OPAQUE)


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
