"""What proxies and balancers send about their clients, and which of them is believed: byte by byte, with plain sockets.

The proxy is 127.0.0.1 (trusted where a test says so); 127.0.0.7 is anybody else.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.deadline import quickest_s
from tests.e2e.test_tls import make_certificate
from tests.e2e.wire import Wire, ask, basic, frames, get, parse

MOUNT = "/live.mp3"
CLIENT = "203.0.113.7"
V1 = f"PROXY TCP4 {CLIENT} 192.0.2.1 51234 8000\r\n".encode()
V2 = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c cb007107 c0000201 c822 1f40")
V2_LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000")
FORGED = b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2\r\n"
STATUS = b"GET /status-json.xsl HTTP/1.0\r\n\r\n"

TRUSTING = {"listen": [{"trusted_proxies": ["127.0.0.1"]}]}
DEMANDING = {"listen": [{"proxy_protocol": True}]}
trusting = pytest.mark.pycast(**TRUSTING)
demanding = pytest.mark.pycast(**DEMANDING)


def seen_by(server: Server) -> str:
    """Returns the address in the last line of the access log."""
    server.wait_until(lambda: bool(server.access_log()), 5, "a line in the access log")
    return server.access_log()[-1].split()[0]


def requests_logged(server: Server) -> set[tuple[str, str]]:
    """Address and path of each line in the access log."""
    return {(line.split()[0], line.split()[6]) for line in server.access_log()}


def proxy_lines_in_log(server: Server, port: int = 0) -> list[str]:
    """Returns the lines of the error log about 127.0.0.1, which sends a PROXY header, complete up to now."""
    marker = b"PROXY TCP4 192.0.2.99 192.0.2.1 1 2\r\n"
    ask_from("127.0.0.1", port or server.port, marker + b"nonsense\r\n\r\n")
    server.wait_until(lambda: "! 192.0.2.99: " in server.log(), 5, "the last line of the log")
    return [line for line in server.log().splitlines() if "127.0.0.1: " in line]


def ask_from(address: str, port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0)) as sock:
        sock.sendall(data)
        answer = b""
        try:
            while more := sock.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("settings", [TRUSTING, DEMANDING], ids=["trusted", "demanded"])
def test_lb_05_client_of_a_proxy_header_is_seen(settings: dict[str, object], header: bytes) -> None:
    with Server(**settings) as server:
        assert parse(ask_from("127.0.0.1", server.port, header + STATUS)).status == 200
        assert seen_by(server) == CLIENT


@demanding
def test_lb_05_header_and_request_may_come_byte_by_byte(pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in V2 + STATUS:
            wire.send(bytes([byte]))
        assert parse(wire.read_all()).status == 200
    assert seen_by(pycast_server) == CLIENT


@trusting
def test_trusted_proxy_may_send_no_header(pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        for piece in (b"P", b"U", b"T /x HTTP/1.0\r\n\r\n"):  # it could have become PROXY
            wire.send(piece)
        assert parse(wire.read_all()).status == 401
    assert seen_by(pycast_server) == "127.0.0.1"


@trusting
def test_lb_05_header_of_an_untrusted_client_is_a_bad_request(pycast_server: Server) -> None:
    assert parse(ask_from("127.0.0.7", pycast_server.port, V1 + STATUS)).status == 400
    assert parse(ask_from("127.0.0.7", pycast_server.port, STATUS)).status == 200
    assert seen_by(pycast_server) == "127.0.0.7"


def test_lb_05_header_is_a_bad_request_where_no_proxy_is_configured(pycast_server: Server) -> None:
    assert ask(pycast_server.port, V1 + STATUS).status == 400


@pytest.mark.parametrize("settings", [TRUSTING, DEMANDING], ids=["trusted", "demanded"])
@pytest.mark.parametrize("header", [V1, V2, V2_LOCAL], ids=["v1", "v2", "local"])
def test_lb_05_forged_second_header_does_not_win(settings: dict[str, object], header: bytes) -> None:
    with Server(**settings) as server:
        assert parse(ask_from("127.0.0.1", server.port, header + FORGED + STATUS)).status == 400
        line = f"! {'127.0.0.1' if header == V2_LOCAL else CLIENT}: request: 400"
        server.wait_until(lambda: line in server.log(), 5, line)
        assert "! 198.51.100.9" not in server.log()


@demanding
@pytest.mark.parametrize(
    "begin", [STATUS, b"PROXY TCP4 nonsense\r\n" + STATUS, b"\x16\x03\x01"], ids=["request", "broken", "TLS"]
)
def test_lb_05_connection_without_a_header_is_closed_with_one_line(pycast_server: Server, begin: bytes) -> None:
    assert ask_from("127.0.0.1", pycast_server.port, begin) == b""
    (line,) = proxy_lines_in_log(pycast_server)
    assert "! 127.0.0.1: connection failed: " in line


@pytest.mark.pycast(**DEMANDING, header_timeout=0.5)
def test_lb_05_connection_that_is_silent_is_closed_in_time(pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        assert wire.read_all(3) == b""
    (line,) = proxy_lines_in_log(pycast_server)
    assert "did not begin with a PROXY header" in line


@pytest.mark.pycast(listen=[{"proxy_protocol": True, "trusted_proxies": ["127.0.0.1"]}])
def test_lb_05_only_trusted_proxies_may_send_a_required_header(pycast_server: Server) -> None:
    assert ask_from("127.0.0.7", pycast_server.port, V1 + STATUS) == b""
    assert parse(ask_from("127.0.0.1", pycast_server.port, V1 + STATUS)).status == 200
    assert seen_by(pycast_server) == CLIENT


@pytest.mark.parametrize("said", [V2_LOCAL, b"PROXY UNKNOWN\r\n", b""], ids=["v2", "v1", "nothing"])
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
@demanding
def test_lb_05_health_check_leaves_no_line_in_the_log(pycast_server: Server, said: bytes, is_reset: bool) -> None:
    for _ in range(5):
        wire = Wire(pycast_server.port).send(said)
        wire.hang_up() if is_reset else wire.close()
    assert proxy_lines_in_log(pycast_server) == []
    assert pycast_server.access_log() == []


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Server]:
    make_certificate(tmp_path, "radio.example")
    tls = {"certificate": str(tmp_path / "tls.crt"), "private_key": str(tmp_path / "tls.key")}
    port = {"tls": True, "proxy_protocol": True}
    with Server(listen=[{}, port], tls=tls) as server:
        yield server


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_lb_05_header_comes_before_tls(tls_server: Server, header: bytes) -> None:
    port = next(int(one["port"]) for one in tls_server.ready["ports"] if one["tls"])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with ExitStack() as stack:
        raw = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        raw.sendall(header)
        wire = stack.enter_context(context.wrap_socket(raw))
        wire.sendall(STATUS)
        assert wire.recv(12) == b"HTTP/1.0 200"
        while wire.recv(65536):
            pass
    assert seen_by(tls_server) == CLIENT


def test_lb_05_forged_second_header_before_tls_does_not_win(tls_server: Server) -> None:
    port = next(int(one["port"]) for one in tls_server.ready["ports"] if one["tls"])
    ask_from("127.0.0.1", port, V2 + FORGED)
    tls_server.wait_until(lambda: f"! {CLIENT}: connection failed" in tls_server.log(), 5, "the failed handshake")


def test_lb_05_health_check_of_a_tls_port_leaves_no_line_in_the_log(tls_server: Server) -> None:
    port = next(int(one["port"]) for one in tls_server.ready["ports"] if one["tls"])
    Wire(port).send(V2_LOCAL).hang_up()
    assert proxy_lines_in_log(tls_server, port) == []


def test_shoutcast_port_takes_the_header_too() -> None:
    with Server(listen=[{"proxy_protocol": True, "shoutcast_mount": MOUNT}]) as server:
        port = next(int(one["port"]) for one in server.ready["ports"] if one["shoutcast"])
        with Wire(port) as wire:
            wire.send(V2 + f"{server.source_password}\r\n".encode())
            assert wire.read_to(b"\r\n\r\n").startswith(b"OK2")
            wire.send(b"content-type:audio/mpeg\r\n\r\n" + frames(0, 4))
            server.wait_until(lambda: f"source from {CLIENT}" in server.log(), 5, "the source")


@trusting
def test_lb_06_client_of_a_trusted_proxy_is_seen_everywhere(pycast_server: Server) -> None:
    port = pycast_server.port
    with pycast_server.stream(MOUNT, headers={"X-Forwarded-For": CLIENT}, speed=0) as stream:
        stream.send(20)
        with pycast_server.listen(MOUNT, headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.8"}):
            status, clients = pycast_server.get(f"/admin/listclients?mount={MOUNT}", admin=True)
            assert (status, clients.count(b"<IP>203.0.113.8</IP>")) == (200, 1)
            stats = get(port, "/admin/stats", basic("admin", "adminpass")).body.decode()
            assert f"<source_ip>{CLIENT}</source_ip>" in stats
        pycast_server.wait_for_listeners(MOUNT, 0)
        assert get(port, "/nothing", "Forwarded: for=203.0.113.9\r\n").status == 404
    wanted = {("203.0.113.8", MOUNT), (CLIENT, MOUNT), ("203.0.113.9", "/nothing")}
    pycast_server.wait_until(lambda: wanted <= requests_logged(pycast_server), 5, "three lines in the access log")


@pytest.mark.parametrize("settings", [{}, {"listen": [{"trusted_proxies": ["192.0.2.1"]}]}])
def test_lb_06_x_forwarded_for_of_a_stranger_is_not_believed(settings: dict[str, object]) -> None:
    with Server(**settings) as server:
        assert get(server.port, "/nothing", f"X-Forwarded-For: {CLIENT}\r\n").status == 404
        assert seen_by(server) == "127.0.0.1"


@trusting
def test_client_of_a_proxy_header_cannot_forge_x_forwarded_for(pycast_server: Server) -> None:
    request = b"GET /nothing HTTP/1.0\r\nX-Forwarded-For: 198.51.100.9\r\nX-Forwarded-Proto: https\r\n\r\n"
    assert ask(pycast_server.port, V2 + request).status == 404
    assert seen_by(pycast_server) == CLIENT


@pytest.mark.pycast(listen=[{"trusted_proxies": ["127.0.0.1", "203.0.113.0/24"]}])
def test_trusted_proxy_behind_a_balancer_is_believed(pycast_server: Server) -> None:
    request = b"GET /nothing HTTP/1.0\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n"
    assert ask(pycast_server.port, V2 + request).status == 404
    assert seen_by(pycast_server) == "198.51.100.9"


def test_x_forwarded_proto_of_a_trusted_proxy_decides_the_scheme_of_playlists() -> None:
    headers = ("Host: radio.example\r\n", "X-Forwarded-Proto: https\r\n")
    with Server(**TRUSTING) as server, server.stream(MOUNT, speed=0):
        assert get(server.port, f"{MOUNT}.m3u", *headers).body == b"https://radio.example/live.mp3\r\n"
        assert get(server.port, f"{MOUNT}.m3u", headers[0]).body == b"http://radio.example/live.mp3\r\n"
    with Server() as server, server.stream(MOUNT, speed=0):
        assert get(server.port, f"{MOUNT}.m3u", *headers).body == b"http://radio.example/live.mp3\r\n"


@pytest.mark.parametrize("header", ["Via: 1.1 proxy", "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7"])
def test_lb_10_proxies_are_told_not_to_buffer_a_stream(pycast_server: Server, header: str) -> None:
    name, _, value = header.partition(": ")
    with (
        pycast_server.stream(MOUNT, speed=0) as stream,
        pycast_server.listen(MOUNT, headers={name: value}) as proxied,
        pycast_server.listen(MOUNT) as direct,
    ):
        stream.send(20)
        assert proxied.headers["X-Accel-Buffering"] == "no"
        assert proxied.headers["Cache-Control"] == "no-cache, no-store"
        one, other = ({pair for pair in heard.headers.fields if pair[0] != "Date"} for heard in (proxied, direct))
        assert (direct.status, other) == (200, one - {("X-Accel-Buffering", "no")})


@trusting
def test_lb_10_trusted_proxy_without_headers_is_told_too(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        with pycast_server.listen(MOUNT) as proxied:
            assert proxied.headers["X-Accel-Buffering"] == "no"
        with Wire(pycast_server.port) as direct:  # a player behind a balancer in TCP mode
            direct.send(V2 + f"GET {MOUNT} HTTP/1.0\r\n\r\n".encode())
            assert direct.read_head().header("X-Accel-Buffering") == ""


@pytest.mark.pycast(source_timeout=0.6)
def test_lb_08_proxied_source_without_a_body_is_explained(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, headers={"X-Forwarded-For": CLIENT}, speed=0) as stream:
        stream.wait_for_disconnect()
    explained = "came through an HTTP proxy and sent no byte"
    pycast_server.wait_until(lambda: explained in pycast_server.log(), 5, "the explanation")
    assert pycast_server.log().count(explained) == 1


@pytest.mark.pycast(source_timeout=0.6)
@pytest.mark.parametrize(("headers", "count"), [({}, 0), ({"Via": "1.1 proxy"}, 1)])
def test_lb_08_other_sources_are_not(pycast_server: Server, headers: dict[str, str], count: int) -> None:
    login, lines = basic("source", pycast_server.source_password), "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    request = f"SOURCE {MOUNT} HTTP/1.0\r\n{login}{lines}Content-Type: audio/mpeg\r\n\r\n"
    with Wire(pycast_server.port) as wire:
        wire.send(request.encode() + frames(0, count))  # at once, or it may be silent for too long in between
        wire.read_all()
    pycast_server.wait_until(lambda: "ended after" in pycast_server.log(), 5, "the end of the source")
    assert "HTTP proxy" not in pycast_server.log()


@pytest.mark.pycast(clients=3)
def test_default_check_of_haproxy_is_answered_also_when_the_server_is_full(pycast_server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Wire(pycast_server.port))
        pycast_server.wait_until(lambda: get(pycast_server.port, "/").status == 503, 5, "the server to be full")
        answers = []
        assert quickest_s(lambda: answers.append(ask(pycast_server.port, "OPTIONS / HTTP/1.0\r\n\r\n")), 1.0) < 1.0
        assert {answer.status for answer in answers} == {204}
