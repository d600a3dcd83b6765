"""Tests of pycast.cli.server_client: how a server is asked, and what is said when the answer is of no use."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import click
import pytest

from pycast.cli.server_client import _PORTS, ServerClient, UnexpectedAnswer, Unreachable
from pycast.testing import Server
from tests.net.test_certificate_files import make


class Answers(BaseHTTPRequestHandler):
    """Answers what the path says: /200, /401 …; keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str, str | None]]] = []
    connections: ClassVar[set[tuple[str, int]]] = set()

    def do_GET(self) -> None:  # the library's name
        self.asked.append((self.command, self.path, self.headers.get("Authorization")))
        self.connections.add(self.client_address)
        if "hints" in self.path:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"body")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Answers.asked, Answers.connections = [], set()
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def client(address: str, password: str | None = "pw", *, timeout_s: float = 5.0) -> ServerClient:
    return ServerClient(address, "admin", password, insecure=False, timeout_s=timeout_s)


def test_requests_carry_the_password_and_share_a_connection(address: str) -> None:
    server = client(address)
    assert (server.get("/200"), server.post("/200?now=1")) == (b"body", b"body")
    server.close()
    server.close()
    assert Answers.asked == [("GET", "/200", "Basic YWRtaW46cHc="), ("POST", "/200?now=1", "Basic YWRtaW46cHc=")]
    assert len(Answers.connections) == 1


def test_what_a_web_server_in_front_sends_before_the_answer_is_skipped(address: str) -> None:
    server = client(address)
    assert (server.get("/200?hints"), server.get("/200")) == (b"body", b"body")
    server.close()
    assert len(Answers.connections) == 1


def test_without_a_password_nobody_is_named(address: str) -> None:
    server = client(address, None)
    server.get("/200")
    server.close()
    assert not server.has_password
    assert Answers.asked == [("GET", "/200", None)]


@pytest.mark.parametrize(
    ("path", "expected", "said"),
    [
        ("/401", "streaming server", r"127\.0\.0\.1:\d+ refused the user name or the password; see \[authentication\]"),
        ("/403", "streaming server", r"127\.0\.0\.1:\d+ answered 403: body"),
        ("/429", "streaming server", "refuses logins from this address for a minute"),
        ("/404/admin/x", "streaming server", 'a port with "admin" in listen.serves'),
        ("/404?a=b", "streaming server", r"127\.0\.0\.1:\d+/404 answered 404: is that a streaming server\?"),
        ("/503", "pycast of this version", r"/503 answered 503: is that a pycast of this version\?"),
    ],
)
def test_an_answer_of_no_use_says_what_to_look_at(address: str, path: str, expected: str, said: str) -> None:
    server = client(address)
    with pytest.raises(UnexpectedAnswer, match=said):
        server.get(path, expected=expected)
    server.close()


def test_where_nothing_listens_the_systems_own_words_are_said() -> None:
    with pytest.raises(Unreachable, match=r"^no answer from http://127\.0\.0\.1:1: Connection refused$"):
        client("127.0.0.1:1").get("/")


def test_a_server_that_is_silent_is_told_by_how_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = client(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.2)
        with pytest.raises(Unreachable, match=r"^no answer from http://127\.0\.0\.1:\d+: timed out after 0\.2 s$"):
            server.get("/")
        server.close()


def test_an_address_is_http_unless_it_says_otherwise() -> None:
    assert client("radio:8000").url == "http://radio:8000"
    assert client("https://radio/").url == "https://radio"
    with pytest.raises(click.BadParameter, match="begins with http:// or https://"):
        client("ftp://radio")


@pytest.mark.parametrize("url", ["http://admin:p%40ss@{}", "admin:p%40ss@{}/"])
def test_login_in_the_url_is_used_and_not_shown(address: str, url: str) -> None:
    server = client(url.format(address), None)
    server.get("/200")
    with pytest.raises(UnexpectedAnswer, match=f"^http://{address} refused"):
        server.get("/401")
    server.close()
    assert Answers.asked[0][2] == "Basic YWRtaW46cEBzcw=="


def test_password_may_be_in_any_alphabet(address: str) -> None:
    server = client(address, "пароль")
    server.get("/200")
    server.close()
    assert Answers.asked == [("GET", "/200", "Basic YWRtaW460L/QsNGA0L7Qu9GM")]


def test_port_is_named_if_the_url_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_PORTS, "http", 1)
    monkeypatch.setattr("urllib3.poolmanager.port_by_scheme", {"http": 1})
    with pytest.raises(Unreachable, match=r"^no answer from http://127\.0\.0\.1: Connection refused on port 1, as the"):
        client("127.0.0.1").get("/")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Two ports of pycast: the first without TLS, the second with it."""
    certificate, key = make(tmp_path_factory.mktemp("tls"), "radio.example")
    with Server(listen=[{}, {"tls": True}], tls={"certificate": certificate, "private_key": key}) as server:
        yield [int(one["port"]) for one in server.ready["ports"]]


def test_https_to_a_port_without_tls_is_said_in_words(ports: list[int]) -> None:
    address = f"127.0.0.1:{ports[0]}"
    server = client(f"https://{address}")
    said = f"^no answer from https://{address}: that port does not use TLS; try http://{address}$"
    with pytest.raises(Unreachable, match=said):
        server.get("/status-json.xsl")
    server.close()


def test_http_to_a_port_of_tls_is_said_in_words(ports: list[int]) -> None:
    address = f"127.0.0.1:{ports[1]}"
    server = client(address)
    with pytest.raises(UnexpectedAnswer, match=f"^http://{address} takes TLS only: try https://{address}$"):
        server.get("/status-json.xsl")
    server.close()


def test_certificate_that_is_not_trusted_is_told_with_what_to_do(ports: list[int]) -> None:
    server = client(f"https://127.0.0.1:{ports[1]}")
    with pytest.raises(Unreachable, match=r"its certificate cannot be trusted \(self.signed certificate\); --insecure"):
        server.get("/status-json.xsl")
    server.close()


def test_server_that_hangs_up_without_an_answer_may_want_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: listening.accept()[0].close())
        thread.start()
        server = client(f"127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(
            Unreachable, match="closed the connection without an answer; if that port takes TLS, try https"
        ):
            server.get("/")
        server.close()
        thread.join()
