"""What a directory is told, and what it answers: the form of Icecast's YP protocol.

Pure. Fields, their order and their escapes are those of Icecast 2.4.4 (yp.c), which directories were written against:
all but letters and digits are escaped, and the body ends with a line end that is none of its fields. An answer is
judged by its headers only; its status and its body mean nothing.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from pycast.http.headers import Headers
from pycast.patterns import pattern

_ESCAPED = pattern(rb"[^0-9A-Za-z]")

# A directory may ask to be told less often, never more often than this: Icecast's limit.
LEAST_TOUCH_S = 30.0

_MOST_SID = 255


class PublicStream(NamedTuple):
    """A mount as a directory is told of it."""

    name: str
    genre: str
    description: str
    url: str
    listenurl: str
    type: str
    subtype: str
    bitrate: str
    audio_info: str
    cluster_password: str
    title: str
    listeners: int
    max_listeners: int


class YpAnswer(NamedTuple):
    """An answer. `sid` is the number of the new entry, `touch_s` how often it wants to be told; 0: it does not say."""

    is_yes: bool
    message: str
    sid: str = ""
    touch_s: float = 0.0


def add_form(stream: PublicStream) -> bytes:
    """Returns the body that asks for a new entry."""
    fields = {
        "sn": stream.name,
        "genre": stream.genre,
        "cpswd": stream.cluster_password,
        "desc": stream.description,
        "url": stream.url,
        "listenurl": stream.listenurl,
        "type": stream.type,
        "stype": stream.subtype,
        "b": stream.bitrate,
    }
    return _form("add", fields) + b"&" + _escaped(stream.audio_info) + b"\r\n"


def touch_form(sid: str, stream: PublicStream) -> bytes:
    """Returns the body that keeps an entry, and says what plays and who listens."""
    fields = {
        "sid": sid,
        "st": stream.title,
        "listeners": str(stream.listeners),
        "max_listeners": str(stream.max_listeners),
        "stype": stream.subtype,
    }
    return _form("touch", fields) + b"\r\n"


def remove_form(sid: str) -> bytes:
    """Returns the body that removes an entry."""
    return _form("remove", {"sid": sid})


def read_answer(headers: Headers) -> YpAnswer:
    """Returns what the headers of an answer say."""
    is_yes = headers.get("ypresponse").strip() == "1"
    message = headers.get("ypmessage") or ("" if is_yes else "the answer has no header YPResponse: 1")
    touch = headers.get("touchfreq").strip()
    touch_s = float(touch) if touch.isascii() and touch.isdecimal() and len(touch) < 8 else 0.0
    return YpAnswer(
        is_yes, message, headers.get("sid").strip()[:_MOST_SID], touch_s if touch_s >= LEAST_TOUCH_S else 0.0
    )


def is_reachable(listenurl: str) -> bool:
    """Whether listeners elsewhere may reach an address: it does not name this very machine."""
    host = (urlsplit(listenurl).hostname or "localhost").removesuffix(".")
    return not (host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127."))


def _form(action: str, fields: dict[str, str]) -> bytes:
    pairs = [f"action={action}".encode()]
    pairs += [name.encode() + b"=" + _escaped(value) for name, value in fields.items()]
    return b"&".join(pairs)


def _escaped(text: str) -> bytes:
    return _ESCAPED.sub(lambda found: b"%%%02x" % found[0][0], text.encode("utf-8", "replace"))
