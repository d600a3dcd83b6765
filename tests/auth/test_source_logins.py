"""Tests of pycast.auth.source_logins: a mount's sources have its password, or a server decides about them."""

from typing import Any

import pytest

from pycast.auth.source_logins import SourceLogins
from pycast.auth.url_forms import Judgement
from pycast.config.live import Live
from pycast.config.load import loads

TOML = """
[[mount]]
mount_name = "/asked"
username = "me"
password = "mine"
[mount.authentication]
type = "url"
stream_auth = "http://127.0.0.1:1/"
[[mount]]
mount_name = "/plain"
password = "pw"
"""
IP, KNOWN = "192.0.2.7", "192.0.2.8"


class Calls:
    """Answers that a password is right if it is "yes", or the address is a known one, and that "boss" takes over; keeps
    what it was asked.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, str], str, bool]] = []

    def about_source(self, mount: str, given: tuple[str, str], ip: str, rules: object, *, is_admin: bool) -> Judgement:
        self.asked.append((mount, given, ip, is_admin))
        return Judgement(given[1] == "yes" or ip == KNOWN, takes_over=given[0] == "boss")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def logins(calls: Any) -> SourceLogins:
    return SourceLogins(Live(loads(TOML, {}, "test")), calls)


@pytest.mark.parametrize(
    ("mount", "given", "is_right"),
    [
        ("/plain", ("source", "pw"), True),
        ("/plain", ("source", "yes"), False),
        ("/other", ("source", "hackme"), True),
        ("/asked", ("me", "yes"), True),
        ("/asked", ("me", "mine"), False),
        ("/asked", ("source", "hackme"), False),
        ("/asked", None, False),
        ("/plain", None, False),
    ],
)
def test_mount_has_one_way_to_tell_its_sources(
    logins: SourceLogins, mount: str, given: tuple[str, str] | None, is_right: bool
) -> None:
    assert logins.is_right(mount, given, IP) is is_right


def test_who_takes_over_is_said_by_the_server_that_is_asked(logins: SourceLogins) -> None:
    assert logins.look("/asked", ("boss", "yes"), IP) == (True, True)
    assert logins.look("/asked", ("dj", "yes"), IP) == logins.look("/plain", ("source", "pw"), IP) == (True, False)
    assert logins.look("/asked", None, IP) == (False, False)


def test_server_is_asked_about_a_source_without_a_login_too(logins: SourceLogins, calls: Calls) -> None:
    assert logins.is_right("/asked", None, KNOWN) and logins.is_right("/asked", None, KNOWN, is_admin=True)
    assert not logins.is_right("/asked", None, IP) and not logins.is_right("/plain", None, KNOWN)
    assert calls.asked == [
        ("/asked", ("", ""), ip, is_admin) for ip, is_admin in [(KNOWN, False), (KNOWN, True), (IP, False)]
    ]


def test_what_a_server_is_asked(logins: SourceLogins, calls: Calls) -> None:
    logins.is_right("/asked", ("dj", "no"), IP)
    logins.is_right("/asked", ("dj", "no"), IP, is_admin=True)
    logins.is_right("/plain", ("dj", "no"), IP)
    assert calls.asked == [("/asked", ("dj", "no"), IP, False), ("/asked", ("dj", "no"), IP, True)]


@pytest.mark.parametrize(
    ("mount", "line", "found"),
    [
        ("/plain", "pw", ("source", "pw")),
        ("/plain", "no", None),
        ("/asked", "yes", ("me", "yes")),
        ("/asked", "dj:yes:#1", ("dj", "yes")),
        ("/asked", "yes:#2", ("me", "yes")),
        ("/asked", "mine", None),
    ],
)
def test_shoutcast_lines_have_the_same_ways(
    logins: SourceLogins, mount: str, line: str, found: tuple[str, str] | None
) -> None:
    assert logins.shoutcast(mount, line, IP) == found
