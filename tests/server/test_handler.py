"""A request does no harm to the node, even if it runs into a bug of the server."""

from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.balance.admission import Slot
from pycast.config.load import loads
from pycast.server.handler import refuse_page, serve_http, serve_kept_page
from pycast.stats.snapshot import NodeSnapshot
from pycast.stream.fanout import Fanout
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.server.contexts import connect_tcp as pair
from tests.server.contexts import make_bench, read_all

TOML = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[limits]\nclient_timeout = 0.2\n[logging]\naccess_log = ""\n'
LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"
SOURCE = b"SOURCE /x HTTP/1.0\r\n" + LOGIN + b"Content-Type: text/plain\r\n\r\n"


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(loads(TOML, {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(node: Node, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5)
    sock.sendall(data)
    return sock


def ask(node: Node, data: bytes) -> bytes:
    """Returns the whole answer."""
    with connect(node, data) as sock:
        answer = b""
        while piece := sock.recv(65_536):
            answer += piece
    return answer


def fail(*args: object) -> NodeSnapshot:
    raise AssertionError("a bug")


def test_a_bug_is_answered_with_500_and_logged_once_with_its_traceback(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node.parts.context.site.local, "snapshot", fail)
    assert ask(node, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 500 Internal Server Error\r\n")
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "GET /" in record.getMessage()
    assert ask(node, b"GET /livez HTTP/1.0\r\n\r\n").endswith(b"alive\n")
    assert "Traceback" not in capsys.readouterr().err, "gevent prints it, too"


def test_a_bug_in_the_middle_of_a_stream_puts_no_500_into_it(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Mount, "feed", fail)
    assert ask(node, SOURCE + b"audio") == b"HTTP/1.0 200 OK\r\n\r\n"
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert node.parts.context.mounts.attached("/x") is None


def test_a_bug_in_a_fan_out_drops_its_own_listeners_only(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    source = connect(node, SOURCE)
    source.recv(100)
    with monkeypatch.context() as patch:
        patch.setattr(Fanout, "_pass", fail)
        assert ask(node, b"GET /x HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 OK\r\n")
    assert len([record for record in caplog.records if record.exc_info]) == 1
    listener = connect(node, b"GET /x HTTP/1.0\r\n\r\n")
    listener.recv(10_000)
    source.sendall(b"audio")
    assert listener.recv(100) == b"audio"
    for sock in (source, listener):
        sock.close()
    wait_until(lambda: node.parts.context.admission.open == 0, "the end of all connections")


def test_a_body_that_does_not_arrive_is_answered_with_408(node: Node) -> None:
    answer = ask(node, b"POST /admin/metadata HTTP/1.0\r\nContent-Length: 10\r\n\r\nmode=")
    assert answer.startswith(b"HTTP/1.0 408 Request Timeout\r\n")


def test_100_continue_is_sent_for_a_form_if_its_sender_waits_for_it(node: Node) -> None:
    with connect(node, b"POST /admin/stats HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n") as sock:
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"x")
        assert sock.recv(100).startswith(b"HTTP/1.0 401 ")


def test_each_port_answers_what_it_serves(wait_until: WaitUntil) -> None:
    listen = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n'
    toml = TOML.replace("port = 0\n", 'port = 0\nserves = ["listeners", "health"]\n')
    toml += f'{listen}serves = ["sources"]\n{listen}serves = ["admin", "metrics"]\n'
    node = Node(loads(toml, {}, "test"), None, None, 1000)
    public, sources, admin = (port for port, _, _ in node.start().ports)
    login = b"Authorization: Basic YWRtaW46aGFja21l\r\n\r\n"  # admin:hackme
    requests = {
        SOURCE: {sources: b"200", public: b"403", admin: b"403"},
        b"GET /x HTTP/1.0\r\n\r\n": {public: b"200", sources: b"404", admin: b"404"},
        b"GET /livez HTTP/1.0\r\n\r\n": {public: b"200", sources: b"404", admin: b"404"},
        b"GET /admin/stats HTTP/1.0\r\n" + login: {admin: b"200", public: b"404", sources: b"404"},
        b"GET /admin/stats HTTP/1.0\r\n\r\n": {admin: b"401", public: b"404", sources: b"404"},
        b"GET /metrics HTTP/1.0\r\n\r\n": {admin: b"200", public: b"404", sources: b"404"},
        b"GET /admin/metadata?mount=/x HTTP/1.0\r\n" + LOGIN + b"\r\n": {
            sources: b"400",
            admin: b"400",
            public: b"404",
        },
    }
    open_socks = []
    for request, statuses in requests.items():
        for port, status in statuses.items():
            sock = socket.create_connection(("127.0.0.1", port), 5)
            open_socks.append(sock)
            sock.sendall(request)
            assert sock.recv(12)[9:] == status, (request, status)
    for sock in open_socks:
        sock.close()
    node.stop()


HEADS = {
    "navigation": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
    "other port": "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image",
    "form": "Host: radio.example\r\nOrigin: http://elsewhere.example",
    "sandbox": "Host: radio.example\r\nOrigin: null",
    "link": "Host: radio.example\r\nUser-Agent: Mozilla/5.0\r\nReferer: http://elsewhere.example/",
}
OWN_HEADS = {
    "typed": "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate",
    "own page": "Sec-Fetch-Site: same-origin\r\nOrigin: http://radio.example",
    "own form": "Host: radio.example\r\nOrigin: http://radio.example",
    "curl": "User-Agent: curl/8.0",
}
ADMIN_LOGIN = b"Authorization: Basic YWRtaW46aGFja21l\r\n"


@pytest.mark.parametrize("fields", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("login", [LOGIN, b"Authorization: Basic c291cmNlOndyb25n\r\n", b""])
def test_no_source_is_taken_from_a_foreign_page_whatever_its_password(node: Node, fields: str, login: bytes) -> None:
    for method in (b"SOURCE", b"PUT"):
        head = method + b" /x HTTP/1.1\r\n" + login + b"Content-Type: text/plain\r\n" + fields.encode() + b"\r\n\r\n"
        answer = ask(node, head)
        assert answer.startswith(b"HTTP/1.0 403 Forbidden\r\n")
        assert b"Access-Control-" not in answer
    assert node.parts.context.counters.cross_site_requests == 2
    assert node.parts.context.counters.source_client_connections == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [(fields, b"403 Forbidden") for fields in HEADS.values()] + [(fields, b"200 OK") for fields in OWN_HEADS.values()],
    ids=[*HEADS, *OWN_HEADS],
)
def test_a_command_is_carried_out_for_its_user_only(node: Node, fields: str, status: bytes) -> None:
    for method in (b"GET", b"POST"):
        head = method + b" /admin/drain HTTP/1.1\r\n" + ADMIN_LOGIN + fields.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        assert ask(node, head).startswith(b"HTTP/1.0 " + status)
    assert node.parts.context.drain.is_draining is (status == b"200 OK")


def test_answers_to_admins_cannot_be_read_by_other_sites_and_no_page_can_be_framed(node: Node) -> None:
    for path, is_public in {b"/": True, b"/status-json.xsl": True, b"/x.m3u": True, b"/admin/stats": False}.items():
        answer = ask(node, b"GET " + path + b" HTTP/1.0\r\nOrigin: http://radio.example\r\nHost: radio.example\r\n\r\n")
        assert (b"\r\nAccess-Control-Allow-Origin: *\r\n" in answer) is is_public
        assert b"\r\nX-Frame-Options: DENY\r\n" in answer
        (policy,) = [line for line in answer.split(b"\r\n") if line.startswith(b"Content-Security-Policy: ")]
        assert b"frame-ancestors 'none'" in policy
        assert b"\r\nReferrer-Policy: same-origin\r\n" in answer


HEAD = b"GET /status-json.xsl HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize("why", ["not kept", "the server stops", "not served here", "no whole head", "not HTTP"])
def test_what_has_to_go_the_long_way_is_left_as_it_was(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.web.kept.SHARE", 1e9)
    bench, (connection, peer) = make_bench(), pair()
    visitors = [] if why == "not kept" else [pair(), pair()]
    if visitors:
        serve_http(bench.context, visitors[0][0], Slot.CLIENT, HEAD)
        assert serve_kept_page(bench.context, visitors[1][0], HEAD)
    counters = bench.context.counters
    before = counters.client_connections, counters.bad_requests, len(bench.accesses)
    bench.context.site.readiness.is_stopping = why == "the server stops"
    connection.serves = frozenset({"health"}) if why == "not served here" else connection.serves
    head = {"no whole head": HEAD[:-2], "not HTTP": b"\x16\x03"}.get(why, HEAD)
    assert not serve_kept_page(bench.context, connection, head)
    assert (counters.client_connections, counters.bad_requests, len(bench.accesses)) == before
    assert not connection.given_away
    connection.close()
    for _, end in (*visitors, (connection, peer)):
        end.close()
    bench.close()


def test_a_player_that_means_the_mount_with_the_pages_name_is_not_given_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pycast.server.handler._may_be_stream", lambda context, request: request.path == "/")
    bench, (connection, peer) = make_bench(), pair()
    assert not serve_kept_page(bench.context, connection, b"GET / HTTP/1.0\r\n\r\n")
    connection.close()
    peer.close()
    bench.close()


def test_a_request_that_comes_again_is_answered_the_same_and_logged_as_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pycast.web.kept.SHARE", 1e9)
    monkeypatch.setattr("pycast.server.handler.time.time", lambda: 1e9)  # within one second
    bench, (first, end) = make_bench(), pair()
    serve_http(bench.context, first, Slot.CLIENT, HEAD)
    end.close()
    answers = []
    for number in range(3):
        connection, peer = pair()
        connection.ip = f"192.0.2.{number}"
        assert serve_kept_page(bench.context, connection, HEAD)
        answers.append(read_all(peer).partition(b"Date: ")[2].partition(b"\r\n")[2])
        peer.close()
    assert answers[0].endswith(b"}")
    assert answers == answers[:1] * 3
    assert [one.ip for one in bench.accesses[-3:]] == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert len({(one.path, one.status, one.bytes_sent, one.protocol) for one in bench.accesses}) == 1
    assert (bench.context.counters.client_connections, bench.context.site.counters.file_connections) == (4, 4)
    assert len(bench.context.answers.repeats) == 1
    bench.close()


def test_a_page_for_which_there_is_no_room_is_refused_without_a_greenlet(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, (connection, peer) = make_bench(), pair()
    assert not refuse_page(bench.context, connection, HEAD)  # there is room
    assert not connection.given_away
    monkeypatch.setattr("pycast.server.answers.MOST_WAITING", 0)
    assert not refuse_page(bench.context, connection, HEAD[:-2])
    assert refuse_page(bench.context, connection, HEAD)
    answer = read_all(peer)
    peer.close()
    assert answer.startswith(b"HTTP/1.0 503 ")
    assert b"\r\nRetry-After: 5\r\n" in answer
    assert [one.status for one in bench.accesses] == [503]
    assert bench.context.counters.refused_pages == bench.context.counters.bad_requests == 1
    bench.close()


@pytest.mark.parametrize("closed", ["no_mount = true", "allow_direct_access = false"])
def test_a_mount_that_is_only_a_fallback_is_heard_as_one_and_not_by_its_name(closed: str) -> None:
    backup = f"[[mount]]\nmount_name = '/b'\n{closed}\n[[mount]]\nmount_name = '/p/*'\n{closed}\n"
    toml = f"{TOML}{backup}[[mount]]\nmount_name = '/a'\nfallback_mount = '/b'\n"
    made = Node(loads(toml, {}, "test"), None, None, 1000)
    made.start()
    try:
        with connect(made, SOURCE.replace(b"/x", b"/b") + b"x" * 2000) as source:
            assert source.recv(100).startswith(b"HTTP/1.0 200 OK")
            for method in (b"GET", b"HEAD"):
                for path in (b"/b", b"/p/x"):
                    answer = ask(made, method + b" " + path + b" HTTP/1.0\r\n\r\n")
                    assert answer.startswith(b"HTTP/1.0 403 Forbidden\r\n"), path
            assert ask(made, b"GET /b.m3u HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404")
            assert ask(made, b"GET /nowhere HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404")
            with connect(made, b"GET /a HTTP/1.0\r\n\r\n") as listener:
                assert listener.recv(2000).startswith(b"HTTP/1.0 200 OK\r\n")
    finally:
        made.stop()


def test_an_alias_is_another_path_for_streams_pages_and_files(tmp_path: Path, wait_until: WaitUntil) -> None:
    (tmp_path / "f.txt").write_text("a file")
    pairs = {"/": "/x", "/now": "/status-json.xsl", "/f": "/f.txt", "/health": "/livez", "/a": "/admin/stats"}
    aliases = "".join(f'[[alias]]\nsource = "{source}"\ndestination = "{to}"\n' for source, to in pairs.items())
    node = Node(loads(f'{TOML}[paths]\nwebroot = "{tmp_path}"\n{aliases}', {}, "test"), None, None, 1000)
    node.start()
    try:
        with connect(node, SOURCE) as source:
            source.recv(100)
            listener = connect(node, b"GET / HTTP/1.0\r\nAccept: text/html\r\n\r\n")
            assert b"200 OK" in listener.recv(10_000)
            source.sendall(b"audio")
            wait_until(lambda: listener.recv(100) == b"audio", "the stream")
            listener.close()
            assert b'{"icestats":' in ask(node, b"GET /now HTTP/1.0\r\n\r\n")
            assert ask(node, b"GET /f?x HTTP/1.0\r\n\r\n").endswith(b"a file")
            assert ask(node, b"GET /health HTTP/1.0\r\n\r\n").endswith(b"alive\n")
            refused = ask(node, b"GET /a HTTP/1.0\r\n\r\n")
            assert refused.startswith(b"HTTP/1.0 401 ") and b"Access-Control-Allow-Origin" not in refused
            with connect(node, SOURCE.replace(b" /x ", b" /now ")) as other:  # an alias is for GET and HEAD only
                assert other.recv(100) == b"HTTP/1.0 200 OK\r\n\r\n"
    finally:
        node.stop()


def test_a_mount_on_the_air_goes_before_a_file_of_its_name_and_the_fallback_of_all_mounts_after_it(
    tmp_path: Path,
) -> None:
    for name in ("w", "y"):
        (tmp_path / name).write_text("a file")
    fallback = '[[mount]]\ntype = "default"\nfallback_mount = "/x"\n'
    node = Node(loads(f'{TOML}[paths]\nwebroot = "{tmp_path}"\n{fallback}', {}, "test"), None, None, 1000)
    node.start()
    try:
        assert ask(node, b"GET /w HTTP/1.0\r\n\r\n").endswith(b"a file")
        for path in (b"/x", b"/w"):
            source = connect(node, SOURCE.replace(b" /x ", b" " + path + b" "))
            assert source.recv(100) == b"HTTP/1.0 200 OK\r\n\r\n"
            source.sendall(b"audio" * 1000)
            with connect(node, b"GET " + path + b" HTTP/1.0\r\n\r\n") as listener:
                heard = b""
                while not heard.endswith(b"audio"):
                    heard += listener.recv(10_000)
            assert ask(node, b"GET /y HTTP/1.0\r\n\r\n").endswith(b"a file")
            source.close()
    finally:
        node.stop()


def test_configured_headers_go_with_the_statuses_they_are_for() -> None:
    toml = '[http_headers]\nX-All = "a"\nX-Some = {"404" = "b", "2*" = "c"}\n[[mount]]\nmount_name = "/x"\n'
    toml += 'max_listeners = 0\nhttp_headers = {X-Mount = "d", X-Full = {"403" = "e"}}\n'
    node = Node(loads(TOML + toml, {}, "test"), None, None, 1000)
    node.start()

    def headers(request: bytes) -> dict[bytes, bytes]:
        head = ask(node, request + b" HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[0]
        lines = (line.split(b": ") for line in head.split(b"\r\n") if line.startswith(b"X-"))
        return {name: value for name, value in lines if name in (b"X-All", b"X-Some", b"X-Mount", b"X-Full")}

    try:
        assert headers(b"GET /livez") == {b"X-All": b"a", b"X-Some": b"c"}
        assert headers(b"GET /none") == {b"X-All": b"a", b"X-Some": b"b"}
        with connect(node, SOURCE) as source:
            source.recv(1000)
            source.sendall(b"audio" * 1000)
            assert headers(b"HEAD /x") == {b"X-All": b"a", b"X-Some": b"c", b"X-Mount": b"d"}
            assert headers(b"GET /x") == {b"X-All": b"a", b"X-Full": b"e"}
    finally:
        node.stop()


def test_authentication_of_mounts_holds_for_files_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "web" / "members").mkdir(parents=True)
    for name in ("a.mp3", "favicon.ico", "p.xsl", "l.m3u", "index.html"):
        (tmp_path / "web" / "members" / name).write_text("for members")
    (tmp_path / "web" / "free").write_text("for all")
    (tmp_path / "users").write_text(f"ann:{md5(b'pw').hexdigest()}\n")
    mount = '[[mount]]\nmount_name = "/members/*"\n[mount.authentication]\ntype = "htpasswd"\n'
    mount += f'filename = "{tmp_path}/users"\n[[alias]]\nsource = "/m"\ndestination = "/members/a.mp3"\n'
    node = Node(loads(f'{TOML}[paths]\nwebroot = "{tmp_path}/web"\n{mount}', {}, "test"), None, None, 1000)
    node.start()
    login, relay = b"Authorization: Basic YW5uOnB3\r\n", b"Authorization: Basic cmVsYXk6aGFja21l\r\n"
    try:
        paths = (b"/members/a.mp3", b"/members/favicon.ico", b"/members/l.m3u", b"/m", b"/members/", b"/members/p.xsl")
        # Who may not have them learns no names either.
        missing = (b"/members/none", b"/members/none.xsl", b"/members/none.m3u")
        for path in (*paths, *missing):
            assert ask(node, b"GET " + path + b" HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 401 "), path
            assert b"for members" not in ask(node, b"GET " + path + b" HTTP/1.0\r\nRange: bytes=0-\r\n\r\n")
            for known in (login, relay):
                answer = ask(node, b"GET " + path + b" HTTP/1.0\r\n" + known + b"\r\n")
                assert answer.startswith(b"HTTP/1.0 404 ") == (path in missing), path
                assert not answer.startswith(b"HTTP/1.0 401 "), path
        guess = b"Authorization: Basic cmVsYXk6Z3Vlc3M=\r\n"
        assert ask(node, b"GET /members/a.mp3 HTTP/1.0\r\n" + guess + b"\r\n").startswith(b"HTTP/1.0 401 ")
        assert ask(node, b"GET /members HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 301 ")
        assert ask(node, b"GET /members/a.mp3 HTTP/1.0\r\n" + login + b"\r\n").endswith(b"for members")
        assert ask(node, b"GET /free HTTP/1.0\r\n\r\n").endswith(b"for all")
        assert len(node.parts.context.site.guests) == 0
    finally:
        node.stop()
