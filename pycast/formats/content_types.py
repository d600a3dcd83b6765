"""Which format a content type means. Adding one is a row here.

Parameters after `;` and the case of letters do not matter, as in Icecast 2.5; a type without a row is opaque, because
Icecast has always carried anything. The one invariant: a type's family never depends on the bytes of the stream.
"""

from collections.abc import Callable

from pycast.formats.adts import Adts
from pycast.formats.marks import Format
from pycast.formats.mpeg import MpegAudio
from pycast.formats.ogg import Ogg
from pycast.formats.opaque import Opaque
from pycast.formats.webm import WebM

_FORMATS: dict[str, Callable[[int], Format]] = {
    "audio/mpeg": MpegAudio,
    "audio/mp3": MpegAudio,
    "audio/mpeg3": MpegAudio,
    "audio/mpg": MpegAudio,
    "audio/x-mp3": MpegAudio,
    "audio/x-mpeg": MpegAudio,
    "audio/x-mpeg-3": MpegAudio,
    "audio/aac": Adts,
    "audio/aacp": Adts,
    "audio/x-aac": Adts,
    "audio/x-aacp": Adts,
    "audio/x-hx-aac-adts": Adts,
    "application/ogg": Ogg,
    "application/x-ogg": Ogg,
    "audio/ogg": Ogg,
    "video/ogg": Ogg,
    "audio/webm": WebM,
    "video/webm": WebM,
    "audio/x-matroska": WebM,
    "video/x-matroska": WebM,
    "video/x-matroska-3d": WebM,
}

_FAMILIES: dict[Callable[[int], Format], str] = {Ogg: Ogg.family, WebM: WebM.family}


def new_format(content_type: str, base: int = 0) -> Format:
    """A parser for `content_type`, whose first byte out has the absolute offset `base`."""
    return _FORMATS.get(_bare(content_type), Opaque)(base)


def family_of(content_type: str) -> str:
    """Answer "generic", "ogg" or "webm"."""
    return _FAMILIES.get(_FORMATS.get(_bare(content_type), Opaque), Opaque.family)


def content_type_for_listeners(content_type: str) -> str:
    """What listeners are told: as the source said, but never the outdated application/x-ogg."""
    return "application/ogg" if _bare(content_type) == "application/x-ogg" else content_type


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
