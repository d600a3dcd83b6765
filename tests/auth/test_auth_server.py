"""Tests of pycast.auth.auth_server: calls have limits, and a server that fails is left alone for a while."""

import logging
import socket
import time
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Pool

from pycast.auth import auth_server
from pycast.auth.auth_server import AuthServerFailed, AuthServers
from pycast.errors import Refused
from pycast.net.group import Group
from pycast.stats.counters import Counters
from tests.auth.backend import YES, Backend, running
from tests.conftest import WaitUntil
from tests.net.deaf import deaf_port


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def servers(counters: Counters, clock: Clock) -> Iterator[AuthServers]:
    group = Group()
    made = AuthServers(counters, group, clock, lambda: "Icecast 2.4.4")
    yield made
    group.kill()
    made.close()


def ask(servers: AuthServers, backend: Backend, body: bytes = b"action=a", timeout_s: float = 2.0) -> int:
    return servers.at(backend.url()).ask(backend.url(), body, None, timeout_s).status


def test_call_is_a_form_and_its_headers_are_read(servers: AuthServers, backend: Backend) -> None:
    backend.answer = lambda asked: "HTTP/1.1 403 No\r\nX-A: b"
    url = backend.url("/p/q?key=1")
    answer = servers.at(url).ask(url, b"action=a&x=%20y", None, 2.0)
    assert (answer.status, answer.get("X-a"), answer.get("none")) == (403, "b", "")
    assert backend.asked == [{"action": "a", "x": " y"}]
    [head] = backend.heads
    assert head.startswith("POST /p/q?key=1 HTTP/1.1\r\n")
    assert "User-Agent: Icecast 2.4.4\r\n" in head
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in head
    assert "uthorization" not in head


@pytest.mark.parametrize(
    ("login", "in_url", "sent"),
    [
        (("a", "b"), "", "YTpi"),
        (None, "u:p%40@", "dTpwQA=="),
        (("a", "b"), "u:p@", "YTpi"),
        (("ж", "пароль"), "", "0LY60L/QsNGA0L7Qu9GM"),
    ],
)
def test_login_is_the_given_one_or_that_of_the_url(
    servers: AuthServers, backend: Backend, login: tuple[str, str] | None, in_url: str, sent: str
) -> None:
    url = backend.url().replace("//", f"//{in_url}")
    servers.at(url).ask(url, b"action=a", login, 2.0)
    assert f"uthorization: Basic {sent}\r\n".lower() in backend.heads[0].lower()


def test_connections_are_few_and_kept(servers: AuthServers, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_server, "MOST_CALLS", 3)
    backend.delay = 0.01
    calls = [Pool().spawn(ask, servers, backend) for _ in range(12)]
    assert [call.get() for call in calls] == [200] * 12
    assert backend.most == 3


def test_connection_that_was_quiet_for_long_is_not_used_again(
    servers: AuthServers, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [ask(servers, backend) for _ in range(3)] == [200] * 3
    assert backend.connections == 1
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 60)
    assert [ask(servers, backend) for _ in range(3)] == [200] * 3
    assert backend.connections == 2


def test_connection_that_was_closed_meanwhile_is_no_failure(
    servers: AuthServers, backend: Backend, counters: Counters
) -> None:
    assert ask(servers, backend) == 200
    port = backend.port
    backend.stop()
    gevent.sleep(0.01)
    backend.start(port)
    assert ask(servers, backend) == 200
    assert counters.failed_auth_calls == 0


def test_those_who_wait_are_few(
    servers: AuthServers,
    backend: Backend,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setattr(auth_server, "MOST_WAITING", 2)
    may_answer = Event()
    backend.answer = lambda asked: YES if may_answer.wait(10) else None
    calls = [Pool().spawn(ask, servers, backend) for _ in range(2)]
    wait_until(lambda: len(backend.asked) == 2, "both to wait")
    with pytest.raises(Refused) as refused:
        ask(servers, backend)
    assert (refused.value.status, refused.value.public) == (503, "busy, please try again later")
    may_answer.set()
    assert [call.get() for call in calls] == [200, 200]
    assert counters.busy_logins == 1


def test_server_that_does_not_answer_costs_its_callers_their_time_limit_and_no_more(
    servers: AuthServers, backend: Backend, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth_server, "MOST_CALLS", 1)
    backend.delay = 30.0
    calls = [Pool().spawn(ask, servers, backend, b"action=a", 0.1) for _ in range(3)]
    with gevent.Timeout(5):
        for call in calls:
            with pytest.raises(AuthServerFailed, match=r"no answer within 0\.1 s"):
                call.get()
    assert counters.failed_auth_calls == 3


def test_server_that_is_down_is_asked_again_by_one_after_a_while(
    servers: AuthServers,
    backend: Backend,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    caplog.set_level(logging.WARNING)
    backend.answer = lambda asked: None
    for _ in range(auth_server.FAILURES):
        with pytest.raises(AuthServerFailed):
            ask(servers, backend)
    before = len(backend.asked)
    for _ in range(5):
        with pytest.raises(AuthServerFailed, match="down"):
            ask(servers, backend)
    assert len(backend.asked) == before, "nobody asked it meanwhile"
    may_answer = Event()
    backend.answer = lambda asked: YES if may_answer.wait(10) else None
    clock.now += auth_server.PAUSE_S
    first = Pool().spawn(ask, servers, backend)
    wait_until(lambda: len(backend.asked) > before, "the one who asks again")
    with pytest.raises(AuthServerFailed, match="down"):
        ask(servers, backend)
    may_answer.set()
    assert first.get() == 200
    assert ask(servers, backend) == 200
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"], "a line for each change"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "https://127.0.0.1:1/"])
def test_server_that_is_not_there_is_a_failure(servers: AuthServers, url: str) -> None:
    with pytest.raises(AuthServerFailed):
        servers.at(url).ask(url, b"action=a", None, 2.0)


def test_dead_address_of_the_server_keeps_nobody_from_the_living_one(
    servers: AuthServers, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deaf_port() as deaf:
        found = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (deaf, backend.port)]
        monkeypatch.setattr("gevent.socket.getaddrinfo", lambda *asked: found)
        backend.is_closing = True
        assert [ask(servers, backend, timeout_s=2.0) for _ in range(3)] == [200, 200, 200]
    assert backend.connections == 3


def test_address_that_takes_connections_and_is_silent_is_not_asked_first_again(
    servers: AuthServers, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (silent.getsockname()[1], backend.port)]
        monkeypatch.setattr("gevent.socket.getaddrinfo", lambda *asked: found)
        with pytest.raises(AuthServerFailed):
            ask(servers, backend, timeout_s=0.2)
        assert [ask(servers, backend, timeout_s=10.0) for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("junk", ["HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 500, "nonsense", "HTTP/9 x\r\na: b"])
def test_answer_that_is_none_is_a_failure(servers: AuthServers, backend: Backend, junk: str) -> None:
    backend.answer = lambda asked: junk if junk.startswith("HTTP") else "HTTP/\r\n" + junk
    with pytest.raises(AuthServerFailed):
        ask(servers, backend)


@pytest.mark.parametrize("hints", ["100 Continue", "103 Early Hints\r\nLink: </a.css>; rel=preload", "102 Processing"])
def test_what_comes_before_an_answer_is_not_taken_for_it(servers: AuthServers, backend: Backend, hints: str) -> None:
    verdicts = iter(["1", "0", "1"])
    backend.answer = lambda asked: f"HTTP/1.1 {hints}\r\n\r\nHTTP/1.1 200 OK\r\nicecast-auth-user: {next(verdicts)}"
    server = servers.at(backend.url())
    answers = [server.ask(backend.url(), b"action=a", None, 10.0) for _ in range(3)]
    assert [(one.status, one.get("icecast-auth-user")) for one in answers] == [(200, "1"), (200, "0"), (200, "1")]


@pytest.mark.parametrize("line", ["icecast-auth-user : 1", "PHP Notice of something"])
def test_head_that_is_broken_is_a_failure_with_its_reason(
    servers: AuthServers, backend: Backend, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend.answer = lambda asked: f"{line}\r\n{YES}"
    with pytest.raises(AuthServerFailed, match="no header field"):
        ask(servers, backend, timeout_s=10.0)
    assert [record.name for record in caplog.records] == [auth_server.__name__], "one line, and no traceback"


@pytest.mark.parametrize("rest", ["Transfer-Encoding: chunked\r\n", "no header field\r\n"])
def test_call_that_is_answered_badly_is_made_once(servers: AuthServers, backend: Backend, rest: str) -> None:
    backend.answer = lambda asked: f"{rest}{YES}"
    backend.is_closing = True
    with pytest.raises(AuthServerFailed):
        ask(servers, backend, timeout_s=10.0)
    assert len(backend.asked) == 1


def test_headers_are_text_in_utf8(servers: AuthServers, backend: Backend) -> None:
    backend.answer = lambda asked: f"{YES}\r\nice-username: J\xfcrgen \u2116 1\r\nicecast-auth-message: \xc5\u0445"
    answer = servers.at(backend.url()).ask(backend.url(), b"action=a", None, 10.0)
    assert (answer.get("ice-username"), answer.get("icecast-auth-message")) == ("J\xfcrgen \u2116 1", "\xc5\u0445")


def test_failure_shows_no_password(servers: AuthServers, caplog: pytest.LogCaptureFixture) -> None:
    url = "http://user:geheim@127.0.0.1:1/?token=geheim"
    with pytest.raises(AuthServerFailed):
        servers.at(url).ask(url, b"action=a", None, 2.0)
    assert "geheim" not in caplog.text and "http://127.0.0.1:1" in caplog.text


def test_notices_are_sent_one_after_the_other_and_nobody_waits(
    servers: AuthServers, backend: Backend, wait_until: WaitUntil
) -> None:
    for number in range(20):
        servers.at(backend.url()).tell(backend.url(), f"action=n&n={number}".encode(), None, 2.0)
    assert backend.asked == []
    wait_until(lambda: len(backend.asked) == 20, "the notices")
    assert [one["n"] for one in backend.asked] == [str(number) for number in range(20)]
    assert backend.most == 1


def test_notices_that_are_too_many_or_not_taken_are_counted(
    servers: AuthServers,
    backend: Backend,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(auth_server, "MOST_NOTICES", 2)
    backend.answer = lambda asked: None
    for _ in range(5):
        servers.at(backend.url()).tell(backend.url(), b"action=n", None, 2.0)
    assert counters.auth_notices_lost == 3
    assert caplog.text.count("more slowly") == 1
    wait_until(lambda: counters.auth_notices_lost == 5, "the two that failed")


def test_servers_are_told_apart_by_scheme_host_and_port(servers: AuthServers) -> None:
    same = {servers.at(url) for url in ("http://a/x", "http://A/y?z", "http://u:p@a/")}
    assert len(same) == 1
    assert len({servers.at(url) for url in ("http://a/", "https://a/", "http://a:81/", "http://b/")} | same) == 4


@pytest.mark.parametrize(("value", "heard"), [("withintro", 3000), ("1", 0)])
def test_body_is_kept_only_if_it_is_to_be_heard(servers: AuthServers, backend: Backend, value: str, heard: int) -> None:
    backend.answer, backend.body = lambda asked: f"icecast-auth-user: {value}", b"x" * 3000
    for _ in range(2):
        assert servers.at(backend.url()).ask(backend.url(), b"action=a", None, 2.0).body == b"x" * heard


def test_body_to_be_heard_is_cut_where_it_is_too_long(
    servers: AuthServers, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth_server, "MOST_INTRO", 1000)
    backend.answer, backend.body = lambda asked: "icecast-auth-user: withintro", b"x" * 3000
    assert len(servers.at(backend.url()).ask(backend.url(), b"action=a", None, 2.0).body) == 1000
    assert ask(servers, backend) == 200
