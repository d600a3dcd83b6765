"""Links over real sockets: a node with the secret gets one, a stranger gets a nonce and is disconnected."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import gevent
import pytest
from gevent import socket

from pycast.cluster.link import link as links
from pycast.cluster.link.frames import Frame, Kind, LinkError, pack
from pycast.cluster.link.handshake import PROOF_SIZE, answerer_proof, caller_proof
from pycast.cluster.link.link import PATH, PROTOCOL, DialFailed, Link, asks_for_link, join_address, split_address
from pycast.http.headers import Headers
from pycast.http.request import NO_PAIRS, HeadReader, Request
from pycast.net.group import Group
from tests.cluster.hosts import Host
from tests.conftest import WaitUntil

NONCE = "0123456789abcdef" * 2


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.stop()


@pytest.fixture
def caller() -> Iterator[Host]:
    made = Host()
    yield made
    made.stop()


class Stranger:
    """A client that sends any bytes to a node's port."""

    def __init__(self, address: str, nonce: str = NONCE) -> None:
        self.socket = socket.create_connection(split_address(address))
        self.socket.settimeout(5)
        self.socket.sendall(f"GET {PATH} HTTP/1.1\r\nUpgrade: {PROTOCOL}\r\nPycast-Nonce: {nonce}\r\n\r\n".encode())

    def nonce(self) -> str:
        """Returns the nonce of the node's answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        return head.split(b"Pycast-Nonce: ")[1].split(b"\r\n")[0].decode()

    def rest(self) -> bytes:
        """Returns everything that arrives until it is disconnected."""
        found = b""
        while True:
            try:
                data = self.socket.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                self.socket.close()
                return found
            found += data


def test_a_node_with_the_secret_gets_a_link_that_carries_frames_both_ways(host: Host, caller: Host) -> None:
    def echo(link: Link, first: Frame) -> None:
        frame: Frame | None = first
        while frame is not None:
            link.write(pack(*frame))
            frame = link.read(5)

    host.serve = echo
    link = caller.connector.dial(host.address)
    for payload in (b"", b"x", b"large" * 200_000):
        link.write(pack(Kind.NOTIFY, payload))
        assert link.read(5) == (Kind.NOTIFY, payload)
    assert link.bytes_read > 1_000_000
    link.close()


@pytest.mark.parametrize("changed", [{"secret": "other", "name": "radio"}, {"secret": "secret", "name": "tv"}])
def test_another_secret_or_another_cluster_is_refused_and_the_log_says_why(
    host: Host, caller: Host, changed: dict[str, str], wait_until: WaitUntil
) -> None:
    caller.configure(**changed)
    with pytest.raises(DialFailed, match=r"cluster\.secret") as caught:
        caller.connector.dial(host.address)
    assert not caught.value.is_refused
    wait_until(lambda: host.refused == ["it does not know the cluster's secret"], "the refusal")
    assert host.links == []


def test_a_new_secret_is_used_from_the_next_link_on(host: Host, caller: Host) -> None:
    host.configure(secret="new")
    with pytest.raises(DialFailed):
        caller.connector.dial(host.address)
    caller.configure(secret="new")
    caller.connector.dial(host.address).close()


@pytest.mark.parametrize("said", [b"\0" * PROOF_SIZE, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"short", b""])
def test_a_stranger_gets_a_nonce_and_is_disconnected_in_time(
    host: Host, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "DIAL_S", 0.2)
    stranger = Stranger(host.address)
    assert stranger.nonce() not in ("", NONCE)
    stranger.socket.sendall(said)
    assert stranger.rest() == b""
    assert host.links == []


def test_a_handshake_cannot_be_replayed(host: Host) -> None:
    first = Stranger(host.address)
    proof = caller_proof("secret", "radio", NONCE, first.nonce())
    first.socket.sendall(proof)
    assert len(first.socket.recv(PROOF_SIZE)) == PROOF_SIZE
    first.socket.close()
    second = Stranger(host.address)
    second.nonce()
    second.socket.sendall(proof)
    assert second.rest() == b""


def test_the_proof_of_the_other_side_is_no_proof_of_the_caller(host: Host) -> None:
    stranger = Stranger(host.address)
    stranger.socket.sendall(answerer_proof("secret", "radio", NONCE, stranger.nonce()))
    assert stranger.rest() == b""


class Impostor:
    """A server that answers a caller without the secret; `reflects`: with the caller's own proof."""

    def __init__(self, host: Host, answer: str, *, reflects: bool = False) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self._answer = answer
        self._reflects = reflects
        host.group.spawn("impostor", self._run)

    def _run(self) -> None:
        sock, _ = self.socket.accept()
        with self.socket, sock, suppress(OSError):  # it is disconnected
            reader = HeadReader()
            while reader.feed(sock.recv(4096)) is None:
                continue
            sock.sendall(self._answer.encode())
            while self._reflects and (data := sock.recv(PROOF_SIZE)):
                sock.sendall(data)


def test_a_node_refuses_its_own_proof_from_the_other_side(caller: Host) -> None:
    impostor = Impostor(caller, f"HTTP/1.1 101 X\r\nPycast-Nonce: {NONCE}\r\n\r\n", reflects=True)
    with pytest.raises(DialFailed, match="secret"):
        caller.connector.dial(impostor.address)


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.0 404 Not Found\r\n\r\n",
        "",
        "101 \r\n",
        "x" * 20_000,
        f"HTTP/1.1 101 X\r\nPycast-Nonce: {NONCE}\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_of_the_cluster_is_a_failed_dial(caller: Host, answer: str) -> None:
    impostor = Impostor(caller, answer)
    with pytest.raises(DialFailed) as caught:
        caller.connector.dial(impostor.address)
    assert not caught.value.is_refused


def test_a_port_where_nothing_listens_refuses(host: Host, caller: Host) -> None:
    host.close_the_port()
    with pytest.raises(DialFailed) as caught:
        caller.connector.dial(host.address)
    assert caught.value.is_refused


def test_a_node_that_accepts_connections_and_sends_nothing_costs_a_second_at_most(
    caller: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "DIAL_S", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DialFailed, match="in time"):
            caller.connector.dial(f"127.0.0.1:{silent.getsockname()[1]}")


def test_a_link_that_the_other_side_closes_ends_and_one_that_is_silent_times_out(
    host: Host, caller: Host, wait_until: WaitUntil
) -> None:
    link = caller.connector.dial(host.address)
    with pytest.raises(TimeoutError):
        link.read(0.05)
    wait_until(lambda: host.links, "the link")
    host.hang_up()
    assert link.read(5) is None
    link.close()
    with pytest.raises(LinkError, match="closed by this node"):
        link.read(5)


def test_only_a_whole_request_asks_for_a_link() -> None:
    fields = (("upgrade", PROTOCOL), ("pycast-nonce", NONCE))
    request = Request("GET", PATH, PATH, NO_PAIRS, "HTTP", "1.1", Headers(fields))
    assert asks_for_link(request)
    assert not asks_for_link(request._replace(method="PUT"))
    assert not asks_for_link(request._replace(path="/x"))
    assert not asks_for_link(request._replace(headers=Headers(fields[:1])))
    assert not asks_for_link(request._replace(headers=Headers((fields[0], ("pycast-nonce", "short")))))


@pytest.mark.parametrize(("host_name", "port"), [("127.0.0.1", 8000), ("::1", 80), ("node.example", 8443)])
def test_addresses_are_split_as_they_are_joined(host_name: str, port: int) -> None:
    assert split_address(join_address(host_name, port)) == (host_name, port)


class Torrent:
    """A socket on which another node's bytes are always there, `piece` by `piece`, after `begin`."""

    def __init__(self, begin: bytes, piece: bytes) -> None:
        self.begin, self.piece = begin, piece
        self.reads = 0

    def settimeout(self, seconds: float | None) -> None:
        pass

    def recv(self, size: int) -> bytes:
        self.reads += 1
        assert self.reads < 1_000_000, "it was read for ever"
        data, self.begin = self.begin or self.piece, b""
        return data


def count_turns(group: Group) -> list[int]:
    """Returns a list whose item counts the turns that others have from now on."""
    turns = [0]

    def others() -> None:
        while True:
            gevent.sleep(0.001)
            turns[0] += 1

    group.spawn("others", others)
    return turns


def test_a_frame_that_comes_without_a_pause_holds_neither_the_loop_nor_the_reader() -> None:
    group = Group()
    turns = count_turns(group)
    link = Link(cast(socket.socket, Torrent(pack(Kind.CALL, bytes(16 << 20))[:5], b"x")))
    with pytest.raises(TimeoutError):
        link.read(0.2)
    assert turns[0] >= 10
    group.kill()


def test_frames_that_arrive_together_are_worked_on_a_few_in_a_turn() -> None:
    group = Group()
    turns = count_turns(group)
    link = Link(cast(socket.socket, Torrent(b"", pack(Kind.NOTIFY, b"") * 5000)))
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        assert link.read(5) == (Kind.NOTIFY, b"")
    assert turns[0] >= 10
    group.kill()
