"""Playlists and statistics have the address at which listeners reach the node."""

import pytest

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.control.own_address import OwnAddress

TLS = '[tls]\ncertificate = "c.pem"\n[[listen]]\nport = 8443\ntls = true\n[[listen]]\nport = 8000\n'


@pytest.mark.parametrize(
    ("toml", "url"),
    [
        ("", "http://localhost:8000"),
        ('[server]\nhostname = "radio.example"\n[[listen]]\nport = 9000\n', "http://radio.example:9000"),
        (TLS, "https://localhost:8443"),
    ],
)
def test_it_is_the_hosts_name_with_the_first_port(toml: str, url: str) -> None:
    assert OwnAddress(Live(loads(toml, {}, "test"))).url == url


def test_a_free_port_is_given_as_it_was_bound() -> None:
    address = OwnAddress(Live(loads("[[listen]]\nport = 0\n", {}, "test")))
    address.port = 40_000
    assert address.url == "http://localhost:40000"


def test_a_reload_changes_the_name_and_not_the_port() -> None:
    settings = Live(loads("", {}, "test"))
    address = OwnAddress(settings)
    settings.replace(loads('[server]\nhostname = "new.example"\n[[listen]]\nport = 9999\n', {}, "test"))
    assert address.url == "http://new.example:8000"
