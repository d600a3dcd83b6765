"""Addresses of clients in logs: shortened or as a word, and no text hides one."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pycast.config.load import loads
from pycast.logs.shown_addresses import DAY_S, ShownAddresses, shown_addresses

truncated = ShownAddresses("truncate")


@pytest.mark.parametrize(
    ("ip", "shown"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_truncated_address_is_that_of_its_network(ip: str, shown: str) -> None:
    assert truncated(ip, 0.0) == shown


def test_a_whole_address_stays_as_it_is() -> None:
    full = ShownAddresses()
    assert full("203.0.113.77", 0.0) == "203.0.113.77"
    assert full.in_text("from 203.0.113.77", 0.0) == "from 203.0.113.77"


def test_a_word_is_the_same_for_a_day_and_on_all_nodes_with_the_secret() -> None:
    a, b, other = (ShownAddresses("hash", secret) for secret in ("s" * 16, "s" * 16, "t" * 16))
    word = a("203.0.113.77", 0.0)
    assert len(word) == 16 and word == b("203.0.113.77", DAY_S - 1.0) == a("::ffff:203.0.113.77", 1.0)
    assert len({word, a("203.0.113.78", 0.0), a("203.0.113.77", float(DAY_S)), other("203.0.113.77", 0.0)}) == 4
    assert ShownAddresses("hash")("203.0.113.77", 0.0) != word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("! 203.0.113.77: GET /x: 404", "! 203.0.113.0: GET /x: 404"),
        ("from 203.0.113.77:4711.", "from 203.0.113.0:4711."),
        ("! 2001:db8:1:2::7: left", "! 2001:db8:1::: left"),
        ("[2001:db8:1:2::7]:8000", "[2001:db8:1::]:8000"),
        ("::ffff:203.0.113.77 left", "203.0.113.0 left"),
        ("203.0.113.77, 198.51.100.9", "203.0.113.0, 198.51.100.0"),
        ("listening on 127.0.0.1:8000, [::1]:8000, 0.0.0.0:80, [::]:80", None),
        ("at 12:34:56 1.2.3 1.2.3.4.5 300.1.2.3 ::", None),
        ("pycast 0.1.0, ffmpeg 7.1.1", None),
    ],
)
def test_addresses_in_a_text_are_found(text: str, shown: str | None) -> None:
    assert truncated.in_text(text, 0.0) == (text if shown is None else shown)


def test_addresses_that_the_configuration_names_are_servers() -> None:
    toml = """
        [logging]
        addresses = "truncate"
        [cluster]
        secret = "a-secret-of-16-letters"
        peers = ["10.0.0.2:8000", "[2001:db8::2]:8000", "a.example:8000"]
        [[listen]]
        bind_address = "10.0.0.1"
        trusted_proxies = ["10.0.0.9", "10.1.0.0/16"]
    """
    shown = shown_addresses(loads(toml, {}, "test"))
    text = "10.0.0.1 10.0.0.2:8000 [2001:db8::2]:8000 10.0.0.9 10.1.0.3 10.0.0.3"
    assert shown.in_text(text, 0.0) == "10.0.0.1 10.0.0.2:8000 [2001:db8::2]:8000 10.0.0.9 10.1.0.0 10.0.0.0"


addresses = (st.ip_addresses(network="203.0.0.0/8") | st.ip_addresses(network="2000::/3")).map(str)
around = st.text(st.sampled_from(" []()<>!,;\"'=/|\n-"), max_size=2)


@settings(max_examples=150)
@given(addresses, around, around, st.sampled_from(["", ":8000", ": GET", "."]))
@example("1.2.3.4", "", "", ".")
@example("::2", "", "", "")
@example("::ffff:1.2.3.4", "", "", ": GET")
def test_no_punctuation_hides_an_address(ip: str, before: str, after: str, end: str) -> None:
    if ":" in ip and end == ":8000":
        before, end = before + "[", "]:8000"
    shown = ShownAddresses("hash", "x").in_text(f"{before}{ip}{end}{after}", 0.0)
    word = ShownAddresses("hash", "x")(ip, 0.0)
    assert shown.startswith(f"{before}{word}")


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    truncated(text, 0.0)
    truncated.in_text(text, 0.0)
