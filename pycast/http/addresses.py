"""IP addresses as peers write them, and lists of networks.

An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`) is the IPv4 address everywhere. Zones (`%eth0`) mean
something on one machine only and are no part of an address here. Invariant: whatever text comes in, the result is an
address in its one canonical form, or None.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pycast.patterns import pattern

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# An IPv6 address with an IPv4 one at its end is the longest: 45 characters.
_PLAIN = pattern(r"[0-9A-Fa-f:.]{2,45}\Z")

# Bits before an IPv4 address that is written as an IPv6 one.
_MAPPED = 96


def maybe_address(text: str) -> Address | None:
    """Returns the address that is written in `text`, which may have no brackets, port or zone; None if it is none."""
    if not _PLAIN.match(text):
        return None
    try:
        return unmapped(ip_address(text))
    except ValueError:
        return None


def unmapped(address: Address) -> Address:
    """Returns `address`, or the IPv4 address that it stands for."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def unmapped_network(network: Network) -> Network:
    """Returns `network`, or that of the IPv4 addresses that it stands for."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


# Asked for each request, and most visitors come again soon.
@lru_cache(maxsize=1024)
def is_loopback(ip: str) -> bool:
    """Whether this is an address of the machine's own, which no other machine can have."""
    address = maybe_address(ip)
    return address is not None and address.is_loopback


@lru_cache(maxsize=4096)
def network_of(ip: str) -> str:
    """Returns what is counted as one client: the address, of IPv6 the /64, in which one customer has every address."""
    address = maybe_address(ip.partition("%")[0])
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return ip if address is None else str(address)


class Networks:
    """A list of networks, which an address may be `in`; false if it is empty."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(map(unmapped_network, networks))

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def cover(self, peer: str) -> bool:
        """Whether `peer`, an address as the kernel writes it, lies in one of them."""
        address = maybe_address(peer.partition("%")[0])
        return address is not None and address in self
