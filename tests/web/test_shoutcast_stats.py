"""Tests of pycast.web.shoutcast_stats: `/admin.cgi?mode=viewxml` as scripts ask for it."""

import pytest

from pycast.stats.snapshot import ListenerSnapshot, PlayedTitle
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, DOOR, PASSWORDS, SOURCE, FakeControl, ask, make_site, refusal, text_of

VIEW = "/admin.cgi?mode=viewxml"
WITH_PORT = f'{PASSWORDS}[[listen]]\nport = 8000\nshoutcast_mount = "/live.mp3"\n'
LISTENER = ListenerSnapshot(7, "192.0.2.1", "Player", 100, 9, 0)


def site(toml: str = WITH_PORT) -> Site:
    shown = mount(title="A Song", history=(PlayedTitle(1302180341.0, "", "A Song"),))
    return make_site(FakeControl(node(shown, mount(name="/other")), (LISTENER,)), toml=toml)


@pytest.mark.parametrize(
    "login",
    ["pass=hackme", "pass=pw", "pass=hackme&mount=/live.mp3", "pass=/live.mp3:hackme", "sid=1&pass=pw&page=0"],
)
def test_password_in_the_address_shows_the_mount(login: str) -> None:
    answer = ask(site(), f"{VIEW}&{login}")
    assert answer.content_type == "text/xml; charset=utf-8"
    for part in ("<SONGTITLE>A Song<", "<HOSTNAME>192.0.2.1<", "<STREAMPATH>/live.mp3<", "<SONG><PLAYEDAT>1302180341<"):
        assert part in text_of(answer)


@pytest.mark.parametrize("login", [ADMIN, SOURCE])
def test_login_of_http_shows_it_too(login: str) -> None:
    assert "<SONGTITLE>A Song</SONGTITLE>" in text_of(ask(site(), VIEW, authorization=login))


def test_page_is_a_part() -> None:
    assert "SONGTITLE" not in text_of(ask(site(), f"{VIEW}&pass=pw&page=3"))


@pytest.mark.parametrize("target", [VIEW, f"{VIEW}&pass=wrong", f"{VIEW}&pass="])
def test_without_the_password_nothing_is_shown(target: str) -> None:
    assert refusal(site(), target)[0] == 401
    assert refusal(site(), f"{VIEW}&pass=wrong", authorization=ADMIN)[0] == 401, "the one in the address counts"


def test_mount_that_has_another_password_needs_that_one() -> None:
    own = site(f'{WITH_PORT}[[mount]]\nmount_name = "/live.mp3"\npassword = "own"\n')
    assert refusal(own, f"{VIEW}&pass=hackme")[0] == 401
    assert "A Song" in text_of(ask(own, f"{VIEW}&pass=own"))


def test_port_without_admin_does_not_know_the_admins_password() -> None:
    door = DOOR._replace(serves=frozenset({"sources"}))
    assert refusal(site(), f"{VIEW}&pass=pw", door=door)[0] == 401
    assert "A Song" in text_of(ask(site(), f"{VIEW}&pass=hackme", door=door))


def test_known_password_of_the_admin_is_taken_from_this_machine_only() -> None:
    known = site(WITH_PORT.replace('admin_password = "pw"', 'admin_password = "hackme"\nsource_password = "s"'))
    assert "A Song" in text_of(ask(known, f"{VIEW}&pass=hackme"))
    assert refusal(known, f"{VIEW}&pass=hackme", door=DOOR._replace(is_local=False))[0] == 403


def test_mount_without_a_source_is_one_that_is_off_the_air() -> None:
    text = text_of(ask(site(), f"{VIEW}&mount=/none&pass=hackme"))
    assert "<STREAMSTATUS>0</STREAMSTATUS>" in text and "<LISTENERS></LISTENERS>" in text


def test_mount_has_to_be_named_where_there_is_no_shoutcast_port() -> None:
    assert refusal(site(PASSWORDS), f"{VIEW}&pass=hackme") == (400, "unknown mountpoint")
    assert "A Song" in text_of(ask(site(PASSWORDS), f"{VIEW}&pass=hackme&mount=/live.mp3"))
