"""Tests of pycast.http.proxy_protocol: headers as balancers send them, broken ones, forged ones, cut anywhere."""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycast.errors import RequestError
from pycast.http.proxy_protocol import MAX_LENGTH, SIGNATURE, Local, NoHeader, Proxied, ProxyHeader, ProxyReader
from pycast.http.request import HeadReader
from tests.http.cuts import PLACES, QUICK, byte_by_byte, cut

REQUEST = b"GET /live.mp3 HTTP/1.0\r\n\r\n"
IPV4 = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + (51234).to_bytes(2) + (8000).to_bytes(2)
IPV6 = bytes.fromhex("20010db8000000000000000000000007" + "20010db8000000000000000000000001") + b"\xc8\x22\x1f\x40"
MAPPED = bytes.fromhex("00000000000000000000ffffcb007107") * 2 + b"\xc8\x22\x1f\x40"
# What AWS's network balancer appends: a CRC32C and the name of its endpoint.
TLVS = b"\x03\x00\x04\xfd\x16\xee\x60" + b"\xea\x00\x17\x01vpce-0123456789abcdefg"


def version_2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(payload).to_bytes(2) + payload


GOOD: dict[str, tuple[bytes, ProxyHeader]] = {
    "v1 IPv4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 8000\r\n", Proxied("203.0.113.7")),
    "v1 IPv6": (b"PROXY TCP6 2001:DB8::7 2001:db8::1 51234 8000\r\n", Proxied("2001:db8::7")),
    "v1 mapped": (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2\r\n", Proxied("203.0.113.7")),
    "v1 longest": (
        b"PROXY UNKNOWN " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
        Local(),
    ),
    "v1 unknown, HAProxy's health check": (b"PROXY UNKNOWN\r\n", Local()),
    "v2 IPv4": (version_2(0x21, 0x11, IPV4), Proxied("203.0.113.7")),
    "v2 IPv4 with TLVs": (version_2(0x21, 0x11, IPV4 + TLVS), Proxied("203.0.113.7")),
    "v2 IPv6": (version_2(0x21, 0x21, IPV6), Proxied("2001:db8::7")),
    "v2 mapped": (version_2(0x21, 0x21, MAPPED + TLVS), Proxied("203.0.113.7")),
    "v2 local, HAProxy's health check": (version_2(0x20, 0x00, b""), Local()),
    "v2 local, AWS's health check": (version_2(0x20, 0x00, TLVS), Local()),
    "v2 local with addresses": (version_2(0x20, 0x11, IPV4), Local()),
    "v2 without family": (version_2(0x21, 0x00, b""), Local()),
    "v2 unix socket": (version_2(0x21, 0x31, bytes(216)), Local()),
    "v2 datagrams": (version_2(0x21, 0x12, IPV4), Local()),
    "v2 longest": (version_2(0x21, 0x11, IPV4 + bytes(MAX_LENGTH - len(IPV4))), Proxied("203.0.113.7")),
}

BROKEN = {
    "v1 line without an end": b"PROXY TCP4 " + b"1" * 96,
    "v1 line too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "v1 bare LF": b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 8000\n\r\n",
    "v1 no address": b"PROXY TCP4 203.0.113 192.0.2.1 51234 8000\r\n",
    "v1 wrong family": b"PROXY TCP6 203.0.113.7 192.0.2.1 51234 8000\r\n",
    "v1 mixed families": b"PROXY TCP4 203.0.113.7 2001:db8::1 51234 8000\r\n",
    "v1 zone": b"PROXY TCP6 fe80::1%eth0 fe80::2 51234 8000\r\n",
    "v1 port": b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 8000\r\n",
    "v1 without ports": b"PROXY TCP4 203.0.113.7 192.0.2.1\r\n",
    "v1 two blanks": b"PROXY TCP4  203.0.113.7 192.0.2.1 51234 8000\r\n",
    "v1 other transport": b"PROXY UDP4 203.0.113.7 192.0.2.1 51234 8000\r\n",
    "v2 version 1": version_2(0x11, 0x11, IPV4),
    "v2 version 3": version_2(0x31, 0x11, IPV4),
    "v2 command": version_2(0x22, 0x11, IPV4),
    "v2 family": version_2(0x21, 0x41, IPV4),
    "v2 transport": version_2(0x21, 0x13, IPV4),
    "v2 too short for IPv4": version_2(0x21, 0x11, IPV4[:-1]),
    "v2 too short for IPv6": version_2(0x21, 0x21, IPV4),
    "v2 too long": version_2(0x21, 0x11, IPV4 + bytes(MAX_LENGTH)),
}

NONE = {
    "request": REQUEST,
    "PUT": b"PUT /live.mp3 HTTP/1.1\r\n\r\n",
    "lower case": b"proxy TCP4 203.0.113.7 192.0.2.1 51234 8000\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "empty line first": b"\r\nGET / HTTP/1.0\r\n\r\n",
    "other signature": SIGNATURE[:-1] + b"\r",
}

Result = tuple[ProxyHeader | str | None, bytes]


def read(pieces: Iterable[bytes]) -> Result:
    """Returns the header, or "error", or None if it is not complete; and the bytes that are not the header's."""
    reader = ProxyReader()
    pieces = iter(pieces)
    for piece in pieces:
        try:
            parsed = reader.feed(piece)
        except RequestError:
            return "error", b""
        if parsed is not None:
            return parsed, reader.rest + b"".join(pieces)
    return None, reader.rest


@pytest.mark.parametrize("name", GOOD)
def test_header_names_the_client_and_the_rest_is_the_clients(name: str) -> None:
    header, parsed = GOOD[name]
    assert read([header + REQUEST]) == (parsed, REQUEST)
    assert read(byte_by_byte(header + REQUEST)) == (parsed, REQUEST)
    assert read([header]) == (parsed, b"")
    assert read([header[:-1]])[0] is None


@pytest.mark.parametrize("name", BROKEN)
def test_broken_header_is_an_error(name: str) -> None:
    assert read([BROKEN[name]])[0] == "error"
    assert read(byte_by_byte(BROKEN[name]))[0] == "error"


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_header_is_left_to_the_client(name: str) -> None:
    assert read([NONE[name]]) == (NoHeader(), NONE[name])
    assert read(byte_by_byte(NONE[name])) == (NoHeader(), NONE[name])


@pytest.mark.parametrize("forged", [GOOD["v1 IPv4"][0], GOOD["v2 IPv4"][0]], ids=["v1", "v2"])
@pytest.mark.parametrize("real", [b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2\r\n", version_2(0x20, 0, b"")])
def test_lb_05_second_forged_header_stays_in_the_rest_and_is_no_request(real: bytes, forged: bytes) -> None:
    parsed, rest = read([real + forged + REQUEST])
    assert parsed in (Proxied("198.51.100.9"), Local())
    assert rest == forged + REQUEST
    with pytest.raises(RequestError):
        HeadReader().feed(rest)


@pytest.mark.parametrize("begin", [b"", b"P", b"PROXY", SIGNATURE[:1], SIGNATURE[:-1]])
def test_the_start_of_a_header_decides_nothing(begin: bytes) -> None:
    assert read([begin]) == (None, begin)


def headers() -> st.SearchStrategy[bytes]:
    """Draws headers of both versions with any content, some of them a little broken."""
    words = st.sampled_from([b"PROXY", b"TCP4", b"TCP6", b"UNKNOWN", b"1.2.3.4", b"::1", b"80", b"65536", b"", b"\n"])
    version_1 = st.lists(words, max_size=8).map(lambda some: b"PROXY " + b" ".join(some) + b"\r\n")
    bytes_2 = st.tuples(
        st.sampled_from([0x20, 0x21, 0x11]), st.sampled_from([0, 0x11, 0x21, 0x31, 0x12, 0xFF]), st.binary(max_size=60)
    ).map(lambda parts: version_2(*parts))
    return version_1 | bytes_2 | st.sampled_from([header for header, _ in GOOD.values()])


@QUICK
@given(st.binary(max_size=200) | st.tuples(headers(), st.binary(max_size=40)).map(b"".join), PLACES)
@example(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r" + b"\r\n", [33])
def test_any_bytes_cut_anywhere_give_the_same_header_or_error(data: bytes, places: list[int]) -> None:
    whole = read([data])
    assert whole == read(byte_by_byte(data)) == read(cut(data, places))
    assert len(whole[1]) <= len(data)


@QUICK
@given(st.sampled_from(sorted(GOOD)), PLACES, st.integers(min_value=0, max_value=200))
def test_reader_holds_no_more_than_a_header(name: str, places: list[int], more: int) -> None:
    reader = ProxyReader()
    for piece in cut(GOOD[name][0], places):
        held = len(reader.rest)
        assert held <= 16 + MAX_LENGTH
        if reader.feed(piece) is not None:
            break
