"""Guesses of passwords over a real port: they are few, they hold nothing, and nobody else is slowed."""

import logging
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.auth.logins import FREE, MOST, MOST_WAITING_FOR_ONE
from pycast.config.load import loads
from pycast.net.group import Group

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
shoutcast_mount = "/sc"
trusted_proxies = ["127.0.0.3"]
[authentication]
source_password = "fgQ7-vTr"
admin_password = "fgQ7-vTr"
[logging]
access_log = ""
"""
GUESSES = {
    "admin": "GET /admin/stats HTTP/1.0\r\nAuthorization: Basic {login}\r\n\r\n",
    "relay": "GET /admin/streamlist.txt HTTP/1.0\r\nAuthorization: Basic {login}\r\n\r\n",
    "title": "GET /admin/metadata?mount=/x HTTP/1.0\r\nAuthorization: Basic {login}\r\n\r\n",
    "source": "SOURCE /x HTTP/1.0\r\nAuthorization: Basic {login}\r\n\r\n",
    "put": "PUT /x HTTP/1.1\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n",
    "admin.cgi": "GET /admin.cgi?mode=updinfo&pass=guess&song=x&mount=/x HTTP/1.0\r\n\r\n",
    "viewxml": "GET /admin.cgi?mode=viewxml&pass=guess&mount=/x HTTP/1.0\r\n\r\n",
}


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(loads(TOML, {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def basic(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def ask(node: Node, request: str, ip: str = "127.0.0.1", *, next_port: bool = False) -> bytes:
    """Returns the beginning of the answer to a request from `ip`."""
    port = node.parts.context.site.address.port + next_port
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(ip, 0)) as sock:
        sock.sendall(request.encode())
        return bytes(sock.recv(1000))


def guess(node: Node, kind: str = "admin", ip: str = "127.0.0.1", head: str = "") -> bytes:
    """Returns the status of the answer to a guess."""
    request = GUESSES[kind].format(login=basic("admin", "guess")).replace("\r\n", f"\r\n{head}", 1)
    return ask(node, request, ip)[9:12]


def statistics(node: Node, ip: str) -> bytes:
    """Returns the status of the answer to the admin."""
    return ask(node, GUESSES["admin"].format(login=basic("admin", "fgQ7-vTr")), ip)[9:12]


def test_guesses_over_many_connections_are_few_and_hold_nothing(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answers: Counter[bytes] = Counter()
    guessers = Group()
    for number in range(50):
        guessers.spawn(f"guesser {number}", lambda: answers.update(guess(node) for _ in range(10)))
    others = [statistics(node, "127.0.0.2") for _ in range(10)]
    guessers.join(60)
    assert others == [b"200"] * 10, "another address is not refused meanwhile"
    assert answers == {b"401": FREE + MOST_WAITING_FOR_ONE, b"429": 500 - FREE - MOST_WAITING_FOR_ONE}
    counters = node.parts.context.counters
    assert (counters.failed_logins, counters.refused_logins) == (MOST, answers[b"429"])
    assert len(caplog.messages) <= 1 + MOST, "a line for each that was compared at most, and one for the rest"
    assert sum("failed logins" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("kind", GUESSES)
def test_each_way_of_guessing_counts(node: Node, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.auth.logins.DELAY_S", 0.0)
    assert [guess(node, kind) for _ in range(MOST + 2)] == [b"401"] * MOST + [b"429"] * 2
    assert b"Retry-After: " in ask(node, GUESSES["admin"].format(login=basic("admin", "x")))


def test_a_shoutcast_source_that_guesses_is_closed_without_an_answer(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.auth.logins.DELAY_S", 0.0)
    assert {ask(node, "guess\r\n", next_port=True) for _ in range(MOST + 2)} == {b""}
    assert node.parts.context.counters.refused_logins == 2
    assert ask(node, "fgQ7-vTr\r\n", next_port=True) == b"", "not the right one either"
    assert ask(node, "fgQ7-vTr\r\n", "127.0.0.2", next_port=True).startswith(b"OK2")


def test_behind_a_trusted_proxy_the_client_counts_and_not_the_proxy(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.auth.logins.DELAY_S", 0.0)
    for _ in range(MOST):
        assert guess(node, ip="127.0.0.3", head="X-Forwarded-For: 203.0.113.7\r\n") == b"401"
    assert guess(node, ip="127.0.0.3", head="X-Forwarded-For: 203.0.113.7\r\n") == b"429"
    assert guess(node, ip="127.0.0.3", head="X-Forwarded-For: 203.0.113.8\r\n") == b"401"
    assert guess(node, ip="127.0.0.3") == b"401"
    # Nobody else can blame an address that is not his own, or change his own for each guess.
    assert [guess(node, head=f"X-Forwarded-For: 10.0.0.{n}\r\n") for n in range(MOST + 1)][-1] == b"429"


@pytest.mark.parametrize(
    ("ip", "head", "status"),
    [
        ("127.0.0.1", "", b"200"),
        ("127.0.0.3", "", b"200"),
        ("127.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n", b"403"),  # of a proxy that is not trusted
        ("127.0.0.1", "Via: 1.1 proxy\r\n", b"403"),
        ("127.0.0.3", "X-Forwarded-For: 203.0.113.7\r\n", b"403"),
        ("127.0.0.3", "X-Forwarded-For: unknown\r\n", b"403"),
    ],
)
def test_a_known_admin_password_is_for_this_machine_alone_whatever_is_before_it(
    ip: str, head: str, status: bytes
) -> None:
    node = Node(loads(TOML.replace('admin_password = "fgQ7-vTr"', ""), {}, "test"), None, None, 1000)
    node.start()
    request = GUESSES["admin"].format(login=basic("admin", "hackme")).replace("\r\n", f"\r\n{head}", 1)
    answer = ask(node, request, ip)
    node.stop()
    assert answer[9:12] == status
    assert status == b"200" or b"Set authentication.admin_password" in answer
