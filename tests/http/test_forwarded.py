"""Tests of pycast.http.forwarded: which address counts."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.addresses import Networks, maybe_address
from pycast.http.forwarded import MAX_HOPS, asked_host, client_host, client_ip, client_scheme, is_proxied
from pycast.http.headers import Headers
from tests.http.cuts import QUICK

TRUSTED = Networks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
PEER = "10.0.0.1"


def asked(name: str, *lines: str) -> str:
    return client_ip(PEER, "", Headers([(name, line) for line in lines]), TRUSTED)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], PEER),
        (["203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1, 203.0.113.7"], "203.0.113.7"),  # the left one is the client's own invention
        (["10.9.9.9, 203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1, 203.0.113.7, 10.0.0.2,10.0.0.3"], "203.0.113.7"),
        (["1.1.1.1", "203.0.113.7"], "203.0.113.7"),  # HAProxy adds a field of its own
        (["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        (["203.0.113.7", "10.0.0.2, 10.0.0.3", "fd00::5"], "203.0.113.7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # all are ours: the first of them asked
        (["203.0.113.7:51234"], "203.0.113.7"),  # AWS and Azure can add the port
        (["[2001:db8::7]:51234"], "2001:db8::7"),
        (["[2001:DB8::7]"], "2001:db8::7"),
        (["2001:db8:0::7"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        (["unknown"], PEER),
        (["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),  # the chain is broken: no guess beyond
        (["1.1.1.1, _hidden"], PEER),
        (["1.1.1.1, 203.0.113"], PEER),
        (["1.1.1.1, fe80::1%eth0"], PEER),
        (["1.1.1.1, [2001:db8::7"], PEER),
        (["1.1.1.1, [2001:db8::7]x"], PEER),
        (["1.1.1.1, 203.0.113.7, "], "203.0.113.7"),
        ([","], PEER),
    ],
)
def test_lb_06_x_forwarded_for_is_read_from_the_right_to_the_first_stranger(lines: list[str], client: str) -> None:
    assert asked("X-Forwarded-For", *lines) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (["For=203.0.113.7;Proto=https;by=10.0.0.1"], "203.0.113.7"),
        (["for=1.1.1.1, for=203.0.113.7"], "203.0.113.7"),
        (["for=203.0.113.7, for=10.0.0.2"], "203.0.113.7"),
        (["for=1.1.1.1", "for=203.0.113.7;by=10.0.0.1, for=10.0.0.2"], "203.0.113.7"),
        (['for="[2001:db8::7]:51234"'], "2001:db8::7"),
        (['for="203.0.113.7:51234"'], "203.0.113.7"),
        (["for=203.0.113.7:51234"], "203.0.113.7"),  # no token, but sent
        (['for="\\203.0.113.7"'], "203.0.113.7"),
        (['by="a, for=1.1.1.1";for=203.0.113.7'], "203.0.113.7"),
        (["for=1.1.1.1, for=unknown"], PEER),
        (['for=1.1.1.1, for="_gazonk"'], PEER),
        (["for=1.1.1.1, proto=https"], PEER),  # an element that does not tell
        (['for="1.1.1.1, for=203.0.113.7'], PEER),  # an open quote swallows nothing
        (['for="1.1.1.1, for="[2001:db8::7]"'], PEER),
        (['for="1.1.1.1', "for=203.0.113.7"], "203.0.113.7"),
        (["nonsense"], PEER),
        (["for=1.1.1.1, , for=203.0.113.7"], PEER),
    ],
)
def test_lb_06_forwarded_is_read_from_the_right_to_the_first_stranger(lines: list[str], client: str) -> None:
    assert asked("Forwarded", *lines) == client


def test_x_forwarded_for_wins_over_a_forwarded_that_a_client_made_up() -> None:
    headers = Headers([("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.7")])
    assert client_ip(PEER, "", headers, TRUSTED) == "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "named", "line", "ip"),
    [
        ("203.0.113.1", "", None, "203.0.113.1"),
        ("203.0.113.1", "", "203.0.113.7", "203.0.113.1"),
        (PEER, "", None, PEER),
        (PEER, "", "203.0.113.7", "203.0.113.7"),
        (PEER, "203.0.113.9", None, "203.0.113.9"),
        (PEER, "203.0.113.9", "203.0.113.7", "203.0.113.9"),
        (PEER, "10.0.0.2", None, "10.0.0.2"),
        (PEER, "10.0.0.2", "203.0.113.7, 10.0.0.3", "203.0.113.7"),
        ("203.0.113.1", "10.0.0.2", "203.0.113.7", "203.0.113.7"),
    ],
)
def test_address_is_the_connections_or_the_proxy_headers_or_that_of_the_request(
    peer: str, named: str, line: str | None, ip: str
) -> None:
    headers = Headers([("x-forwarded-for", line)] if line is not None else [])
    assert client_ip(peer, named, headers, TRUSTED) == ip
    assert client_ip(peer, named, None, TRUSTED) == (named or peer)


def test_lb_06_no_more_than_thirty_hops_are_followed() -> None:
    ours = [f"10.1.0.{number}" for number in range(MAX_HOPS)]
    assert asked("X-Forwarded-For", ", ".join(["203.0.113.7", *ours[1:]])) == "203.0.113.7"
    assert asked("X-Forwarded-For", ", ".join(["203.0.113.7", *ours])) == "10.1.0.0"


@pytest.mark.parametrize(
    ("name", "value", "scheme"),
    [
        ("X-Forwarded-Proto", "https", "https"),
        ("X-Forwarded-Proto", "HTTP", "http"),
        ("X-Forwarded-Proto", "http, https", "https"),
        ("X-Forwarded-Proto", "javascript", ""),
        ("Forwarded", "for=1.1.1.1;proto=http, for=203.0.113.7;Proto=HTTPS", "https"),
        ("Forwarded", 'proto="https"', "https"),
        ("Forwarded", "for=1.1.1.1", ""),
        ("Forwarded", 'proto=https, for="', ""),
        ("X-Other", "https", ""),
    ],
)
def test_scheme_is_the_nearest_proxys(name: str, value: str, scheme: str) -> None:
    assert client_scheme(Headers([(name, value)])) == scheme


@pytest.mark.parametrize("name", ["Via", "X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_proxies_leave_traces(name: str) -> None:
    assert is_proxied(Headers([("Host", "radio"), (name, "1.1 proxy")]))


def test_direct_request_has_no_traces_of_a_proxy() -> None:
    assert not is_proxied(Headers([("Host", "radio"), ("X-Forwarded-Proto", "https"), ("User-Agent", "via")]))


PIECES = st.sampled_from(
    ["for=", "proto=", "10.0.0.2", "203.0.113.7", "[fd00::1]", ":80", '"', "\\", ",", ";", "=", " ", "unknown", "é"]
)


@QUICK
@given(st.lists(st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60), max_size=4))
def test_any_fields_give_a_canonical_address_and_a_scheme(lines: list[str]) -> None:
    for name in ("x-forwarded-for", "forwarded"):
        headers = Headers([(name, line) for line in lines if line])
        ip = client_ip(PEER, "", headers, TRUSTED)
        assert str(maybe_address(ip)) == ip
        assert client_scheme(headers) in ("", "http", "https")


@QUICK
@given(st.text(max_size=80), st.booleans())
def test_what_a_client_writes_cannot_hide_what_the_proxy_adds_to_x_forwarded_for(text: str, is_own_field: bool) -> None:
    lines = [text, "203.0.113.7"] if is_own_field else [f"{text}, 203.0.113.7"]
    assert asked("X-Forwarded-For", *filter(None, lines)) == "203.0.113.7"


@QUICK
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(['for="[2001:db8::7]";by=x', "for=203.0.113.7"]))
def test_what_a_client_writes_never_wins_over_what_the_proxy_adds_to_forwarded(text: str, added: str) -> None:
    forged = text.replace("203.0.113.7", "198.51.100.9")
    assert asked("Forwarded", f"{forged}, {added}") in (PEER, "203.0.113.7", "2001:db8::7")


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ([("X-Forwarded-Host", "radio.example:8443")], "radio.example:8443"),
        ([("X-Forwarded-Host", "evil.example, radio.example")], "radio.example"),
        ([("Forwarded", 'for=1.2.3.4;host="radio.example:8443";proto=https')], "radio.example:8443"),
        ([("Forwarded", "for=1.2.3.4")], ""),
        ([], ""),
    ],
)
def test_the_nearest_proxy_names_the_host_that_was_asked_for(fields: list[tuple[str, str]], host: str) -> None:
    assert client_host(Headers(fields)) == host


@pytest.mark.parametrize(
    ("fields", "scheme", "expected"),
    [
        ([("Host", "a")], "http", "a"),
        ([("Host", "a:1"), ("X-Forwarded-Port", "2")], "http", "a:1"),
        ([("Host", "a"), ("X-Forwarded-Port", "2")], "http", "a:2"),
        ([("Host", "a"), ("X-Forwarded-Port", "1, 443")], "https", "a"),
        ([("Host", "[::1]"), ("X-Forwarded-Port", "80")], "http", "[::1]"),
        ([("Host", "[::1]"), ("X-Forwarded-Port", "81")], "http", "[::1]:81"),
        ([("Host", "a"), ("X-Forwarded-Host", "b, c:3"), ("X-Forwarded-Port", "2")], "http", "c:3"),
        ([("Host", "a"), ("X-Forwarded-Port", "0")], "http", "a"),
        ([("Host", "a"), ("X-Forwarded-Port", "x")], "http", "a"),
        ([("X-Forwarded-Port", "2")], "http", ""),
    ],
)
def test_the_host_that_was_asked_for(fields: list[tuple[str, str]], scheme: str, expected: str) -> None:
    assert asked_host(Headers(fields), scheme) == expected
