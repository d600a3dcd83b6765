"""The PROXY protocol, versions 1 and 2: the header with the client's address that a balancer in TCP mode sends first.

    PROXY TCP4 203.0.113.7 192.0.2.1 51234 8000␍␊        version 1: one line of at most 107 bytes
    ␍␊␍␊␀␍␊QUIT␊ 21 11 000C <addresses, ports> <TLVs>    version 2: 16 bytes, then as many as they say

From a version 2 header only the client's address is taken; what follows the addresses (TLVs) is skipped. A connection
that a balancer opens for itself (LOCAL, UNKNOWN, its health checks), or whose client has no IP address, keeps the
balancer's.

One reader reads exactly one header: AWS's network balancer passes on what its client sent, so a client can put a header
of its own behind the balancer's. That one stays in `rest`, and is no HTTP request. The caller decides whether the peer
may send a header at all, and limits the time.

Source: "The PROXY protocol" of haproxy.org, sections 2.1 and 2.2. Invariant: the result depends on the bytes, not on
how they were cut; never more than `MAX_LENGTH` + 16 bytes + one `feed` is held.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from pycast.errors import RequestError
from pycast.http.addresses import maybe_address, unmapped
from pycast.patterns import pattern

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

# What may follow the first 16 bytes of version 2. Addresses take 36, AWS's TLVs under 100; a client's certificate, the
# longest TLV there is, 2 to 4 KiB.
MAX_LENGTH = 8192

_WORD = b"PROXY "
_LONGEST_LINE = 107  # with its CRLF (2.1)
_FIXED_LENGTH = 16
_LINE = pattern(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]{1,5}) ([0-9]{1,5})\Z")
_UNKNOWN = pattern(rb"PROXY UNKNOWN(?: [ -~]*)?\Z")

_VERSION_2_LOCAL, _VERSION_2_PROXY = 0x20, 0x21
# Family and transport in one byte: how long one address is, for those that a TCP client can have.
_ADDRESS_LENGTHS = {0x11: 4, 0x21: 16}
_LAST_FAMILY, _LAST_TRANSPORT = 3, 2


@dataclass(frozen=True, slots=True)
class Proxied:
    """A header for a client's connection. `ip` is the client's address."""

    ip: str


@dataclass(frozen=True, slots=True)
class Local:
    """A header for the balancer's own connection, or for a client without an IP address: the peer's address counts."""


@dataclass(frozen=True, slots=True)
class NoHeader:
    """The absence of a header: every byte is the client's."""


ProxyHeader = Proxied | Local | NoHeader


class ProxyReader:
    """A parser of the header at the start of a connection. Must not be fed again after it returned one or raised."""

    __slots__ = ("_buffer", "_end")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._end = 0

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Returns what the connection begins with, None if not known yet. Raises RequestError for a broken header."""
        self._buffer += data
        begin = bytes(self._buffer[: len(SIGNATURE)])
        if begin == SIGNATURE:
            return self._read_version_2()
        if begin.startswith(_WORD):
            return self._read_version_1()
        if SIGNATURE.startswith(begin) or _WORD.startswith(begin):
            return None
        return NoHeader()

    @property
    def rest(self) -> bytes:
        """The bytes after the header; all bytes if there is no header or it is not complete."""
        return bytes(self._buffer[self._end :])

    def _read_version_1(self) -> ProxyHeader | None:
        end = self._buffer.find(b"\r\n", 0, _LONGEST_LINE)
        if end < 0:
            if len(self._buffer) >= _LONGEST_LINE:
                raise _broken("a line without an end")
            return None
        line = bytes(self._buffer[:end])
        self._end = end + 2
        if _UNKNOWN.match(line):
            return Local()
        return _proxied(line)

    def _read_version_2(self) -> ProxyHeader | None:
        if len(self._buffer) < _FIXED_LENGTH:
            return None
        command, family = self._buffer[12], self._buffer[13]
        length = int.from_bytes(self._buffer[14:_FIXED_LENGTH])
        if command not in (_VERSION_2_LOCAL, _VERSION_2_PROXY):
            raise _broken(f"version and command {command:#04x}")
        if family >> 4 > _LAST_FAMILY or family & 15 > _LAST_TRANSPORT:
            raise _broken(f"address family {family:#04x}")
        if length > MAX_LENGTH:
            raise _broken(f"{length} bytes long")
        needed = _ADDRESS_LENGTHS.get(family, 0) if command == _VERSION_2_PROXY else 0
        if needed and length < 2 * needed + 4:  # two addresses, two ports
            raise _broken(f"only {length} bytes of addresses")
        if len(self._buffer) < _FIXED_LENGTH + length:
            return None
        self._end = _FIXED_LENGTH + length
        if not needed:
            return Local()
        return Proxied(str(unmapped(ip_address(bytes(self._buffer[_FIXED_LENGTH : _FIXED_LENGTH + needed])))))


def _proxied(line: bytes) -> Proxied:
    match = _LINE.match(line)
    if match is None:
        raise _broken(f"{line!r}")
    version, *addresses, client_port, own_port = (part.decode("ascii") for part in match.groups())
    # The family is that of the text: an IPv4 address written as an IPv6 one belongs to TCP6.
    is_mixed = any((":" in text) != (version == "6") for text in addresses)
    client, own = (maybe_address(text) for text in addresses)
    if is_mixed or client is None or own is None or max(int(client_port), int(own_port)) > 65535:
        raise _broken(f"{line!r}")
    return Proxied(str(client))


def _broken(what: str) -> RequestError:
    return RequestError("bad PROXY header", cause=f"bad PROXY header: {what}")
