"""Tests of pycast.web.routes: every request is answered as its row says."""

from typing import Any

import pytest

from pycast.cluster.link.link import PATH as LINK_PATH
from pycast.config.values import SERVED
from pycast.errors import Refused
from pycast.http.mount_names import why_no_mount
from pycast.web.admin import FOR_MOUNT, FOR_NODE
from pycast.web.route import FORM, Access
from pycast.web.routes import (
    ALLOW,
    GROUPS,
    ROUTES,
    answer,
    check_port,
    comes_first,
    is_answered_when_full,
    is_for_shared_page,
    is_for_stream,
    is_open,
    kept_answer,
    takes_form,
)
from tests.web.sites import ADMIN, DOOR, RELAY, SOURCE, ask, make_request, make_site, refusal

PUBLIC = [route.path for route in ROUTES if route.is_public]
# What leads to the admin's pages: what people type, and the addresses of icecast-kh's frames.
TO_ADMIN = ("/admin", "/admin.html", "/adminbar.html")
RESTRICTED = [route.path for route in ROUTES if route.access is Access.ADMIN and not route.is_public]


def test_every_path_is_in_the_table_once() -> None:
    assert len({route.path for route in ROUTES}) == len(ROUTES)
    assert len({group.prefix for group in GROUPS}) == len(GROUPS)
    assert GROUPS[-1].prefix == "", "somebody answers every path"


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_public_pages_are_for_everybody_and_counted(path: str, method: str) -> None:
    site = make_site()
    assert ask(site, path, method=method).status == (302 if path in TO_ADMIN else 200)
    assert site.counters.file_connections == 1


@pytest.mark.parametrize("path", RESTRICTED)
@pytest.mark.parametrize("authorization", ["", SOURCE, RELAY, "Basic YWRtaW46d3Jvbmc=", "Basic x", "Bearer x"])
def test_admin_routes_are_refused_to_all_others(path: str, authorization: str) -> None:
    site = make_site()
    assert refusal(site, path, authorization=authorization) == (401, "You need to authenticate")
    assert site.counters.file_connections == 0


def test_without_an_admin_password_nobody_is_admin() -> None:
    site = make_site(toml="")
    assert refusal(site, "/admin/drain", authorization="Basic YWRtaW46")[0] == 401  # admin, no password


@pytest.mark.parametrize("path", [*PUBLIC, "/x", "/x.m3u", "/admin", "*"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PLAY"])
def test_other_methods_are_405_whatever_the_path(path: str, method: str) -> None:
    site = make_site()
    request = make_request("/" if path == "*" else path, method=method)
    assert not takes_form(request)
    assert refusal(site, request.target, method=method)[0] == 405
    assert site.counters.file_connections == 0


@pytest.mark.parametrize("path", ["/admin/stats", "/admin/nonsense", "/admin.cgi", "/admin/drain", "/admin/nodes"])
def test_a_405_comes_before_all_other_checks(path: str) -> None:
    assert refusal(make_site(), path, method="DELETE")[0] == 405


@pytest.mark.parametrize("path", [*(route.path for route in ROUTES), "/admin/stats", "/admin/", "/x"])
def test_a_form_is_read_where_the_table_takes_one(path: str) -> None:
    is_form = path.startswith("/admin") and path not in TO_ADMIN
    assert takes_form(make_request(path, method="POST")) is is_form
    assert not takes_form(make_request(path))
    assert all(("POST" in route.methods) is (route.methods is FORM) for route in ROUTES)


@pytest.mark.parametrize("path", ["/x", "/live.mp3", "/m3u", "/x.m3u8", "/livez/"])
def test_an_unknown_path_is_a_404(path: str) -> None:
    site = make_site()
    assert refusal(site, path, authorization=ADMIN) == (404, "The file you requested could not be found")
    assert site.counters.file_connections == 1


def test_options_are_the_same_for_every_path() -> None:
    for path in ("/", "*", "/x", "/admin/stats"):
        headers = dict(ask(make_site(), path, method="OPTIONS").headers)
        assert headers == {"Allow": ALLOW, "Content-Length": "0"}


def test_a_page_of_another_site_may_ask_for_titles() -> None:
    headers = dict(ask(make_site(), "/x", method="OPTIONS", more="Origin: https://radio.example\r\n").headers)
    assert "Icy-MetaData" in headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "path",
    [
        *(route.path for route in ROUTES if route.path != "/"),
        *(f"{group.prefix}x" for group in GROUPS if group.prefix),
        "/x.m3u",
        "/x.vclt",
    ],
)
def test_no_mount_can_have_the_path_of_a_page(path: str) -> None:
    assert why_no_mount(path)


SERVED_AT = {
    "/": "listeners",
    "/status-json.xsl": "listeners",
    "/live.mp3": "listeners",
    "/live.mp3.m3u": "listeners",
    "/nothing": "listeners",
    "/admin/streamlist.txt": "listeners admin",
    "/admin/metadata": "sources admin",
    "/admin/metadata.xsl": "sources admin",
    "/admin.cgi": "sources admin",
    "/admin/": "admin",
    "/admin/stats": "admin",
    "/admin/listclients": "admin",
    "/admin/drain": "admin",
    "/admin/nodes": "admin",
    "/admin/nonsense": "admin",
    "/metrics": "metrics",
    "/livez": "health",
    "/readyz": "health",
}


@pytest.mark.parametrize("path", SERVED_AT)
@pytest.mark.parametrize("word", SERVED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_port_answers_what_it_serves_and_nothing_else(path: str, word: str, method: str) -> None:
    request = make_request(path, method=method, authorization=ADMIN)
    if word in SERVED_AT[path].split():
        check_port(request, frozenset({word}))
        return
    with pytest.raises(Refused) as refused:
        check_port(request, frozenset(SERVED) - set(SERVED_AT[path].split()))
    assert (refused.value.status, refused.value.public) == (404, "This port does not serve that")


def test_every_row_of_the_table_is_served_by_a_port_that_serves_all() -> None:
    for path in (*(route.path for route in ROUTES), *(f"/admin/{name}" for name in FOR_NODE | FOR_MOUNT)):
        check_port(make_request(path), frozenset(SERVED))


@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_a_port_without_sources_refuses_them_whatever_the_path(method: str) -> None:
    for path in ("/live.mp3", "/livez", "/admin/stats"):
        request = make_request(path, method=method, authorization=SOURCE)
        check_port(request, frozenset({"sources"}))
        with pytest.raises(Refused) as refused:
            check_port(request, frozenset(SERVED) - {"sources"})
        assert (refused.value.status, refused.value.public) == (403, "This port takes no sources")


def test_options_are_answered_on_every_port() -> None:
    check_port(make_request("/admin/stats", method="OPTIONS"), frozenset())


@pytest.mark.parametrize(
    ("method", "path", "is_answered"),
    [
        ("GET", "/livez", True),
        ("HEAD", "/readyz", True),
        ("POST", "/admin/drain", True),
        ("OPTIONS", "/", True),
        ("OPTIONS", "/x", True),
        ("GET", "/", False),
        ("GET", "/metrics", False),
        ("GET", "/x", False),
        ("SOURCE", "/x", False),
        ("GET", "/admin/stats", False),
    ],
)
def test_a_full_server_answers_what_its_balancer_asks(method: str, path: str, is_answered: bool) -> None:
    assert is_answered_when_full(make_request(path, method=method)) is is_answered


@pytest.mark.parametrize("path", [*RESTRICTED, "/admin/stats", "/admin/killsource?mount=/live.mp3", "/admin.cgi"])
def test_pages_of_other_sites_may_not_read_what_takes_a_password(path: str) -> None:
    assert not is_open(make_request(path))
    preflight = ask(make_site(), path, method="OPTIONS", more="Origin: http://elsewhere.example\r\n")
    assert not any(name.startswith("Access-Control") for name, _ in preflight.headers)


@pytest.mark.parametrize("path", [*PUBLIC, "/live.mp3", "/live.mp3.m3u", "/nothing", "*"])
def test_pages_of_other_sites_may_read_what_is_public(path: str) -> None:
    assert is_open(make_request(path, method="OPTIONS"))
    if path != "*":
        assert not is_open(make_request(path, method="PUT"))


def test_no_command_of_an_admin_or_a_source_is_carried_out_for_a_foreign_page() -> None:
    site = make_site()
    local: Any = site.local
    commands = [
        "/admin/killsource?mount=/live.mp3",
        "/admin/killclient?mount=/live.mp3&id=1",
        "/admin/moveclients?mount=/live.mp3&destination=/live.mp3",
        "/admin/metadata?mount=/live.mp3&mode=updinfo&song=x",
        "/admin.cgi?mode=updinfo&pass=hackme&song=x&mount=/live.mp3",
        "/admin/drain?now=1",
    ]
    for target in commands:
        for method in ("GET", "POST"):
            request = make_request(target, method=method, authorization=ADMIN)._replace(is_cross_site=True)
            with pytest.raises(Refused, match="another site"):
                answer(site, request, b"", DOOR)
    assert local.orders == []
    assert site.drain.orders == []  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("head", "is_page"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"HEAD /status.xsl HTTP/1.0\r\n\r\n", True),
        (b"GET /status-json.xsl?mount=/x.mp3 HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),  # not all of it
        (b"POST / HTTP/1.1\r\n\r\n", False),
        (b"SOURCE / HTTP/1.0\r\n\r\n", False),
        (b"GET /live.mp3 HTTP/1.0\r\n\r\n", False),
        (b"GET /status.xsl.mp3 HTTP/1.0\r\n\r\n", False),
        (b"GET /statusxxsl HTTP/1.0\r\n\r\n", False),
        (b"GET /livez HTTP/1.0\r\n\r\n", False),
        (b"GET /admin/stats HTTP/1.0\r\n\r\n", False),
        (b"GET /metrics HTTP/1.0\r\n\r\n", False),
        (b"", False),
    ],
)
def test_requests_for_shared_pages_are_known_by_their_first_line(head: bytes, is_page: bool) -> None:
    assert is_for_shared_page(head) is is_page


@pytest.mark.parametrize(
    ("head", "is_stream"),
    [
        (b"GET /live.mp3 HTTP/1.0\r\n\r\n", True),
        (b"GET /live.mp3?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /a%20b HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /live.mp3 HTTP/1.1\r\nHost: x\r\n", False),  # not all of it
        (b"HEAD /live.mp3 HTTP/1.0\r\n\r\n", False),
        (b"SOURCE /live.mp3 HTTP/1.0\r\n\r\n", False),
        (f"GET {LINK_PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), False),
        (b"", False),
        *((f"GET {route.path} HTTP/1.0\r\n\r\n".encode(), route.is_shared) for route in ROUTES),
        *((f"GET {group.prefix}x HTTP/1.0\r\n\r\n".encode(), False) for group in GROUPS if group.prefix),
    ],
)
def test_players_wait_with_players_and_who_administers_or_checks_does_not(head: bytes, is_stream: bool) -> None:
    assert is_for_stream(head) is is_stream


@pytest.mark.parametrize(
    ("head", "is_first"),
    [
        *((f"GET {route.path} HTTP/1.0\r\n".encode(), route.is_answered_when_full) for route in ROUTES),
        (b"HEAD /livez?x=1 HTTP/1.1\r\n", True),
        (b"POST /admin/drain HTTP/1.1\r\n", True),
        (b"OPTIONS / HTTP/1.0\r\n", True),
        (f"GET {LINK_PATH} HTTP/1.1\r\n".encode(), True),
        (b"GET /livez.mp3 HTTP/1.0\r\n", False),
        (b"SOURCE /livez HTTP/1.0\r\n", False),
        (b"GET /liv", False),
        (b"", False),
    ],
)
def test_what_a_full_server_answers_waits_behind_nobody(head: bytes, is_first: bool) -> None:
    assert comes_first(head) is is_first


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.is_shared])
def test_a_shared_page_needs_no_waiting_once_it_is_made(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.web.kept.SHARE", 1e9)
    site, request = make_site(), make_request(path)
    assert kept_answer(site, request, DOOR) is None
    assert site.counters.file_connections == 0
    long_way = answer(site, request, b"", DOOR)
    assert kept_answer(site, request, DOOR) == long_way
    assert site.counters.file_connections == 1
