"""The kinds of values that the keys of the configuration have: one annotated type each, with its check.

A check returns the value in its final form, or raises ValueError whose text begins with "expected". Nothing in this
file depends on a particular key.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pycast.config.status_headers import HeaderValue, by_status
from pycast.config.units import Size, parse_file_size, parse_size, parse_time
from pycast.patterns import pattern

_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # C0, DEL, C1, and Unicode's line ends
_TOKEN = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: the name of a header
# By these a client knows how to read an answer; with a second one beside the server's own it cannot.
_FRAMING = frozenset({"connection", "content-encoding", "content-length", "icy-metaint", "transfer-encoding"})
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# Icecast's numbers, and the names that it has for levels in its file and its log.
_LEVELS = {
    **dict.fromkeys(("4", "5", "dbug"), "debug"),
    **dict.fromkeys(("3", "information"), "info"),
    **dict.fromkeys(("2", "warn"), "warning"),
    **dict.fromkeys(("1", "0", "eror"), "error"),
}
_MEDIA_TYPE = pattern(r"[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{0,60}/[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{0,60}")
_BITS = pattern(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmMgG]?)")
_MOST_BITS = 10**15
LOG_LEVELS = ("debug", "info", "warning", "error")

SHORTEST_KEY = 16
"""Characters of a key that signs: fewer can be found by trying."""

SECRET = object()
"""Marks the kinds of values that are never shown, and that a file can hold in place of the configuration."""
SILENCE = "silence"
"""The fallback that is neither a mount nor a file."""
OVERRIDES = ("none", "all", "own")
"""Who is moved back from a fallback."""
SERVED = ("listeners", "sources", "admin", "metrics", "health")
"""What a port may answer."""


Check = Callable[[object], object]


def choices(values: Sequence[str], given: object) -> str:
    """Returns the values to choose from, and the one that was probably meant, as the text of an error."""
    from difflib import get_close_matches  # for a mistake only

    *first, last = (f'"{one}"' for one in values)
    near = get_close_matches(given.lower(), values, n=1) if isinstance(given, str) else []
    return f"expected {', '.join(first)} or {last}" + (f'; did you mean "{near[0]}"?' if near else "")


def is_clean(text: str) -> bool:
    """Whether it has no control characters, and no surrogates (bytes of the environment that are not UTF-8)."""
    return not _CONTROL.search(text) and text == text.encode(errors="ignore").decode()


def clean_text(value: object) -> str:
    """Returns a text without characters that end a line or move a cursor."""
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")
    if not is_clean(value):
        raise ValueError("expected text without line breaks or other control characters")
    return value


def required_text(value: object) -> str:
    """Returns such a text that is not empty."""
    if not value:
        raise ValueError("expected text that is not empty")
    return clean_text(value)


def _secret(value: object) -> str:
    if not value or not isinstance(value, str) or not is_clean(value):
        raise ValueError("expected a password in quotes, at least one character long")
    return value


def _maybe_secret(value: object) -> str:
    return "" if value == "" else _secret(value)


def _whole(value: object) -> int:
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    # icecast.xml has 0 and 1; an environment variable has words.
    found = _WORDS.get(str(value).lower()) if isinstance(value, int | str) else None
    if found is None:
        raise ValueError("expected true or false")
    return found


def _tls_mode(value: object) -> bool | str:
    if value in ("auto", "auto_no_plain"):
        return str(value)
    try:
        return _flag(value)
    except ValueError:
        raise ValueError('expected true, false, "auto" or "auto_no_plain"') from None


def _public(value: object) -> bool | None:
    if value is None or str(value) == "-1":
        return None  # Icecast's -1: the source decides
    return _flag(value)


def _charset(value: object) -> str:
    name = clean_text(value)
    try:
        "".encode(name or "utf-8")
    except (LookupError, UnicodeError):
        raise ValueError('expected the name of a character set, such as "UTF-8" or "ISO8859-1"') from None
    return name


def _mount_name(value: object) -> str:
    name = clean_text(value)
    if not name.startswith("/") or "//" in name:
        raise ValueError('expected a name that begins with one "/", such as "/live.mp3"')
    return name


def _maybe_mount_name(value: object) -> str:
    return "" if value == "" else _mount_name(value)


def _fallback(value: object) -> str:
    return SILENCE if value == SILENCE else _maybe_mount_name(value)


def _override(value: object) -> str:
    if value in OVERRIDES:
        return str(value)
    try:
        return "own" if _flag(value) else "none"
    except ValueError:
        raise ValueError(choices(OVERRIDES, value)) from None


def _log_level(value: object) -> str:
    level = str(value).lower()
    level = _LEVELS.get(level, level)
    if level not in LOG_LEVELS:
        raise ValueError(choices(LOG_LEVELS, value))
    return level


def _section_type(value: object) -> str:
    text = clean_text(value)
    if text not in ("normal", "default") and not _MEDIA_TYPE.fullmatch(text):
        raise ValueError('expected "normal", "default" or a content type such as "audio/aacp"')
    return text


def _bitrate(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else clean_text(value)


def list_of(value: object, what: str) -> list[object]:
    """Returns a list of `what`, also from one text with commas."""
    # An environment variable is one text: "10.0.0.2:8000, 10.0.0.3:8000".
    found = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise ValueError(f"expected a list of {what}")
    return list(found)


def _auth_header(value: object) -> str:
    name, colon, content = clean_text(value).partition(":")
    if not colon or not _TOKEN.fullmatch(name.strip()):
        raise ValueError('expected a header and its value, such as "icecast-auth-user: 1"')
    return f"{name.strip()}: {content.strip()}".rstrip()


def _header_names(value: object) -> tuple[str, ...]:
    what = 'names of headers, such as ["cookie", "x-session"]'
    found = list_of(value, what)
    for one in found:
        if not isinstance(one, str) or not _TOKEN.fullmatch(one):
            raise ValueError(f"expected {what}, not {str(one)[:60]!r}")
    return tuple(str(one).lower() for one in found)


def _signing_keys(value: object) -> tuple[str, ...]:
    what = f"texts of {SHORTEST_KEY} characters or more"
    for one in (found := list_of(value, what)):
        if not isinstance(one, str) or not is_clean(one) or len(one) < SHORTEST_KEY:
            raise ValueError(f"expected a list of {what}")
    return tuple(str(one) for one in found)


def _served(value: object) -> tuple[str, ...]:
    what = f"the words {', '.join(SERVED)}"
    found = list_of(value, what)
    for one in found:
        if one not in SERVED:
            from difflib import get_close_matches  # imported for a mistake only, to keep the start of the server short

            near = get_close_matches(str(one).lower(), SERVED, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"expected a list of {what}, not {str(one)[:60]!r}{hint}")
    return tuple(str(one) for one in found)


def _bits(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_BITS:
        return value
    found = _BITS.fullmatch(value.strip()) if isinstance(value, str) else None
    bits = float(found[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[found[2].lower()] if found else -1
    if not 0 <= bits <= _MOST_BITS:
        raise ValueError('expected bits per second, such as 950000000, "950M" or "10G"')
    return int(bits)


def _fraction(value: object) -> float:
    text = value.strip() if isinstance(value, str) else value
    try:
        if isinstance(text, str) and text.endswith("%"):
            return float(text[:-1]) / 100
        if not isinstance(text, bool) and isinstance(text, str | int | float):
            return float(text)
    except (ValueError, OverflowError):  # a whole number may be too large for a float
        pass
    raise ValueError('expected a fraction such as 0.02, or a percentage such as "2%"')


def _headers(value: object) -> dict[str, HeaderValue]:
    if not isinstance(value, Mapping):
        raise ValueError('expected a table of headers, such as { "X-Station" = "demo" }')
    headers: dict[str, HeaderValue] = {}
    for name, content in value.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"expected header names made of letters, digits and dashes, not {name!r}")
        if name.lower() in _FRAMING:
            raise ValueError(f"expected no {name}: the server sets it, as clients read an answer by it")
        try:
            headers[name] = by_status(content, clean_text) if isinstance(content, Mapping) else clean_text(content)
        except ValueError as error:
            raise ValueError(f"for {name}: {error}") from None
    return headers


Text = Annotated[str, clean_text]
RequiredText = Annotated[str, required_text]
Secret = Annotated[str, _secret, SECRET]
MaybeSecret = Annotated[str, _maybe_secret, SECRET]
Whole = Annotated[int, _whole]
Flag = Annotated[bool, _flag]
TlsMode = Annotated[bool | str, _tls_mode]
Public = Annotated[bool | None, _public]
Charset = Annotated[str, _charset]
MountName = Annotated[str, _mount_name]
MaybeMountName = Annotated[str, _maybe_mount_name]
Fallback = Annotated[str, _fallback]
Override = Annotated[str, _override]
LogLevel = Annotated[str, _log_level]
SectionType = Annotated[str, _section_type]
Bitrate = Annotated[str, _bitrate]
AuthHeader = Annotated[str, _auth_header]
HeaderNames = Annotated[tuple[str, ...], _header_names]
SigningKeys = Annotated[tuple[str, ...], _signing_keys, SECRET]
Served = Annotated[tuple[str, ...], _served]
Bits = Annotated[int, _bits]
Fraction = Annotated[float, _fraction]
Headers = Annotated[dict[str, HeaderValue], _headers]
Seconds = Annotated[float, parse_time]
FileSize = Annotated[int, parse_file_size]
Span = Annotated[Size, parse_size]
