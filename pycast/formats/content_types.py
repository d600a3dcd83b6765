"""The formats, the content types that belong to them, and which types listeners are told. A new format is a row here.

The bytes of a stream decide what it is (`detect.py`); its content type is only a hint, because many encoders announce
something else. Parameters after `;` and the case of letters do not matter, as in Icecast 2.5; a type without a row is
opaque, because Icecast has always carried anything. A format's module is imported with the first stream that needs it,
not at the start of the server.

A source chooses its content type, and a browser that opens the mount's URL does with the bytes what the type says. So
listeners are told only types that a browser plays or saves; it would run a script in `text/html`, in SVG and in every
XML (`audio/x+xml` too), with the rights that this server's pages have. Of a list of types (`audio/mpeg, text/html`)
browsers take the last one, so a type is told only if all of it can be read.

The one invariant: a row's family is that of its class.
"""

import re
from importlib import import_module
from typing import NamedTuple, cast

from pycast.formats.marks import Format
from pycast.patterns import pattern


class Row(NamedTuple):
    """A format: its module in this package and the class in it, and what its streams are called."""

    module: str
    name: str
    family: str
    """Which streams a listener of this format can be moved to; the same as the class's own `family`."""
    told: str = ""
    """What listeners are told of a stream that was announced as something else; empty: what was announced."""
    types: tuple[str, ...] = ()
    """Content types that are right for it, `told` too. The first one with `video/` is told of streams with video."""
    magic: bytes = b""
    """A regular expression for its first bytes; empty for a format that is found by its frames."""


FORMATS = {
    "mpeg": Row(
        "mpeg",
        "MpegAudio",
        "generic",
        "audio/mpeg",
        ("audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/mpg", "audio/x-mp3", "audio/x-mpeg", "audio/x-mpeg-3"),
    ),
    "adts": Row(
        "adts",
        "Adts",
        "generic",
        "audio/aac",
        ("audio/aac", "audio/aacp", "audio/x-aac", "audio/x-aacp", "audio/x-hx-aac-adts", "audio/vnd.dlna.adts"),
    ),
    "ogg": Row(
        "ogg",
        "Ogg",
        "ogg",
        "application/ogg",
        ("application/ogg", "application/x-ogg", "audio/ogg", "audio/x-ogg", "video/ogg"),
        rb"OggS\x00[\x00-\x07]",
    ),
    # By the DocType in its head: with none it is Matroska.
    "webm": Row(
        "webm",
        "WebM",
        "webm",
        "audio/webm",
        ("audio/webm", "video/webm"),
        rb"\x1aE\xdf\xa3.{0,60}\x42\x82[^w]{1,2}webm",
    ),
    "matroska": Row(
        "webm",
        "WebM",
        "webm",
        "audio/x-matroska",
        ("audio/x-matroska", "video/x-matroska", "video/x-matroska-3d", "audio/matroska", "video/matroska"),
        rb"\x1aE\xdf\xa3",
    ),
    "flac": Row("flac", "Flac", "flac", "audio/flac", ("audio/flac", "audio/x-flac"), rb"fLaC"),
    "mp4": Row(
        "mp4",
        "Mp4",
        "mp4",
        "audio/mp4",
        ("audio/mp4", "video/mp4", "audio/x-m4a", "audio/m4a", "audio/mp4a-latm", "video/quicktime"),
        rb"\x00[\x00-\x0f]..(?:ftyp|styp|moof|moov|sidx)",
    ),
    "wav": Row(
        "wav",
        "Wav",
        "wav",
        "audio/wav",
        ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
        rb"(?:RIFF|RF64|BW64)....WAVE",
    ),
    "adif": Row("opaque", "Opaque", "generic", "audio/aac", ("audio/aac", "audio/aacp", "audio/x-aac"), rb"ADIF"),
    "latm": Row("opaque", "Opaque", "generic", "audio/mp4a-latm", ("audio/mp4a-latm", "audio/aac", "audio/aacp")),
    "ts": Row("opaque", "Opaque", "generic", "video/mp2t", ("video/mp2t", "audio/mp2t", "video/vnd.dlna.mpeg-tts")),
    "opaque": Row("opaque", "Opaque", "generic"),
}
"""By the name that a description has (`SourceDescription.format`) and that nodes tell each other."""

UNKNOWN = "unknown"
"""The format of a source that has not sent enough yet. No row has this name."""

# Of two rows with one type the first one is meant.
_BY_TYPE = {kind: name for name, row in reversed(FORMATS.items()) for kind in row.types}

OCTET_STREAM = "application/octet-stream"
"""What listeners are told of a stream whose content type is not on the list: browsers save it to a file."""

_APPLICATIONS = frozenset({"application/ogg", OCTET_STREAM})
# `+` at the end only (audio/amr-wb+): `+xml` makes a document of any type.
_MEDIA = pattern(r"(?:audio|video)/[A-Za-z0-9][A-Za-z0-9.!#$&^_-]*\+?", re.IGNORECASE | re.ASCII)
# `; codecs=opus` or `; codecs="vp8, vorbis"`. Without single quotes, which some browsers take for quotes as well.
_PARAMETERS = pattern(
    r"""(?:[ \t]*;[ \t]*[A-Za-z0-9_.+-]+=(?:[A-Za-z0-9_.+-]+|"[^"'\\\x00-\x1f\x7f]*"))*[ \t]*""", re.ASCII
)


def new_format(content_type: str, base: int = 0, name: str = "") -> Format:
    """Returns a parser for the format `name`, or for `content_type` if there is none of that name; its first byte out
    has the absolute offset `base`.
    """
    row = FORMATS[format_name(content_type, name)]
    return cast(Format, getattr(import_module(f"pycast.formats.{row.module}"), row.name)(base))


def format_name(content_type: str, name: str = "") -> str:
    """Returns `name` if there is a format of that name, else the one that `content_type` promises."""
    return name if name in FORMATS else _BY_TYPE.get(_bare(content_type), "opaque")


def family_of(content_type: str, name: str = "") -> str:
    """Returns the family of the format, as `new_format` chooses it."""
    return FORMATS[format_name(content_type, name)].family


def is_same_format(one: str, other: str) -> bool:
    """Whether a player that began with one format can play the other after it."""
    row = FORMATS[one]
    return one == other or (row.module != "opaque" and row.module == FORMATS[other].module)


def content_type_of(announced: str, name: str, *, has_video: bool = False) -> str:
    """Returns the content type of a stream that was announced as `announced` and is of the format `name`: the announced
    one where it is right.
    """
    row = FORMATS[name]
    if not row.told or _bare(announced) in row.types:
        return announced
    is_video = has_video or _bare(announced).startswith("video/")
    return next((kind for kind in row.types if is_video and kind.startswith("video/")), row.told)


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


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
