"""Lists of addresses and of players, one entry on a line: the files of `paths.deny_ip`, `allow_ip` and `deny_agents`.

An address is one, a network (`10.0.0.0/8`) or icecast-kh's `10.0.*`. A player is the whole text of its User-Agent, in
which a `*` stands for anything, or nothing. Lines that begin with `#` are comments. Lines that cannot be read are left
out, and reported.

The one invariant: an address is found in the time of a few look-ups, however long the list is: there is one set of
numbers for each length of prefix in it.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from pycast.patterns import pattern

Network = IPv4Network | IPv6Network

_PLAIN_V4 = pattern(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_WILDCARD = pattern(r"((?:[0-9]{1,3}\.){1,3})\*(?:\.\*)*")

# Bits before an IPv4 address that is written as an IPv6 one.
_MAPPED = 96

# Players of a kind have one text, so a few answers are remembered where all patterns would have to be tried.
_MOST_KNOWN = 1024


class BadLine(NamedTuple):
    """A line that is no entry."""

    number: int
    text: str


class AddressList:
    """A set of addresses and networks."""

    def __init__(self, networks: Iterable[IPv4Address | IPv6Address | Network] = ()) -> None:
        tables: dict[tuple[int, int], set[int]] = {}
        self._count = 0
        for one in networks:
            self._count += 1
            if isinstance(one, IPv4Address | IPv6Address):
                tables.setdefault((one.version, 0), set()).add(int(one))
            else:
                shift = one.max_prefixlen - one.prefixlen
                tables.setdefault((one.version, shift), set()).add(int(one.network_address) >> shift)
        self._tables = {
            version: [(shift, found) for (of, shift), found in sorted(tables.items()) if of == version]
            for version in (4, 6)
        }

    def __len__(self) -> int:
        return self._count

    def covers(self, ip: str) -> bool:
        """Whether the address `ip` is in the list. What is no address is not."""
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        number = int(address)
        return any(number >> shift in numbers for shift, numbers in self._tables[address.version])


class AgentList:
    """A set of players, by the text of their User-Agent."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        listed = list(patterns)
        self._whole = frozenset(one for one in listed if "*" not in one)
        self._patterns = [_compiled(one) for one in listed if "*" in one]
        self._count = len(listed)
        self._known: dict[str, bool] = {}

    def __len__(self) -> int:
        return self._count

    def covers(self, agent: str) -> bool:
        """Whether a player is in the list."""
        if agent in self._whole:
            return True
        if not self._patterns:
            return False
        found = self._known.get(agent)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[agent] = any(_matches(one, agent) for one in self._patterns)
        return found


def read_addresses(text: str) -> tuple[AddressList, list[BadLine]]:
    """Returns the addresses in the text of a file, and the lines that are none."""
    bad: list[BadLine] = []
    return AddressList(_addresses(text, bad)), bad


def read_agents(text: str) -> tuple[AgentList, list[BadLine]]:
    """Returns the players in the text of a file. Every line can be one."""
    return AgentList(line for _, line in _entries(text)), []


def network(text: str) -> Network:
    """Returns the network that is written as `10.0.0.7`, `10.0.0.0/8` or `10.0.*`. Raises ValueError."""
    return _network(text, is_strict=True)


def _network(text: str, is_strict: bool) -> Network:
    found = _WILDCARD.fullmatch(text)
    if found:
        octets = found[1].rstrip(".").split(".")
        text = f"{'.'.join([*octets, *['0'] * (4 - len(octets))])}/{8 * len(octets)}"
    try:
        return ip_network(text, strict=is_strict)
    except ValueError:
        raise ValueError('expected addresses such as "10.0.0.7", "10.0.*" or "10.0.0.0/8"') from None


def _addresses(text: str, bad: list[BadLine]) -> Iterator[IPv4Address | IPv6Address | Network]:
    for number, line in _entries(text):
        entry = line.partition("#")[0].strip()
        try:
            if _PLAIN_V4.fullmatch(entry):  # nearly all, and this is three times as fast
                yield IPv4Address(entry)
                continue
            # "10.0.0.7/8" is the whole network, as for a firewall.
            yield _unmapped(_network(entry, is_strict=False))
        except ValueError:
            bad.append(BadLine(number, line))


def _unmapped(network: Network) -> Network:
    """Returns the network, or that of the IPv4 addresses that it stands for."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


def _entries(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            yield number, entry


class _Pattern(NamedTuple):
    """What stands before the first `*`, after the last one, and between two of them."""

    begin: str
    between: tuple[str, ...]
    end: str


def _compiled(pattern: str) -> _Pattern:
    begin, *between, end = pattern.split("*")
    return _Pattern(begin, tuple(filter(None, between)), end)


def _matches(pattern: _Pattern, agent: str) -> bool:
    begin, between, end = pattern
    if not (agent.startswith(begin) and agent.endswith(end)) or len(agent) < len(begin) + len(end):
        return False
    at, stop = len(begin), len(agent) - len(end)
    for part in between:  # the first place for each leaves the most room for the next one
        at = agent.find(part, at, stop)
        if at < 0:
            return False
        at += len(part)
    return True
