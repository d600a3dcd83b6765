"""Checks of single values that are addresses: of ports, networks, nodes, listeners, and of what is asked or fetched.

As in `values.py`, a check returns the value in its final form, or raises ValueError whose text begins with "expected".
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated

from pycast.config.values import clean_text, is_clean, list_of, required_text
from pycast.patterns import pattern

_FOUR_NUMBERS = pattern(r"[0-9]+(?:\.[0-9]+){3}")
_ADDRESS = pattern(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_URL = pattern(r"https?://[^/?#\s]+?(?::([0-9]{1,5}))?/?")
# Its characters need no escape in a page, a playlist or JSON.
_PUBLIC = pattern(
    r"https?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?(?:/[A-Za-z0-9/:@!$*+,;=~%._-]*)?"
)
_STREAM_URL = pattern(
    r"https?://(?:[^/?#@\s]*@)?(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?(?:[/?][^#\s]*)?"
)

EVERYWHERE = "0.0.0.0"
"""The address at which a port listens on all of IPv4."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


def is_reached(bind_address: str, host: str) -> bool:
    """Whether it is certain that a port with this `bind_address` is reached by that host of an address."""
    return host == bind_address or (host in _LOOPBACK and bind_address in (*_LOOPBACK, EVERYWHERE, "::"))


def _bind_address(value: object) -> str:
    """Returns the address without the brackets that it has in a URL, `[::1]`."""
    text = required_text(value)
    text = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    if ":" in text or _FOUR_NUMBERS.fullmatch(text):  # else it is a name, as "localhost"
        try:
            ip_address(text)
        except ValueError:
            raise ValueError('expected an address such as "0.0.0.0" or "::", without a port') from None
    return text


def _networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    # An environment variable is one text: "10.0.0.0/8, 192.168.0.0/16".
    found = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise ValueError('expected a list of networks, such as ["10.0.0.0/8", "192.0.2.7"]')
    return tuple(_network(one) for one in found)


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        # `ip_network` would read a number as an address.
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        pass
    try:
        without_host = ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError(f'expected IP networks or addresses such as "10.0.0.0/8", not {str(value)[:60]!r}') from None
    raise ValueError(f'expected an IP network without host bits: "{without_host}" instead of "{value}"')


def is_node_address(text: str) -> bool:
    """Whether it is `host:port`, with a port from 1 to 65535. An IPv6 address has brackets."""
    return bool(_ADDRESS.fullmatch(text)) and 1 <= int(text.rpartition(":")[2]) <= 65535


def _maybe_node_address(value: object) -> str:
    text = clean_text(value)
    if text and not is_node_address(text):
        raise ValueError('expected a host and its port, such as "10.0.0.1:8000" or "[2001:db8::1]:8000"')
    return text


def _maybe_dns_name(value: object) -> str:
    text = clean_text(value)
    if text and not (is_node_address(text) or is_node_address(f"{text}:1")):
        raise ValueError('expected a name with or without a port, such as "nodes.radio.internal:8000"')
    return text


def _list_of_those(value: object, is_right: Callable[[str], bool], what: str) -> list[str]:
    found = list_of(value, what)
    for one in found:
        if not isinstance(one, str) or not is_right(one):
            raise ValueError(f"expected {what}, not {str(one)[:60]!r}")
    return [str(one) for one in found]


def _addresses(value: object) -> tuple[str, ...]:
    what = 'addresses with ports, such as ["10.0.0.2:8000", "[2001:db8::2]:8000"]'
    return tuple(_list_of_those(value, is_node_address, what))


def _has_port(found: "re.Match[str] | None") -> bool:
    """Whether it is a URL, and its port, if it has one, is from 1 to 65535. The port is the pattern's first group."""
    return found is not None and (found[1] is None or 1 <= int(found[1]) <= 65535)


def _is_url(text: str) -> bool:
    """Whether it is the URL of a server."""
    return _has_port(_URL.fullmatch(text))


def _maybe_address(value: object) -> str:
    text = clean_text(value)
    if text and not _has_port(_PUBLIC.fullmatch(text)):
        raise ValueError(
            'expected an address for listeners, such as "https://radio.example.org", without user or query'
        )
    return text.rstrip("/")


def _urls(value: object) -> tuple[str, ...]:
    found = _list_of_those(value, _is_url, 'URLs, such as ["http://10.0.0.9:2379"]')
    return tuple(one.rstrip("/") for one in found)


def _stream_urls(value: object) -> tuple[str, ...]:
    what = 'addresses of streams, such as ["http://backup.example.org:8000/live.mp3"]'
    found = list_of(value, what)
    for number, one in enumerate(found, 1):
        text = one if isinstance(one, str) else ""
        if not is_clean(text) or not _has_port(_STREAM_URL.fullmatch(text)):
            raise ValueError(f"expected {what}; number {number} is none")  # not shown: it may have a password in it
    return tuple(str(one) for one in found)


def _call_url(value: object) -> str:
    """Returns the URL of something to ask: with a path and a query, maybe with a user and a password."""
    text = clean_text(value)
    if text and not _has_port(_STREAM_URL.fullmatch(text)):
        raise ValueError('expected a URL, such as "http://127.0.0.1:8080/listener-add"')
    return text


BindAddress = Annotated[str, _bind_address]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], _networks]
MaybeNodeAddress = Annotated[str, _maybe_node_address]
MaybeDnsName = Annotated[str, _maybe_dns_name]
Addresses = Annotated[tuple[str, ...], _addresses]
MaybeAddress = Annotated[str, _maybe_address]
Urls = Annotated[tuple[str, ...], _urls]
StreamUrls = Annotated[tuple[str, ...], _stream_urls]
CallUrl = Annotated[str, _call_url]
