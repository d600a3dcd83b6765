"""Logins of Icecast 2.5's roles come over, can do no more than there, and close nothing."""

import random

import pytest

from pycast.config.icecast_settings import Host
from pycast.config.icecast_xml import convert
from pycast.config.load import loads
from tests.config.imports import run

LEGACY = 'deny-method="*" allow-method="get,options" allow-web="*" deny-admin="*" allow-admin="streamlist.txt"'
"""What Icecast 2.5 makes of a <relay-password>."""

SOURCE = 'deny-method="*" allow-method="get,options,post,source,put,delete" deny-web="*" allow-admin="*"'
"""What it makes of a <source-password>."""


def role(attributes: str, user: str = "joe", password: str = "geheim") -> str:
    options = f'<option name="username" value="{user}"/><option name="password" value="{password}"/>'
    return f'<role type="static" name="x" {attributes}>{options}</role>'


def logins(*roles: str, more: str = "") -> tuple[dict[str, str], list[str]]:
    """The logins that come out, without the random ones, and the notes on what did not come over."""
    xml = f"<icecast><authentication>{''.join(roles)}{more}</authentication></icecast>"
    result = convert(xml.encode(), Host(random.Random(1)))
    notes = [str(note) for note in result.notes if "random one does the same" not in str(note)]
    assert "geheim" not in " ".join(notes)
    given = loads(result.toml, {}, "f").authentication.given
    return {key: value for key, value in given.items() if value in ("joe", "geheim", "ann")}, notes


@pytest.mark.parametrize(
    ("attributes", "who"),
    [
        (LEGACY, "relay"),
        (SOURCE, "source"),
        ('allow-method="source, put"', "source"),
        ('allow-all="*"', "admin"),
        ('id="3" deny-method="*" allow-method="get,post" allow-admin="*"', "admin"),
    ],
)
def test_login_is_that_of_an_admin_of_other_servers_or_of_sources(attributes: str, who: str) -> None:
    found, notes = logins(role(attributes))
    assert (found.get(f"{who}_user"), found.get(f"{who}_password"), len(found)) == ("joe", "geheim", 2)
    assert notes == []


@pytest.mark.parametrize(
    ("attributes", "password", "why"),
    [
        ("", "geheim", "its login is none of"),
        (LEGACY + ' match-origin="http://x"', "geheim", "its login is none of"),
        ('allow-admin="*" deny-admin="manageauth"', "geheim", "its login is none of"),
        ('allow-all="*" deny-admin="*"', "geheim", "its login is none of"),
        ('allow-all="*" deny-method="*"', "geheim", "its login is none of"),
        (LEGACY, "$6$geheim", "its password is kept as a hash"),
        (LEGACY, "d41d8cd98f00b204e9800998ecf8427e", "its password is kept as a hash"),
        (LEGACY, "${NONE}", "NONE"),
    ],
)
def test_login_that_can_do_less_or_is_a_hash_is_left_out(attributes: str, password: str, why: str) -> None:
    found, [note] = logins(role(attributes, password=password))
    assert found == {} and why in note


def test_first_login_of_a_kind_counts() -> None:
    found, [note] = logins(role(LEGACY), role(LEGACY, "ann"))
    assert found["relay_user"] == "joe" and "there is one login of this kind" in note


def test_password_of_an_older_version_counts_before_a_role() -> None:
    found, [note] = logins(role(LEGACY), more="<relay-password>older</relay-password>")
    assert found == {} and "the file has another relay_password" in note


def test_mounts_stay_open_beside_logins_and_closed_beside_other_roles() -> None:
    for roles, most in ((role(LEGACY), -1), (role(LEGACY) + '<role type="anonymous" deny-all="*"/>', 0)):
        result = run(f"<mount><mount-name>/a</mount-name></mount><authentication>{roles}</authentication>")
        assert loads(result.toml, {}, "f").for_mount("/a").max_listeners == most
