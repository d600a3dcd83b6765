"""How clients' addresses are written into the logs: whole, shortened, or as a word that only says which are the same.

An address is personal data in many countries. `truncate` leaves the network: the first three numbers of an IPv4
address, the first 48 bits of an IPv6 address. `hash` makes a word of 16 letters of it, with a key: the cluster's
secret, or a random one of this process, and the day. So all lines of one visitor and day have the same word, on all
nodes; the next day's is another one, and without the key nobody can try all addresses to find out whose it is.

Only logs are changed by it: bans, statistics and the admin interface have the whole address. In the error log every
address in a text is changed, whoever wrote it, but for those of this machine (127.0.0.1, ::1), and those that the
configuration names, which are the servers' own.
"""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from pycast.patterns import pattern

if TYPE_CHECKING:
    from pycast.config.schema import Config

FULL, HASH = "full", "hash"

DAY_S = 86_400
KEPT_V4, KEPT_V6 = 24, 48
"""The bits that are left of a truncated address."""
_WORD_BYTES = 8

# What may be an address; `ip_address` decides. One of version 6 has two colons at least, and maybe a line of text goes
# on with a third; none of version 4 goes on with a dot and a digit.
_V6 = pattern(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.[0-9]{1,3}){3})?(?![0-9A-Za-z])")
_V4 = pattern(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])")
_IN_CONFIGURATION = pattern(r"[0-9A-Fa-f:.]{3,}")

_RANDOM_KEY = os.urandom(32)


class ShownAddresses:
    """The way to write addresses: `kind` is "full", "truncate" or "hash"; `own` are those that are not changed."""

    def __init__(self, kind: str = FULL, secret: str = "", own: frozenset[str] = frozenset()) -> None:
        self._kind = kind
        self._own = own
        self._secret = secret.encode() or _RANDOM_KEY
        # Eight thousand listeners that leave at once come from fewer addresses, and each of them has several lines.
        self._known: Callable[[str, int], str] = lru_cache(maxsize=4096)(self._changed)

    def __call__(self, ip: str, at: float) -> str:
        """Returns a client's address as it is written at that time (seconds since the epoch)."""
        return ip if self._kind == FULL else self._known(ip, int(at // DAY_S))

    def in_text(self, text: str, at: float) -> str:
        """Returns the text with all addresses in it as they are written at that time."""
        if self._kind == FULL:
            return text
        day = int(at // DAY_S)
        for form in (_V6, _V4):
            text = form.sub(lambda found: self._found(found[0], day), text)
        return text

    def _found(self, text: str, day: int) -> str:
        # `[2001:db8::1]:8000` ends at the bracket, `2001:db8::1: GET /` has a colon that is not of the address.
        for end in range(len(text), max(len(text) - 3, 0), -1):
            address = _parsed(text[:end])
            if address is not None:
                is_shown = address.is_loopback or address.is_unspecified or str(address) in self._own
                return text if is_shown else self._known(text[:end], day) + text[end:]
        return text

    def _changed(self, ip: str, day: int) -> str:
        address = _parsed(ip)
        if self._kind == HASH:
            return self._word(str(address or ip), day)
        return ip if address is None else _truncated(address)

    def _word(self, ip: str, day: int) -> str:
        from hashlib import blake2b  # loads OpenSSL, which the start does without

        key = blake2b(f"log {day}".encode(), key=blake2b(self._secret).digest()).digest()
        return blake2b(ip.encode(), key=key, digest_size=_WORD_BYTES).hexdigest()


def shown_addresses(config: "Config") -> ShownAddresses:
    """Returns the way that a configuration chooses."""
    return ShownAddresses(config.logging.addresses, config.cluster.secret, frozenset(_named(config)))


def _named(config: "Config") -> Iterator[str]:
    """Yields the addresses that the configuration has for servers."""
    cluster = config.cluster
    texts = [cluster.advertise, *cluster.peers, *cluster.etcd, *(listen.bind_address for listen in config.listen)]
    proxies = [one for listen in config.listen for one in listen.trusted_proxies if one.num_addresses == 1]
    texts += [str(one.network_address) for one in proxies]
    for text in texts:
        for found in _IN_CONFIGURATION.findall(text):
            for part in (found, found.rpartition(":")[0]):
                if address := _parsed(part):
                    yield str(address)
                    break


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _truncated(address: IPv4Address | IPv6Address) -> str:
    kept = KEPT_V4 if address.version == 4 else KEPT_V6
    rest = address.max_prefixlen - kept
    return str(type(address)(int(address) >> rest << rest))
