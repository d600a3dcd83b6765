"""Tests of pycast.auth.credentials."""

import pytest

from pycast.auth.credentials import is_admin, is_relay, is_source, opens_something, shoutcast_credentials
from pycast.config.load import loads

CONFIG = loads(
    """
[authentication]
source_password = "s"
relay_password = "r"
admin_password = "a"
[[mount]]
mount_name = "/own.mp3"
username = "dj"
password = "own"
""",
    {},
    "test",
)


def test_each_role_has_its_own_credentials() -> None:
    assert is_admin(CONFIG, ("admin", "a"))
    assert is_relay(CONFIG, ("relay", "r"))
    assert is_source(CONFIG, "/x", ("source", "s"))
    assert not is_admin(CONFIG, ("relay", "r"))
    assert not is_relay(CONFIG, ("admin", "a"))


def test_a_mount_has_its_own_source() -> None:
    assert is_source(CONFIG, "/own.mp3", ("dj", "own"))
    assert not is_source(CONFIG, "/own.mp3", ("source", "s"))


def test_what_opens_anything_is_known() -> None:
    known = (("admin", "a"), ("relay", "r"), ("source", "s"), ("dj", "own"))
    assert all(opens_something(CONFIG, given) for given in known)
    assert not any(opens_something(CONFIG, given) for given in (("dj", "s"), ("source", "own"), ("admin", "")))


@pytest.mark.parametrize(
    "given", [None, ("", ""), ("source", ""), ("source", "S"), ("Source", "s"), ("source", "s\u0000")]
)
def test_everything_else_is_refused(given: tuple[str, str] | None) -> None:
    assert not is_source(CONFIG, "/x", given)
    assert not is_admin(CONFIG, given)


@pytest.mark.parametrize("line", ["pw", "pw:#1", "pw:#12", "dj:pw", "dj:pw:#2", "the dj:pw:#1", ":pw"])
def test_a_shoutcast_password_may_come_with_a_name_and_a_number(line: str) -> None:
    config = loads('[authentication]\nsource_password = "pw"\n', {}, "test")
    assert shoutcast_credentials(config, "/x", line) == ("source", "pw")


@pytest.mark.parametrize("line", ["a:b", "a:b:#1", "dj:a:b:#1", "dj:a:b"])
def test_a_shoutcast_password_may_have_colons(line: str) -> None:
    config = loads('[authentication]\nsource_password = "a:b"\n', {}, "test")
    assert shoutcast_credentials(config, "/x", line) == ("source", "a:b")


@pytest.mark.parametrize("line", ["", "p", "pw2", "pw:", "pw:#", "pw:#x", "dj:p", "pw:dj", "#1", ":#1", "dj:pw#1"])
def test_no_part_of_a_shoutcast_password_is_enough(line: str) -> None:
    config = loads('[authentication]\nsource_password = "pw"\n', {}, "test")
    assert shoutcast_credentials(config, "/x", line) is None
