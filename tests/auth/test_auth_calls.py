"""Tests of pycast.auth.auth_calls: who is asked what, with which login, and what a failure means."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pycast.auth.auth_calls import AuthCalls
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.config.mount_authentication import MountAuthentication
from pycast.net.group import Group
from pycast.stats.counters import Counters
from pycast.stream.events import SourceEnded, SourceStarted
from tests.auth.backend import YES, Backend, running
from tests.conftest import WaitUntil


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running() as made:
        yield made


@pytest.fixture
def calls() -> Iterator[AuthCalls]:
    group = Group()
    settings = Live(loads('[server]\nhostname = "radio.example"\nserver_id = "Icecast 2.4.4"\n', {}, "test"))
    made = AuthCalls(settings, lambda: 8000, Counters(), group, time.monotonic)
    yield made
    group.kill()
    made.close()


def rules(backend: Backend, **more: Any) -> MountAuthentication:
    return MountAuthentication(type="url", listener_add=backend.url("/add"), stream_auth=backend.url("/source"), **more)


def add(calls: AuthCalls, rules: MountAuthentication, given: tuple[str, str] | None = ("ann", "pw")) -> bool:
    about = calls.about(7, "/x?y=z", given, "192.0.2.7", "VLC")
    return calls.listener_add(about, "https://r/", 12, (("cookie", "c"),), rules).is_let_in


def test_listener_is_asked_about_with_all_that_is_known(calls: AuthCalls, backend: Backend) -> None:
    assert add(calls, rules(backend, header_prefix="h-"))
    assert backend.asked == [
        {
            "action": "listener_add",
            "server": "radio.example",
            "port": "8000",
            "client": "7",
            "mount": "/x?y=z",
            "user": "ann",
            "pass": "pw",
            "ip": "192.0.2.7",
            "agent": "VLC",
            "referer": "https://r/",
            "listeners": "12",
            "h-cookie": "c",
        }
    ]
    assert "User-Agent: Icecast 2.4.4" in backend.heads[0]


@pytest.mark.parametrize(
    ("configured", "in_url", "given", "sent"),
    [
        (("radio", "secret"), "", ("ann", "pw"), "cmFkaW86c2VjcmV0"),
        (("", ""), "u:p@", ("ann", "pw"), "dTpw"),
        (("", ""), "", ("ann", "pw"), "YW5uOnB3"),
        (("", ""), "", None, ""),
    ],
)
def test_login_for_the_server_is_the_configured_one_that_of_the_url_or_the_listeners(
    calls: AuthCalls,
    backend: Backend,
    configured: tuple[str, str],
    in_url: str,
    given: tuple[str, str] | None,
    sent: str,
) -> None:
    url = backend.url().replace("//", f"//{in_url}")
    user, password = configured
    add(calls, MountAuthentication(type="url", listener_add=url, username=user, password=password), given)
    head = backend.heads[0].lower()
    assert f"authorization: basic {sent}\r\n".lower() in head if sent else "authorization" not in head


@pytest.mark.parametrize(("on_failure", "is_let_in"), [("deny", False), ("allow", True)])
def test_listeners_get_what_on_failure_says_and_sources_are_refused(
    calls: AuthCalls, backend: Backend, on_failure: str, is_let_in: bool
) -> None:
    backend.answer = lambda asked: None
    given = rules(backend, on_failure=on_failure)
    assert add(calls, given) is is_let_in
    assert not calls.about_source("/x", ("source", "pw"), "192.0.2.7", given, is_admin=False).is_let_in


def test_no_is_no_whatever_on_failure_says(calls: AuthCalls, backend: Backend) -> None:
    backend.answer = lambda asked: "icecast-auth-user: 0"
    assert not add(calls, rules(backend, on_failure="allow"))


def test_source_is_asked_about_and_so_are_its_requests(calls: AuthCalls, backend: Backend) -> None:
    backend.answer = lambda asked: YES if asked["pass"] == "right" else ""
    for password, is_admin, is_right in (("right", False, True), ("right", True, True), ("wrong", False, False)):
        said = calls.about_source("/x", ("dj", password), "192.0.2.7", rules(backend), is_admin=is_admin)
        assert said.is_let_in is is_right and not said.takes_over
    assert [one.get("admin") for one in backend.asked] == [None, "1", None]
    assert {one["action"] for one in backend.asked} == {"stream_auth"}


def test_mounts_and_departures_are_told_in_their_order(
    calls: AuthCalls, backend: Backend, wait_until: WaitUntil
) -> None:
    toml = f"""[[mount]]\nmount_name = "/x"\n[mount.authentication]\ntype = "url"\n
      mount_add = "{backend.url()}"\nmount_remove = "{backend.url()}"\nlistener_remove = "{backend.url()}"\n"""
    settings = loads(toml, {}, "test").for_mount("/x")
    calls.on_source_started(SourceStarted("/x", settings, "192.0.2.9", "butt"))
    calls.listener_remove(calls.about(7, "/x", None, "192.0.2.7", ""), 12.0, 99, settings.authentication)
    calls.on_source_ended(SourceEnded("/x", settings, "192.0.2.9", "butt"))
    wait_until(lambda: len(backend.asked) == 3, "the notices")
    assert [one["action"] for one in backend.asked] == ["mount_add", "listener_remove", "mount_remove"]
    assert (backend.asked[1]["duration"], backend.asked[1]["sent"]) == ("12", "99")
    assert {(one["ip"], one["agent"]) for one in backend.asked[::2]} == {("192.0.2.9", "butt")}


def test_mount_without_such_urls_tells_nobody(calls: AuthCalls) -> None:
    settings = loads("", {}, "test").for_mount("/x")
    calls.on_source_started(SourceStarted("/x", settings))
    calls.listener_remove(calls.about(7, "/x", None, "192.0.2.7", ""), 1.0, 0, settings.authentication)
    assert len(calls._group) == 0
