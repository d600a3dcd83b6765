"""Links over real sockets: a node with the secret gets one, to the node that it has dialled and to no other. Strangers
get 403, and one who passes a handshake on between two nodes can only cut the line.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import cast

import gevent
import pytest
from gevent import socket

from pycast.cluster.link import link as links
from pycast.cluster.link.frames import Frame, Kind, LinkError, pack
from pycast.cluster.link.handshake import NodeIdentity, Opening, Step, Transcript, proof, request_proof
from pycast.cluster.link.link import (
    NODE,
    NONCE,
    PATH,
    PROOF,
    PROTOCOL,
    DialFailed,
    Link,
    asks_for_link,
    is_same_address,
    join_address,
    split_address,
)
from pycast.cluster.link.seal import Opener, Sealer
from pycast.http.headers import Headers
from pycast.http.request import NO_PAIRS, HeadReader, Request
from pycast.net.group import Group
from tests.cluster.hosts import Host, dead_port
from tests.cluster.relays import Relay
from tests.conftest import WaitUntil

PROOF_SIZE = 64


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


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay()
    yield made
    made.stop()


def request(node: str, given: str) -> bytes:
    """Returns a request for a link."""
    return f"GET {PATH} HTTP/1.1\r\nUpgrade: {PROTOCOL}\r\n{NODE}: {node}\r\n{PROOF}: {given}\r\n\r\n".encode()


class Asking:
    """A client that sends any bytes to a node's port."""

    def __init__(self, address: str, said: bytes) -> None:
        self.socket = socket.create_connection(split_address(address))
        self.socket.settimeout(5)
        self.socket.sendall(said)

    def head(self) -> dict[str, str]:
        """Returns the headers of the node's answer, and its status as "status"."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = self.socket.recv(1)
            assert data, head
            head += data
        first, *lines = head.decode().split("\r\n")
        return {"status": first.split()[1]} | dict(line.split(": ", 1) for line in lines if line)

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


def opening(host: Host, caller: str = "caller", cluster: str = "radio") -> Opening:
    return Opening(cluster, NodeIdentity(caller, f"{caller}1", "127.0.0.1:9"), host.address, "0123456789abcdef" * 2)


def asking(host: Host, secret: str = "secret", **changed: str) -> Asking:
    """Returns a client that begins a handshake with its own proof."""
    made = opening(host, **changed)
    return Asking(host.address, request(links._to_text(made), request_proof(secret, made)))


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


def test_both_ends_know_who_is_at_the_other_one(host: Host, caller: Host, wait_until: WaitUntil) -> None:
    link = caller.connector.dial(host.address)
    wait_until(lambda: host.links, "the link")
    assert link.peer == host.connector.me
    assert host.links[0].peer == caller.connector.me
    link.close()


@pytest.mark.parametrize("changed", [{"secret": "other", "name": "radio"}, {"secret": "secret", "name": "tv"}])
def test_another_secret_or_another_cluster_is_refused_and_the_log_says_why(
    host: Host, caller: Host, changed: dict[str, str], wait_until: WaitUntil
) -> None:
    caller.configure(**changed)
    with pytest.raises(DialFailed, match=r"cluster\.secret") as caught:
        caller.connector.dial(host.address)
    assert not caught.value.is_refused
    wait_until(lambda: host.refused, "the refusal")
    assert host.links == []


def test_a_new_secret_is_used_from_the_next_link_on(host: Host, caller: Host) -> None:
    host.configure(secret="new")
    with pytest.raises(DialFailed):
        caller.connector.dial(host.address)
    caller.configure(secret="new")
    caller.connector.dial(host.address).close()


# -- strangers


@pytest.mark.parametrize(
    "said",
    [
        request("e30=", "0" * PROOF_SIZE),
        request("x", "0" * PROOF_SIZE),
        request("ÿ", "0" * PROOF_SIZE),
        request(links._to_text(NodeIdentity("a", "a1", "a:1")), "0" * PROOF_SIZE),
        request(links._to_text(NodeIdentity("a" * 5000, "a1", "a:1")), "0" * PROOF_SIZE),
        request("W" * 3000, "ÿ" * PROOF_SIZE),
    ],
)
def test_a_stranger_gets_403_and_learns_nothing(host: Host, said: bytes) -> None:
    stranger = Asking(host.address, said)
    head = stranger.head()
    assert head["status"] == "403"
    assert not {NODE, NONCE, PROOF} & set(head)
    assert host.connector.me.node.encode() not in stranger.rest()
    assert host.links == []


def test_a_proof_with_another_secret_is_a_strangers(host: Host) -> None:
    stranger = asking(host, "Secret")
    assert stranger.head()["status"] == "403"
    stranger.rest()


@pytest.mark.parametrize("said", [b"\0" * PROOF_SIZE, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"short", b""])
def test_without_the_last_proof_there_is_no_link(
    host: Host, said: bytes, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(links, "DIAL_S", 0.2)
    client = asking(host)
    assert client.head()["status"] == "101"
    client.socket.sendall(said)
    assert client.rest() == b""
    wait_until(lambda: host.refused, "the refusal")
    assert host.links == []


def last_proof(host: Host, head: dict[str, str]) -> bytes:
    """Returns what the caller of `asking` has to send last."""
    transcript = Transcript(opening(host), host.connector.me, head[NONCE])
    return proof("secret", Step.CALLER, transcript).encode()


def test_the_answerers_proof_and_nonce_are_good_for_one_connection_only(host: Host) -> None:
    first = asking(host)
    good = last_proof(host, first.head())
    second = asking(host)
    assert last_proof(host, second.head()) != good
    second.socket.sendall(good)
    assert second.rest() == b""
    assert host.links == []
    first.socket.sendall(good)  # the one that it was made for
    with gevent.Timeout(5):
        while not host.links:
            gevent.sleep(0.01)
    first.socket.close()


def test_a_proof_that_comes_too_late_is_none(
    host: Host, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(links, "DIAL_S", 0.1)
    late = asking(host)
    good = last_proof(host, late.head())
    wait_until(lambda: host.refused, "the end of the wait")
    with suppress(OSError):
        late.socket.sendall(good)
    assert late.rest() == b""
    assert host.links == []


def test_the_proof_of_another_step_is_no_proof_of_the_caller(host: Host) -> None:
    client = asking(host)
    client.socket.sendall(client.head()[PROOF].encode())
    assert client.rest() == b""
    assert host.links == []


# -- a man in the middle, who has the address that a node dials


def test_a_handshake_is_not_passed_on_to_a_node_with_another_address(host: Host, caller: Host, relay: Relay) -> None:
    """The address of a node that is gone belongs to somebody else, who passes everything on to a third one."""
    relay.to = host.address
    with pytest.raises(DialFailed, match="advertises") as caught:
        caller.connector.dial(relay.address)
    assert caught.value.leads_to == host.connector.me
    assert host.links == []
    assert len(relay.sent) == 1  # the request: nothing else came from the caller


def test_a_handshake_is_not_passed_back_to_the_node_that_has_begun_it(caller: Host, relay: Relay) -> None:
    relay.to = caller.address
    with pytest.raises(DialFailed) as caught:
        caller.connector.dial(relay.address)
    assert caught.value.leads_to == caller.connector.me
    assert caller.links == []
    # Nor if it dials the very address that it advertises.
    caller.is_node(replace(caller.own.now, address=relay.address))
    with pytest.raises(DialFailed):
        caller.connector.dial(relay.address)
    assert caller.links == []


def test_a_recorded_link_cannot_be_replayed(host: Host, caller: Host, relay: Relay, wait_until: WaitUntil) -> None:
    taken: list[Frame] = []
    host.serve = lambda link, first: taken.append(first)
    between(host, relay)
    link = caller.connector.dial(relay.address)
    link.write(pack(Kind.NOTIFY, b"an order"))
    wait_until(lambda: taken, "the order")
    link.close()
    replayed = Asking(host.address, b"".join(relay.sent))
    assert replayed.head()["status"] == "101"
    assert replayed.rest() == b""
    assert len(taken) == len(host.links) == 1


def between(host: Host, relay: Relay) -> None:
    """Puts `relay` before `host`, which advertises its address, as with a mapped port: every handshake succeeds."""
    relay.to = host.address
    host.is_node(replace(host.own.now, address=relay.address))


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


FRAME = pack(Kind.NOTIFY, b"an order of somebody else")


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda relay: relay.inject_upward(FRAME), id="a frame of his own"),
        pytest.param(lambda relay: relay.inject_upward(Sealer(b"guessed").seal(FRAME)), id="sealed with a guess"),
        pytest.param(lambda relay: relay.inject_upward(relay.sent[-1]), id="an old one again"),
        pytest.param(lambda relay: relay.inject_upward(relay.answered[-1]), id="one of the other direction"),
        pytest.param(lambda relay: setattr(relay, "upward", changed), id="one that is changed"),
        pytest.param(lambda relay: setattr(relay, "upward", lambda data: b""), id="one that is left out"),
    ],
)
def test_nothing_can_be_added_to_a_link_that_was_passed_on(
    host: Host, caller: Host, relay: Relay, attack: object, wait_until: WaitUntil
) -> None:
    assert callable(attack)
    taken: list[Frame] = []

    def serve(link: Link, first: Frame) -> None:
        frame: Frame | None = first
        while frame is not None:
            taken.append(frame)
            link.write(pack(Kind.REPLY, b"done"))
            frame = link.read(5)

    host.serve = serve
    between(host, relay)
    link = caller.connector.dial(relay.address)
    link.write(pack(Kind.NOTIFY, b"one"))
    assert link.read(5) == (Kind.REPLY, b"done")
    attack(relay)
    passed = len(relay.sent)
    with suppress(OSError):  # it may be closed already
        link.write(pack(Kind.NOTIFY, b"two"))
        wait_until(lambda: len(relay.sent) > passed, "it to arrive at the relay")
        relay.upward = lambda data: data
        link.write(pack(Kind.NOTIFY, b"three"))
    wait_until(lambda: host.refused, "the end of the link")
    assert taken in ([(Kind.NOTIFY, b"one")], [(Kind.NOTIFY, b"one"), (Kind.NOTIFY, b"two")])
    link.close()


def test_an_answer_cannot_be_forged_either(host: Host, caller: Host, relay: Relay, wait_until: WaitUntil) -> None:
    between(host, relay)
    link = caller.connector.dial(relay.address)
    wait_until(lambda: host.links, "the link")
    relay.inject_downward(FRAME * 2)  # a whole piece, whatever its beginning says
    with pytest.raises(LinkError, match="not from the other node"):
        link.read(5)
    link.close()


class Impostor:
    """A server that answers a caller without the secret, with `answer`. The names of headers in braces in it stand for
    what the caller has sent in them, so that it gets its own proof back.
    """

    def __init__(self, host: Host, answer: str) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self._answer = answer
        host.group.spawn("impostor", self._run)

    def _run(self) -> None:
        sock, _ = self.socket.accept()
        with self.socket, sock, suppress(OSError):  # it is disconnected
            reader = HeadReader()
            while (asked := reader.feed(sock.recv(4096))) is None:
                continue
            for name in (NODE, PROOF):
                self._answer = self._answer.replace(f"{{{name}}}", asked.headers.get(name.lower()))
            sock.sendall(self._answer.encode())


KNOWN = links._to_text(NodeIdentity("b", "b1", "b:1"))


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.0 404 Not Found\r\n\r\n",
        "HTTP/1.0 503 Service Unavailable\r\n\r\n",
        "",
        "101 \r\n",
        "x" * 20_000,
        "HTTP/1.1 101 X\r\n\r\n",
        f"HTTP/1.1 101 X\r\n{NODE}: {{{NODE}}}\r\n{NONCE}: 1\r\n{PROOF}: {{{PROOF}}}\r\n\r\n",
        f"HTTP/1.1 101 X\r\n{NODE}: {KNOWN}\r\n{NONCE}: 1\r\n{PROOF}: {{{PROOF}}}\r\n\r\n",
        f"HTTP/1.1 421 X\r\n{NODE}: {KNOWN}\r\n{NONCE}: 1\r\n{PROOF}: {{{PROOF}}}\r\n\r\n",
        f"HTTP/1.1 101 X\r\n{NODE}: {KNOWN}\r\n{NONCE}: 1\r\n{PROOF}: {'0' * PROOF_SIZE}\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_of_the_cluster_is_a_failed_dial(caller: Host, answer: str) -> None:
    impostor = Impostor(caller, answer)
    with pytest.raises(DialFailed) as caught:
        caller.connector.dial(impostor.address)
    assert not caught.value.is_refused
    assert caught.value.leads_to is None


def test_an_answer_that_is_passed_on_with_another_status_is_refused(host: Host, caller: Host, relay: Relay) -> None:
    """The proof of "not here" is none of a link."""
    relay.to = host.address
    relay.downward = lambda data: data.replace(b"HTTP/1.0 421", b"HTTP/1.1 101")
    with pytest.raises(DialFailed, match="does not know") as caught:
        caller.connector.dial(relay.address)
    assert caught.value.leads_to is None


# -- addresses


def test_a_node_that_has_not_joined_yet_refuses_and_says_so(host: Host, caller: Host) -> None:
    host.is_node(replace(host.own.now, node="", address=""))
    with pytest.raises(DialFailed, match="not joined") as caught:
        caller.connector.dial(host.address)
    assert caught.value.leads_to is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Node-B.Example.:8000", "node-b.example:8000", True),
        ("[2001:DB8:0::2]:8000", "[2001:db8::2]:8000", True),
        ("10.0.0.1:8000", "10.0.0.1:8001", False),
        ("10.0.0.1:8000", "node-b.example:8000", False),
        ("", "", True),
        ("", "10.0.0.1:8000", False),
        ("nonsense", "10.0.0.1:8000", False),
    ],
)
def test_an_address_is_the_same_in_any_spelling(one: str, other: str, is_same: bool) -> None:
    assert is_same_address(one, other) is is_same


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "", ":8000", "x:", "x:0", "x:65536", "x:-1", "x:1e3", "x:" + "9" * 5000, "x:0000880000"]
)
def test_a_text_that_is_no_address_is_a_failed_dial(caller: Host, address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(address)
    with pytest.raises(DialFailed, match="host:port"):
        caller.connector.dial(address)


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


@pytest.fixture
def dead() -> Iterator[int]:
    with dead_port() as port:
        yield port


def resolve(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Lets each name have an address for each of these ports."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr("gevent.socket.getaddrinfo", lambda *args: found)


def test_a_name_whose_addresses_are_all_dead_costs_a_second_at_most(
    caller: Host, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "DIAL_S", 0.2)
    monkeypatch.setattr(links, "CONNECT_S", 0.1)
    resolve(monkeypatch, dead, dead, dead)
    with gevent.Timeout(5), pytest.raises(DialFailed, match="in time"):
        caller.connector.dial("name:8000")


def test_a_dead_address_of_a_name_leaves_time_for_the_next_one(
    host: Host, caller: Host, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, dead, split_address(host.address)[1])
    caller.connector.dial(host.address).close()


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
    fields = (("upgrade", PROTOCOL), (PROOF.lower(), "0" * PROOF_SIZE), (NODE.lower(), "e30="))
    asked = Request("GET", PATH, PATH, NO_PAIRS, "HTTP", "1.1", Headers(fields))
    assert asks_for_link(asked)
    assert not asks_for_link(asked._replace(method="PUT"))
    assert not asks_for_link(asked._replace(path="/x"))
    for left_out in fields:
        rest = tuple(field for field in fields if field is not left_out)
        assert not asks_for_link(asked._replace(headers=Headers(rest)))
    assert not asks_for_link(asked._replace(headers=Headers((fields[0], (PROOF.lower(), "short"), fields[2]))))


@pytest.mark.parametrize(("host_name", "port"), [("127.0.0.1", 8000), ("::1", 80), ("node.example", 8443)])
def test_addresses_are_split_as_they_are_joined(host_name: str, port: int) -> None:
    assert split_address(join_address(host_name, port)) == (host_name, port)


KEY = bytes(32)


class Torrent:
    """A socket on which another node's bytes are always there, `piece` by `piece`, after `begin`."""

    def __init__(self, begin: bytes, piece: bytes) -> None:
        self.begin, self.piece = begin, piece
        self.reads = 0
        self.sealer = Sealer(KEY)

    def settimeout(self, seconds: float | None) -> None:
        pass

    def recv(self, size: int) -> bytes:
        self.reads += 1
        assert self.reads < 1_000_000, "it was read for ever"
        data, self.begin = self.begin or self.piece, b""
        return self.sealer.seal(data)


def link_of(torrent: Torrent) -> Link:
    return Link(cast(socket.socket, torrent), NodeIdentity("b", "boot", "127.0.0.1:1"), Sealer(KEY), Opener(KEY))


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
    link = link_of(Torrent(pack(Kind.CALL, bytes(16 << 20))[:5], b"x"))
    with pytest.raises(TimeoutError):
        link.read(0.2)
    assert turns[0] >= 3
    group.kill()


def test_frames_that_arrive_together_are_worked_on_a_few_in_a_turn() -> None:
    group = Group()
    turns = count_turns(group)
    link = link_of(Torrent(b"", pack(Kind.NOTIFY, b"") * 5000))
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        assert link.read(5) == (Kind.NOTIFY, b"")
    assert turns[0] >= 3
    group.kill()
