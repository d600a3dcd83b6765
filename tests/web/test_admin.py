"""Tests of pycast.web.admin: the order of checks, and what each command does."""

from base64 import b64encode
from typing import Any

import pytest

from pycast.errors import Refused
from pycast.stats.snapshot import ListenerSnapshot
from pycast.web.admin import FOR_MOUNT, FOR_NODE
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, PASSWORDS, RELAY, SOURCE, FakeControl, ask, make_site, refusal, text_of

UNKNOWN = (400, "Unrecognised command")
LOGIN = (401, "You need to authenticate")
NO_MOUNT = (400, "Source does not exist")
LISTENERS = [ListenerSnapshot(id=7, ip="127.0.0.1", user_agent="x", connected_s=1, bytes_sent=9, lag=0)]


def two_mounts() -> tuple[Site, FakeControl]:
    control = FakeControl(node(mount(), mount(name="/other")), LISTENERS)
    return make_site(control), control


# Everybody may use these.
PUBLIC = {"publicstats", "buildm3u"}
COMMANDS = sorted((FOR_NODE.keys() | FOR_MOUNT.keys()) - PUBLIC)


@pytest.mark.parametrize("query", ["", "?mount=/live.mp3", "?mount=/nowhere"])
@pytest.mark.parametrize("name", ["nonsense", "nonsense.xsl", "!POKE", "STATS.xsl"])
def test_credentials_are_asked_for_before_a_command_is_found_unknown(name: str, query: str) -> None:
    assert refusal(make_site(), f"/admin/{name}{query}") == LOGIN
    assert refusal(make_site(), f"/admin/{name}{query}", authorization=ADMIN) == UNKNOWN


@pytest.mark.parametrize("path", ["/admin/drain.xsl", "/admin/cluster.xsl", "/admin/nodes.xsl"])
def test_pages_of_ours_are_no_commands_of_icecast(path: str) -> None:
    assert refusal(make_site(), path, authorization=ADMIN) == UNKNOWN


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("authorization", ["", "Basic eDp5"])
def test_every_command_needs_credentials(command: str, authorization: str) -> None:
    site, control = two_mounts()
    for query in ("", "?mount=/live.mp3", "?mount=/nowhere"):
        assert refusal(site, f"/admin/{command}{query}", authorization=authorization) == LOGIN
    assert control.orders == []


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"history", "eventfeed"}))
@pytest.mark.parametrize("authorization", [ADMIN, SOURCE])
def test_the_mount_is_checked_after_the_credentials(command: str, authorization: str) -> None:
    is_for_servers = command == "streams"  # a source's login is not theirs
    authorization = RELAY if is_for_servers and authorization == SOURCE else authorization
    assert refusal(make_site(), f"/admin/{command}?mount=/nowhere", authorization=authorization) == NO_MOUNT


@pytest.mark.parametrize("command", sorted(set(FOR_MOUNT) - set(FOR_NODE)))
def test_a_command_for_mounts_needs_one(command: str) -> None:
    assert refusal(make_site(), f"/admin/{command}", authorization=ADMIN) == (400, "Unknown admin request")


@pytest.mark.parametrize("command", sorted(set(FOR_NODE) - set(FOR_MOUNT)))
def test_a_command_for_the_node_takes_no_mount(command: str) -> None:
    answer = refusal(make_site(), f"/admin/{command}?mount=/live.mp3", authorization=ADMIN)
    assert answer == (400, "Mount request unknown")


def test_a_source_may_do_nothing_without_its_mount() -> None:
    for command in COMMANDS:
        assert refusal(make_site(), f"/admin/{command}", authorization=SOURCE) == LOGIN


def test_a_source_may_not_touch_the_mount_of_another_one() -> None:
    site = make_site(toml=PASSWORDS + '[[mount]]\nmount_name = "/live.mp3"\npassword = "other"\n')
    assert refusal(site, "/admin/killsource?mount=/live.mp3", authorization=SOURCE) == LOGIN


def test_the_relay_gets_the_list_of_streams_and_nothing_else() -> None:
    site, _ = two_mounts()
    assert text_of(ask(site, "/admin/streamlist.txt", authorization=RELAY)) == "/live.mp3\r\n/other\r\n"
    assert ask(site, "/admin/streamlist.txt", authorization=ADMIN).status == 200
    assert refusal(site, "/admin/streamlist.txt?mount=/live.mp3", authorization=RELAY) == LOGIN
    assert refusal(site, "/admin/streamlist", authorization=RELAY) == LOGIN


def test_a_browser_that_is_refused_gets_a_page_with_the_menu_and_a_script_what_icecast_says() -> None:
    site, path = make_site(), "/admin/listclients%s?mount=/none"
    for look, accept, is_page in ((".xsl", "text/html", True), (".xsl", "*/*", False), ("", "text/html", False)):
        with pytest.raises(Refused) as raised:
            ask(site, path % look, authorization=ADMIN, more=f"Accept: {accept}\r\n")
        error = raised.value
        assert (error.status, error.public) == (400, "Source does not exist")
        assert (b"Source does not exist" in error.page and b'href="listmounts.xsl"' in error.page) is is_page


def test_a_mount_stays_in_the_list_for_slaves_while_its_fallback_plays() -> None:
    toml = PASSWORDS + '[[mount]]\nmount_name = "/secret"\nhidden = true\n'
    site = make_site(FakeControl(node(mount())), toml=toml)
    site.finder.played_by_others = lambda: ["/a", "/live.mp3", "/secret"]  # type: ignore[method-assign]
    assert text_of(ask(site, "/admin/streamlist.txt", authorization=RELAY)) == "/a\r\n/live.mp3\r\n"
    assert "?mount=/a\r\n" in text_of(ask(site, "/admin/streams", authorization=RELAY))


@pytest.mark.parametrize(
    ("path", "begin"),
    [
        ("/admin/stats", "<?xml"),
        ("/admin/stats.xml", "<?xml"),
        ("/admin/", "<!DOCTYPE html>"),
        ("/admin/stats.xsl", "<!DOCTYPE html>"),
        ("/admin/.xsl", "<!DOCTYPE html>"),
        ("/admin/stats.json", '{"icestats":'),
    ],
)
def test_stats_have_several_names_and_looks(path: str, begin: str) -> None:
    assert text_of(ask(make_site(), path, authorization=ADMIN)).startswith(begin)


def test_the_admin_alone_is_told_that_a_password_is_publicly_known() -> None:
    known = make_site(toml=PASSWORDS)
    assert "<warning>authentication.source_password is publicly known" in text_of(
        ask(known, "/admin/stats", authorization=ADMIN)
    )
    assert "<warning>" not in text_of(ask(known, "/admin/stats?mount=/live.mp3", authorization=SOURCE))
    mine = "kd83-Lq0f-Tz"
    passwords = "".join(f'{who}_password = "{mine}"\n' for who in ("admin", "relay", "source"))
    own = make_site(toml=f"[authentication]\n{passwords}")
    login = "Basic " + b64encode(f"admin:{mine}".encode()).decode()
    assert "<warning>" not in text_of(ask(own, "/admin/stats", authorization=login))


@pytest.mark.parametrize(
    ("command", "order"),
    [
        ("killsource?mount=/live.mp3", ("kill source", "/live.mp3")),
        ("killclient?mount=/live.mp3&id=7", ("kill", "/live.mp3", 7)),
        ("moveclients?mount=/live.mp3&destination=/other", ("move", "/live.mp3", "/other")),
        ("metadata?mount=/live.mp3&mode=updinfo&song=a+-+b", ("title", "/live.mp3", "", "a - b", "")),
        ("metadata?mount=/live.mp3&mode=updinfo&artist=a&title=b&url=u", ("title", "/live.mp3", "a", "b", "u")),
        ("metadata?mount=/live.mp3&mode=updinfo&song=%e9&charset=latin1", ("title", "/live.mp3", "", "é", "")),
        ("metadata?mount=/live.mp3&mode=updinfo&song=a+-+b&artist=a&title=b", ("title", "/live.mp3", "a", "b", "")),
        ("metadata?mount=/live.mp3&mode=updinfo&song=a+-+b&title=b", ("title", "/live.mp3", "", "a - b", "")),
    ],
)
@pytest.mark.parametrize("authorization", [ADMIN, SOURCE])
def test_a_command_orders_what_it_says(command: str, order: tuple[object, ...], authorization: str) -> None:
    site, control = two_mounts()
    assert ask(site, f"/admin/{command}", authorization=authorization).status == 200
    assert control.orders == [order]


@pytest.mark.parametrize(
    ("command", "public"),
    [
        ("killclient?mount=/live.mp3", "Missing parameter"),
        ("metadata?mount=/live.mp3", "Missing parameter"),
        ("metadata?mount=/live.mp3&mode=updinfo", "Missing parameter"),
        ("moveclients?mount=/live.mp3&destination=/nowhere", "No such destination"),
        ("moveclients?mount=/live.mp3&destination=", "No such destination"),
        ("moveclients?mount=/live.mp3&destination=other", "No such destination"),
        ("moveclients?mount=/live.mp3&destination=/live.mp3", "supplied mountpoints are identical"),
    ],
)
def test_a_missing_parameter_is_named(command: str, public: str) -> None:
    site, control = two_mounts()
    assert refusal(site, f"/admin/{command}", authorization=ADMIN) == (400, public)
    assert control.orders == []


HIDDEN = (
    PASSWORDS
    + """
[[mount]]
mount_name = "/secret"
hidden = true
password = "own"
[[mount]]
mount_name = "/mine"
hidden = true
"""
)


def hidden_mounts() -> tuple[Site, FakeControl]:
    """A node with a public mount, a hidden one of the same source's, and a hidden one of another's."""
    mine = mount(name="/mine", hidden=True, fallback="/secret")
    control = FakeControl(node(mount(fallback="/secret"), mine, mount(name="/secret", hidden=True)), LISTENERS)
    return make_site(control, toml=HIDDEN), control


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [(ADMIN, {"/mine", "/secret"}), (SOURCE, {"/mine"})],
)
def test_a_source_is_shown_no_hidden_mount_of_another_one(authorization: str, shown: set[str]) -> None:
    site, _ = hidden_mounts()
    said = text_of(ask(site, "/admin/moveclients?mount=/live.mp3", authorization=authorization))
    assert {name for name in ("/mine", "/secret") if f'mount="{name}"' in said} == shown
    assert ("/secret" in said) is ("/secret" in shown), "as the fallback of another mount neither"


def test_a_hidden_mount_is_for_a_source_like_one_that_is_not_there() -> None:
    site, control = hidden_mounts()
    answers = {
        refusal(site, f"/admin/moveclients?mount=/live.mp3&destination={name}", authorization=SOURCE)
        for name in ("/secret", "/nowhere")
    }
    assert answers == {(400, "No such destination")}
    assert control.orders == []
    for name, authorization in (("/mine", SOURCE), ("/secret", ADMIN)):
        ask(site, f"/admin/moveclients?mount=/live.mp3&destination={name}", authorization=authorization)
    assert control.orders == [("move", "/live.mp3", "/mine"), ("move", "/live.mp3", "/secret")]


@pytest.mark.parametrize("name", ["/sw.js", "/live.mp3.m3u", "/admin/x", "/livez", "x"])
def test_listeners_are_moved_to_no_name_that_cannot_be_a_mount(name: str) -> None:
    site, control = hidden_mounts()
    status, said = refusal(site, f"/admin/moveclients?mount=/live.mp3&destination={name}", authorization=ADMIN)
    assert (status, said) == (400, "No such destination")
    assert control.orders == []


@pytest.mark.parametrize("id", ["", "x", "-1", "9" * 19, "99"])
def test_a_client_that_is_not_there_is_not_found(id: str) -> None:
    site, _ = two_mounts()
    answer = ask(site, f"/admin/killclient?mount=/live.mp3&id={id}", authorization=ADMIN)
    assert f"Client {id} not found" in text_of(answer)


def test_the_list_of_mounts_is_the_same_whichever_mount_is_named() -> None:
    site, _ = two_mounts()
    whole = text_of(ask(site, "/admin/listmounts", authorization=ADMIN))
    assert text_of(ask(site, "/admin/listmounts?mount=/live.mp3", authorization=ADMIN)) == whole


def test_parameters_may_come_in_a_form() -> None:
    site, control = two_mounts()
    ask(site, "/admin/metadata?mode=x", method="POST", body=b"mount=/other&mode=updinfo&song=s", authorization=ADMIN)
    assert control.orders == [("title", "/other", "", "s", "")]


@pytest.mark.parametrize("query", ["", "?mode=updinfo&mount=/live.mp3&song=t"])
def test_parameters_may_come_in_a_form_of_parts(query: str) -> None:
    site, control = two_mounts()
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("mount", "/other"), ("mode", "updinfo"), ("song", "Ä & b=1%"))
    )
    kind, body = "Content-Type: multipart/form-data; boundary=x\r\n", f"{parts}--x--\r\n".encode()
    ask(site, f"/admin/metadata{query}", method="POST", body=body, authorization=ADMIN, more=kind)
    assert control.orders == [("title", "/other", "", "Ä & b=1%", "")]


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "Application/JSON"])
def test_another_form_than_that_of_a_web_page_is_refused_with_the_right_one(kind: str) -> None:
    site, control = two_mounts()
    head: dict[str, Any] = {"method": "POST", "authorization": ADMIN, "more": f"Content-Type: {kind}\r\n"}
    status, public = refusal(site, "/admin/metadata", body=b"--x\r\n", **head)
    assert status == 415 and "application/x-www-form-urlencoded" in public
    assert control.orders == []
    # Programs send an empty object along with what is in the address.
    ask(site, "/admin/metadata?mount=/other&mode=updinfo&song=s", body=b"{}", **head)
    assert control.orders == [("title", "/other", "", "s", "")]


def test_scope_node_is_about_this_node_alone() -> None:
    local, everywhere = FakeControl(node(mount(name="/here"))), FakeControl(node(mount(name="/there")))
    site = make_site(local, everywhere)
    assert "/there" in text_of(ask(site, "/admin/listmounts", authorization=ADMIN))
    assert "/here" in text_of(ask(site, "/admin/listmounts?scope=node", authorization=ADMIN))
    ask(site, "/admin/killsource?mount=/here&scope=node", authorization=ADMIN)
    assert (local.orders, everywhere.orders) == ([("kill source", "/here")], [])


CGI = "/admin.cgi?mode=updinfo&song=s"


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/admin.cgi", (400, "No such action")),
        ("/admin.cgi?mode=other&pass=wrong", (400, "No such action")),
        (CGI, (400, "missing pass parameter")),
        (f"{CGI}&pass=wrong&mount=/live.mp3", LOGIN),
        (f"{CGI}&pass=hackme&mount=/nowhere", NO_MOUNT),
    ],
)
def test_admin_cgi_checks_mode_password_and_mount_in_this_order(target: str, answer: Any) -> None:
    assert refusal(make_site(), target) == answer


@pytest.mark.parametrize("login", ["pass=hackme&mount=/live.mp3", "pass=hackme", "pass=/live.mp3:hackme"])
def test_admin_cgi_sets_the_title_of_the_mount_that_is_meant(login: str) -> None:
    control = FakeControl(node(mount()))
    site = make_site(control, toml='[[listen]]\nport = 8000\nshoutcast_mount = "/live.mp3"\n')
    assert "Metadata update successful" in text_of(ask(site, f"{CGI}&{login}"))
    assert control.orders == [("title", "/live.mp3", "", "s", "")]
