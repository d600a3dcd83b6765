"""Which format belongs to a content type. A new format is a row here.

Parameters after `;` and the case of letters do not matter, as in Icecast 2.5; a type without a row is opaque, because
Icecast has always carried anything. A format's module is imported with the first stream that needs it, not at the start
of the server. The one invariant: a type's family never depends on the bytes of the stream.
"""

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
}


def new_format(content_type: str, base: int = 0) -> Format:
    """Returns a parser for `content_type`, whose first byte out has the absolute offset `base`."""
    row = _row(content_type)
    return cast(Format, getattr(import_module(f"pycast.formats.{row.module}"), row.name)(base))


def family_of(content_type: str) -> str:
    """Returns "generic", "ogg" or "webm"."""
    return _row(content_type).family


def content_type_for_listeners(content_type: str) -> str:
    """Returns the content type for listeners: the source's, but application/ogg for the outdated application/x-ogg."""
    return "application/ogg" if _bare(content_type) == "application/x-ogg" else content_type


def _row(content_type: str) -> Row:
    return _FORMATS.get(_bare(content_type), _OPAQUE)


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
