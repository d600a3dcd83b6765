"""How Icecast 2.4, 2.5 and icecast-kh write values that pycast writes differently.

Pure: text in, the value of a key out. What cannot be read raises ValueError whose text begins with "expected". The one
invariant: a value is never read as one that lets more in than Icecast would.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network

from pycast.config.ban_lists import network
from pycast.config.status_headers import ALL, HeaderValue
from pycast.patterns import pattern

_VARIABLE = pattern(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TLS = {
    **dict.fromkeys(("1", "true", "yes", "on", "rfc2818"), True),
    "rfc2817": "auto_no_plain",
    **dict.fromkeys(("0", "false", "no", "off", "disabled"), False),
    "auto": "auto",
    "auto_no_plain": "auto_no_plain",
    "": None,
}
_STREAMS = {"/dev/stderr": "-", "/dev/stdout": "-", "/dev/null": ""}
_NO_SCHEME = pattern(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?/")
_NOT_ZERO = pattern(r"[+-]?0*[1-9]")


def filled_in(text: str, environ: Mapping[str, str]) -> str:
    """Returns `text` with each ${VAR} replaced. Raises ValueError if a variable is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise ValueError(f"expected a value: the variable {found[1][:60]} is not set; set it and import again")
        return environ[found[1]]

    return _VARIABLE.sub(value, text)


def translated(element: str, text: str) -> object:
    """Returns the value of an element as its key in pycast.toml takes it, None if it stands for the default."""
    lower = text.lower()
    if element in ("tls", "ssl"):
        return _TLS.get(lower, text)
    if element == "public" and lower == "client":
        return "-1"  # Icecast 2.5's word for it: the source decides
    if element == "bind-address" and text == "*":
        return None
    if element == "yp-url":
        return with_scheme(text)
    if element == "fallback-override":
        return lower
    if element == "logsize" and text.isdecimal():
        return f"{text}k"
    return None if element.endswith("metadata-interval") and text == "-1" else text


def with_scheme(address: str) -> str:
    """Returns an address as libcurl understands it, with which Icecast asks: one without a scheme is one of HTTP."""
    return f"http://{address}" if _NO_SCHEME.match(address) else address


def is_yes(text: str) -> bool:
    """Whether a switch is on, in all ways to write it. Other words are off, as in Icecast."""
    return text.lower() in ("true", "yes", "on") or bool(_NOT_ZERO.match(text))


def log_file(name: str, directory: str) -> str:
    """Returns the value of a log's key: names that are not absolute are in `directory`, as in icecast-kh."""
    if name in ("", "-") or name in _STREAMS:
        return _STREAMS.get(name, name)
    return name if name.startswith("/") or not directory else f"{directory.rstrip('/')}/{name}"


def networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Returns the addresses that icecast-kh's x-forwarded-for names: `10.0.0.7`, `10.0.*`, `10.0.0.0/8`."""
    return [network(part) for part in text.replace(",", " ").split()]


def with_header(headers: Mapping[str, HeaderValue], name: str, value: str, status: str = "") -> dict[str, HeaderValue]:
    """Returns `headers` with one more, for all statuses or one. Two of one name become one with both values, which
    means the same (RFC 9110, 5.3).
    """
    same = next((known for known in headers if known.lower() == name.lower()), name)
    known = headers.get(same, {})
    if isinstance(known, str):
        if not status:
            return {**headers, same: _with_value(known, value)}
        known = {ALL: known}
    elif not status and not known:
        return {**headers, same: value}
    status = status or ALL
    return {**headers, same: {**known, status: _with_value(known.get(status, ""), value)}}


def _with_value(known: str, value: str) -> str:
    values = known.split(", ") if known else []
    return ", ".join(values + [value] * (value not in values))


def cors_value(name: str, value: str) -> str:
    """Returns the value of a header of type "cors", empty if pycast sends that header by itself where it matters."""
    return value or ("*" if name.lower() == "access-control-allow-origin" else "")
