"""Tests of pycast.config.ban_lists: who is in a list, and what is no entry."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.ban_lists import AddressList, AgentList, BadLine, network, read_addresses, read_agents
from pycast.http.addresses import unmapped

LIST = """\
# those who never stop
192.0.2.7
10.0.0.0/8      # a whole network
172.16.*
198.51.100.9/24
2001:db8::/32
2001:db9::1
::ffff:203.0.113.5

"""


@pytest.mark.parametrize(
    ("ip", "is_covered"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("10.255.1.2", True),
        ("11.0.0.1", False),
        ("172.16.200.1", True),
        ("172.17.0.1", False),
        ("198.51.100.1", True),
        ("2001:db8:1::9", True),
        ("2001:db9::1", True),
        ("2001:db9::2", False),
        ("203.0.113.5", True),
        ("fe80::1%eth0", False),
        ("not an address", False),
        ("", False),
    ],
)
def test_addresses_networks_and_wildcards_cover_what_they_say(ip: str, is_covered: bool) -> None:
    found, bad = read_addresses(LIST)
    assert bad == []
    assert found.covers(ip) is is_covered


def test_what_is_no_address_is_left_out_and_named_with_its_line() -> None:
    found, bad = read_addresses("1.2.3.4\nexample.org\n1.2.3.400\n10.*.3.4\n5.6.7.8\n")
    assert bad == [BadLine(2, "example.org"), BadLine(3, "1.2.3.400"), BadLine(4, "10.*.3.4")]
    assert (len(found), found.covers("1.2.3.4"), found.covers("5.6.7.8")) == (2, True, True)


def test_networks_of_ipv4_may_be_written_as_those_of_ipv6() -> None:
    found, bad = read_addresses("::ffff:10.0.0.0/104\n::ffff:192.0.2.7\n::ffff:0:0/95\n")
    assert bad == []
    asked = ("10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "192.0.2.8", "11.0.0.0", "::fffe:1.2.3.4")
    assert [found.covers(ip) for ip in asked] == [True, True, True, False, False, True]


def plain(line: str) -> IPv4Network | IPv6Network:
    """The network of a line, of IPv4 if it is mapped."""
    found = ip_network(line, strict=False)
    return found if "/" in line else ip_network(unmapped(found.network_address))


@given(
    st.lists(
        st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=4, network="10.0.0.0/8").map(lambda ip: f"{ip}/12"))
    ),
    st.ip_addresses(v=4, network="10.0.0.0/8"),
)
@settings(max_examples=50, deadline=None)
def test_a_list_covers_exactly_the_networks_in_it(lines: list[str], asked: object) -> None:
    found, bad = read_addresses("\n".join(lines))
    assert bad == []
    for ip in (str(asked), *(line.partition("/")[0] for line in lines)):
        inside = (unmapped(ip_address(ip)) in plain(line) for line in lines)
        assert found.covers(ip) is any(one for one in inside)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_gives_lists(text: str) -> None:
    found, bad = read_addresses(text)
    assert len(found) + len(bad) == len(
        [line for line in map(str.strip, text.removeprefix("\ufeff").splitlines()) if line and line[0] != "#"]
    )
    read_agents(text)[0].covers(text)


def test_an_empty_list_covers_nobody() -> None:
    assert not AddressList().covers("127.0.0.1")
    assert not AgentList().covers("player")


@pytest.mark.parametrize(
    ("pattern", "agent", "is_covered"),
    [
        ("Winamp", "Winamp", True),
        ("Winamp", "Winamp 5", False),
        ("Winamp", "winamp", False),
        ("Winamp*", "Winamp 5", True),
        ("*bot", "a bot", True),
        ("*bot", "a bot 2", False),
        ("*bot*", "a robot 2", True),
        ("a*b*c", "a--b--c", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*", "anything", True),
        ("[x]?", "[x]?", True),
        ("[x]?", "xy", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_is_special(pattern: str, agent: str, is_covered: bool) -> None:
    found, bad = read_agents(f"# comment\n\n{pattern}\n")
    assert bad == []
    for _ in range(2):  # the second answer is remembered
        assert found.covers(agent) is is_covered


def test_answers_for_ever_new_players_are_not_kept_for_ever() -> None:
    found = AgentList(["*bot*"])
    for number in range(3000):
        assert not found.covers(f"player {number}")
    assert len(found._known) <= 1024


def test_a_list_of_a_hundred_thousand_is_asked_in_a_few_look_ups() -> None:
    # Not how many there are decides, but how many lengths of prefix.
    found, _ = read_addresses("\n".join(f"10.{a}.{b}.0/24" for a in range(200) for b in range(50)) + "\n192.0.2.1")
    assert len(found) == 10_001
    assert len(found._tables[4]) == 2


def test_a_network_of_a_proxy_is_written_without_host_bits() -> None:
    assert network("10.0.*") == ip_network("10.0.0.0/16")
    with pytest.raises(ValueError, match="expected addresses such as"):
        network("10.0.0.7/8")
