"""The part of a listener's response head that mirrors its source: the icy block.

Exactly Icecast 2.4.4's, quirks included, because players match these bytes: the source's `ice-` and `icy-` headers in
byte order of their names, `ice-X` renamed to `icy-X`, **no blank after the colon**, except in `ice-audio-info`;
`icy-br` twice if the source sent a bitrate both ways. The block comes after the configured headers of server and mount.
The source's part is the same for all its listeners, so it is made once, with `source_block`.
"""

from collections.abc import Iterable

from pycast.characters import clean_line
from pycast.http.headers import Headers
from pycast.http.relay_path import HEADER as RELAY_PATH
from pycast.http.response import one_line
from pycast.patterns import pattern

# As in Icecast: if the text after the first "bitrate=" does not begin with a number, there is no bitrate.
_BITRATE = pattern(r"bitrate=\s*\+?0*([0-9]+)")
_BITRATE_KEY = "bitrate="
_NUMBER = pattern(r"\s*[+-]?0*[1-9]")
_NEVER = frozenset({"ice-password", "icy-metaint", RELAY_PATH, "ice-relay-path"})
_RENAMED = {"ice-public": "icy-pub", "ice-bitrate": "icy-br"}

LONG_LENGTH = 221183499
"""The length that Icecast sends to Flash and old Internet Explorer, which do not play a response without one."""


def source_block(source_headers: Iterable[tuple[str, str]], stream_name: str | None = None) -> bytes:
    """Returns the source's lines. `stream_name` replaces the value of `ice-name`, but is not added if there is none."""
    lines: list[str] = []
    for name, sent in sorted(dict(source_headers).items()):
        value = clean_line(sent)
        if name in _NEVER or value == "(null)":
            continue
        if name == "ice-audio-info":
            lines += _audio_info_lines(value)
        elif name.startswith(("ice-", "icy-")):
            if name == "ice-name" and stream_name:
                value = stream_name
            lines.append(f"{_RENAMED.get(name, 'icy-' + name[4:])}:{value}")
    return "".join(f"{one_line(line)}\r\n" for line in lines).encode("utf-8", "replace")


def listener_tail(metaint: int | None, needs_length: bool = False) -> bytes:
    """Returns the lines that depend on the listener. For generic formats only: Ogg and WebM listeners get none."""
    length = b"Content-Length: %d\r\n" % LONG_LENGTH if needs_length else b""
    return length + b"icy-metaint:%d\r\n" % metaint if metaint else length


def wants_titles(headers: Headers) -> bool:
    """Whether the player asked for titles: `Icy-MetaData` begins with a number other than 0."""
    return _NUMBER.match(headers.get("icy-metadata")) is not None


def wants_page(headers: Headers) -> bool:
    """Whether a browser asks, which would show a page. Players, also those in a page, do not accept HTML; jQuery
    does, for scripts that take apart what they get.
    """
    is_script = headers.get("x-requested-with").lower() == "xmlhttprequest"
    return "text/html" in headers.get("accept").lower() and not is_script


def wants_length(headers: Headers) -> bool:
    """Whether the player is one that needs a length (Flash, old Internet Explorer)."""
    return "x-flash-version" in headers or "MSIE" in headers.get("user-agent")


def _audio_info_lines(value: str) -> list[str]:
    at = value.find(_BITRATE_KEY)
    bitrate = _BITRATE.match(value, at) if at >= 0 else None
    own = [f"ice-audio-info: {value}"]
    return [f"icy-br:{bitrate[1]}", *own] if bitrate else own
