"""Tests of pycast.http.addresses: one canonical form, or None."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.addresses import Networks, is_loopback, maybe_address, network_of
from tests.http.cuts import QUICK


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
    ],
)
def test_address_has_one_form(text: str, canonical: str) -> None:
    assert str(maybe_address(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "192.0.2", "192.0.2.256", "010.0.0.1", "1", "fe80::1%eth0", "[::1]", "::1 "]
)
def test_what_is_no_plain_address_is_none(text: str) -> None:
    assert maybe_address(text) is None


def test_networks_cover_what_lies_in_them() -> None:
    networks = Networks([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("fe80::/10")])
    assert all(networks.cover(peer) for peer in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "fe80::1%eth0"))
    assert not any(networks.cover(peer) for peer in ("11.1.2.3", "::1", "", "10.1.2.3.4"))


def test_no_networks_cover_no_address() -> None:
    assert not Networks([])
    assert not Networks([]).cover("127.0.0.1")


@QUICK
@given(st.text(max_size=60) | st.ip_addresses().map(str))
def test_any_text_gives_the_canonical_address_or_none(text: str) -> None:
    address = maybe_address(text)
    assert address is None or maybe_address(str(address)) == address == ip_address(str(address))


@pytest.mark.parametrize(
    ("ip", "is_own"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True)),
        *(("10.0.0.1", False), ("203.0.113.7", False), ("2001:db8::1", False), ("", False), ("localhost", False)),
    ],
)
def test_addresses_of_the_machine_itself_are_told_from_all_others(ip: str, is_own: bool) -> None:
    assert is_loopback(ip) is is_own


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::99", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::99", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_of_ipv6_the_first_64_bits_are_one_client(ip: str, network: str) -> None:
    assert network_of(ip) == network
