"""Tests of pycast.config.icecast_values: Icecast's ways to write a value, each as pycast's."""

import pytest

from pycast.config.icecast_values import (
    cors_value,
    filled_in,
    is_yes,
    networks,
    translated,
    with_header,
)
from pycast.config.status_headers import HeaderValue


@pytest.mark.parametrize(
    ("element", "written", "value"),
    [
        *[("tls", mode, True) for mode in ("1", "true", "rfc2818", "RFC2818")],
        ("tls", "rfc2817", "auto_no_plain"),
        *[("tls", mode, False) for mode in ("0", "disabled")],
        *[("tls", mode, mode.lower()) for mode in ("auto", "Auto", "auto_no_plain", "AUTO_NO_PLAIN")],
        ("tls", "", None),
        ("ssl", "1", True),
        ("ssl", "what", "what"),
        *[("fallback-override", word, word.lower()) for word in ("all", "Own", "none", "1")],
        ("public", "client", "-1"),
        ("mp3-metadata-interval", "-1", None),
        ("icy-metadata-interval", "-1", None),
        ("max-listeners", "-1", "-1"),
    ],
)
def test_values_of_all_versions_are_translated(element: str, written: str, value: object) -> None:
    assert translated(element, written) == value


@pytest.mark.parametrize("text", ["1", "true", "yes", "On", "2", "-1", "01"])
def test_switches_that_are_on(text: str) -> None:
    assert is_yes(text)


@pytest.mark.parametrize("text", ["0", "", "false", "no", "00", "maybe"])
def test_switches_that_are_off(text: str) -> None:
    assert not is_yes(text)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("10.0.*", ["10.0.0.0/16"]),
        ("10.*", ["10.0.0.0/8"]),
        ("10.*.*.*", ["10.0.0.0/8"]),
        ("192.168.1.*", ["192.168.1.0/24"]),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("127.0.0.1, ::1", ["127.0.0.1/32", "::1/128"]),
    ],
)
def test_addresses_of_proxies_are_networks(written: str, found: list[str]) -> None:
    assert [str(network) for network in networks(written)] == found


@pytest.mark.parametrize("written", ["*", "10.*.0.1", "10.0.0.1?", "proxy.example", "10.0.0.1/8", "300.*", "1.2.3.4.*"])
def test_addresses_that_are_no_network_are_refused_and_not_widened(written: str) -> None:
    with pytest.raises(ValueError, match="expected addresses"):
        networks(written)


def test_two_headers_of_one_name_are_one_with_both_values() -> None:
    headers: dict[str, HeaderValue] = {}
    for name, value in (("Vary", "Origin"), ("vary", "Accept"), ("VARY", "Origin"), ("X", "1")):
        headers = with_header(headers, name, value)
    assert headers == {"Vary": "Origin, Accept", "X": "1"}


def test_cors_headers_without_a_value_allow_all_origins_and_leave_the_others_to_pycast() -> None:
    assert cors_value("Access-Control-Allow-Origin", "") == "*"
    assert cors_value("access-control-allow-origin", "https://x.example") == "https://x.example"
    assert cors_value("Access-Control-Expose-Headers", "") == ""


def test_variables_are_filled_in_and_those_that_are_not_set_are_refused() -> None:
    assert filled_in("a${B}c${B}$D {E}", {"B": "x"}) == "axcx$D {E}"
    with pytest.raises(ValueError, match="the variable NO is not set"):
        filled_in("${NO}", {"B": "x"})
