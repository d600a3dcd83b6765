"""Tests of pycast.web.public: pages, status and playlists as a visitor gets them."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pycast.web.routes import answer
from tests.control.stage import FakeMirrors, stage
from tests.stats.snapshots import mount, node
from tests.web.sites import DOOR, FakeControl, ask, make_request, make_site, refusal, text_of

HOST = "Host: radio.example:8080\r\n"
TWO = node(mount(), mount(name="/other", server_name="Other"), mount(name="/secret", hidden=True))


@pytest.mark.parametrize("path", ["/", "/status.xsl"])
def test_the_page_shows_all_mounts_but_hidden_ones(path: str) -> None:
    page = text_of(ask(make_site(FakeControl(TWO)), path))
    assert "/live.mp3" in page and "/other" in page and "/secret" not in page


@pytest.mark.parametrize("path", ["/status.xsl?mount=/other", "/status-json.xsl?mount=/other"])
def test_one_mount_can_be_asked_for(path: str) -> None:
    page = text_of(ask(make_site(FakeControl(TWO)), path))
    assert "/other" in page and "/live.mp3" not in page


@pytest.mark.parametrize(
    ("toml", "user"),
    [
        ("", "source"),
        ('[authentication]\nsource_user = "studio"\n', "USER"),
        ('[[mount]]\nmount_name = "/live.mp3"\nusername = "studio"\n', "USER"),
        ('[[mount]]\ntype = "default"\nusername = "studio"\n', "USER"),
        ('[[mount]]\nmount_name = "/other"\nusername = "studio"\n', "source"),
    ],
)
def test_empty_page_names_no_user_but_the_usual_one(toml: str, user: str) -> None:
    page = text_of(ask(make_site(FakeControl(node()), toml=toml), "/"))
    assert f"icecast://{user}:" in page and f"<dt>User</dt><dd>{user}</dd>" in page
    assert "studio" not in page and ("<mark>USER</mark>" in page) == (user == "USER")


def test_status_is_of_the_cluster_or_of_this_node_alone() -> None:
    site = make_site(FakeControl(node(mount(name="/here"))), FakeControl(node(mount(name="/there"))))
    for path in ("/", "/status-json.xsl"):
        assert "/there" in text_of(ask(site, path))
        assert "/here" in text_of(ask(site, f"{path}?scope=node"))


def test_status_json_is_json() -> None:
    assert json.loads(text_of(ask(make_site(), "/status-json.xsl")))["icestats"]["source"]


def test_the_servers_own_page_is_about_this_node() -> None:
    site = make_site(FakeControl(replace(node(), location="Here")), FakeControl(replace(node(), location="There")))
    assert "Here" in text_of(ask(site, "/server_version.xsl"))
    assert "Here" in text_of(ask(site, "/server_version.xsl", more="Accept: text/html\r\n"))


def test_the_servers_own_page_is_icecasts_for_programs_and_ours_for_browsers() -> None:
    site = make_site()
    for accept in ("", "Accept: */*\r\n"):
        found = ask(site, "/server_version.xsl", more=accept)
        assert found.content_type == "text/xml; charset=UTF-8"
        assert '<h1 id="header">Server Information</h1>' in text_of(found)
    page = ask(site, "/server_version.xsl", more="Accept: text/html,*/*;q=0.8\r\n")
    assert page.content_type.startswith("text/html") and "<!doctype html>" in text_of(page).lower()


@pytest.mark.parametrize("path", ["/", "/status.xsl", "/server_version.xsl"])
@pytest.mark.parametrize("accept", ["", "Accept: text/html\r\n"])
def test_a_cache_keeps_what_browsers_get_from_programs(path: str, accept: str) -> None:
    assert ("Vary", "Accept") in ask(make_site(), path, more=accept).headers


def test_an_alias_of_a_mount_has_its_playlists() -> None:
    toml = '[[alias]]\nsource = "/radio"\ndestination = "/live.mp3"\n[[alias]]\nsource = "/x"\ndestination = "/none"\n'
    site = make_site(toml=toml)
    assert text_of(ask(site, "/radio.m3u")).endswith("/radio\r\n")
    assert refusal(site, "/x.m3u")[0] == 404


@pytest.mark.parametrize("kind", ["m3u", "pls", "xspf", "vclt"])
def test_a_playlist_has_the_address_by_which_the_visitor_came(kind: str) -> None:
    playlist = text_of(ask(make_site(), f"/live.mp3.{kind}", more=HOST))
    assert "http://radio.example:8080/live.mp3" in playlist


@pytest.mark.parametrize("kind", ["m3u", "pls", "xspf", "vclt"])
def test_there_is_no_playlist_of_a_mount_that_nobody_knows(kind: str) -> None:
    assert refusal(make_site(), f"/later.mp3.{kind}") == (404, "The file you requested could not be found")


@pytest.mark.parametrize("kind", ["m3u", "pls"])
def test_a_mount_that_waits_for_its_source_has_a_playlist(kind: str) -> None:
    finder: Any = SimpleNamespace(on_this_node=lambda name: None, may_be_heard=lambda name: True)
    assert "/later.mp3" in text_of(ask(make_site()._replace(finder=finder), f"/later.mp3.{kind}"))


@pytest.mark.parametrize("kind", ["m3u", "pls"])
def test_a_mount_that_another_node_has_is_in_its_playlist(kind: str) -> None:
    mirrors = FakeMirrors()
    with stage("", mirrors) as here:
        site = make_site()._replace(finder=here.finder)
        assert refusal(site, f"/there.mp3.{kind}")[0] == 404
        mirrors.live["/there.mp3"] = here.begin("/x")
        assert "http://radio.example:8080/there.mp3" in text_of(ask(site, f"/there.mp3.{kind}", more=HOST))
        assert mirrors.opened == [], "a playlist fetches no audio"


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_playlist_does_not_say_what_a_hidden_mount_is_called(is_hidden: bool) -> None:
    known = SimpleNamespace(
        settings=SimpleNamespace(hidden=is_hidden), description=SimpleNamespace(info=SimpleNamespace(name="Secret FM"))
    )
    finder: Any = SimpleNamespace(on_this_node=lambda name: known, may_be_heard=lambda name: True)
    playlist = text_of(ask(make_site()._replace(finder=finder), "/live.mp3.pls"))
    assert ("Secret FM" in playlist) is not is_hidden


@pytest.mark.parametrize("host", ["", "a b", "x/y", "x:y", "<script>", "x:123456", "[::1"])
def test_an_invalid_host_is_not_put_into_a_playlist(host: str) -> None:
    site = make_site()
    assert site.address.url in text_of(ask(site, "/live.mp3.m3u", more=f"Host: {host}\r\n"))


def test_a_visitor_over_tls_gets_tls_addresses() -> None:
    request = make_request("/live.mp3.m3u", more=HOST)._replace(scheme="https")
    assert "https://radio.example:8080/" in text_of(answer(make_site(), request, b"", DOOR))
