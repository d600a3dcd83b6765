"""At every moment a mount is fed by one source at most, and never by one that was ended."""

import gc
import logging
import select
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import gevent
import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.http.body import RawBody
from pycast.server import sources
from pycast.server.sources import LAST_BYTES, PIECE_SIZE, ConnectedSource, describe_source
from pycast.stream.pacer import LONGEST_READ_WAIT_S, SHORTEST_S
from pycast.stream.source import SOURCE_SILENT_S, Source, SourceDescription, SourceState
from tests.conftest import WaitUntil
from tests.server.contexts import connect as connect_pair
from tests.server.contexts import make_bench
from tests.web.sites import make_request

TOML = (
    '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\nshoutcast_mount = "/sc"\n'
    '[limits]\nclients = 1\nsource_timeout = 5\n[logging]\naccess_log = ""\n'
)
LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"
OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(loads(TOML.replace("clients = 1", "clients = 50"), {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(port: int, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.sendall(data)
    return sock


def shoutcast_port(node: Node) -> int:
    return next(one.port for one in node._ports.acceptors if one.endpoint.mount)


def source(node: Node, mount: bytes = b"/x", method: bytes = b"SOURCE", more: bytes = b"") -> socket.socket:
    head = method + b" " + mount + b" HTTP/1.1\r\n" + LOGIN + b"Content-Type: text/plain\r\n" + more + b"\r\n"
    return connect(node.parts.context.site.address.port, head)


def test_a_source_that_was_replaced_feeds_nothing_more(
    node: Node, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Its last bytes may arrive in the same turn of the loop as the new source."""
    old = source(node)
    assert old.recv(100) == OK
    old.sendall(b"old")
    mount = node.parts.context.mounts.get("/x")
    assert mount is not None
    wait_until(lambda: mount.bytes_read == 3, "the first bytes")
    held = node.parts.context.mounts.source("/x")
    assert isinstance(held, ConnectedSource)
    held.last_data -= SOURCE_SILENT_S
    monkeypatch.setattr(held._greenlet, "kill", lambda *args, **kwargs: None)  # its exception takes long to reach it
    new = source(node)
    assert new.recv(100) == OK
    old.sendall(b"late")
    assert old.recv(100) == b""
    new.sendall(b"new")
    wait_until(lambda: mount.bytes_read == 6, "the new source")
    assert mount.ring.read(0, 6) == b"oldnew"
    for sock in (old, new):
        sock.close()


def test_a_source_is_waited_for_only_if_its_peer_has_closed(node: Node, wait_until: WaitUntil) -> None:
    node.parts.context.pacer.record("a busy node", 1.0)  # so that a source is read ten times a second
    mounts = node.parts.context.mounts
    with source(node) as sock:
        assert sock.recv(100) == OK
        sock.sendall(b"audio")
        held = mounts.source("/x")
        assert held is not None
        with gevent.Timeout(1.0):
            held.wait_until_out(60.0)
        assert (mounts.source("/x"), held.is_silent) == (held, False)
    wait_until(lambda: held.is_silent, "the end to arrive")
    held.wait_until_out(5.0)
    assert (mounts.source("/x"), held.output.state) == (None, SourceState.OUT)


def send_unread(sock: socket.socket, source: Source | None, data: bytes) -> None:
    """Sends bytes that have arrived when this returns, but that no greenlet has read yet."""
    assert isinstance(source, ConnectedSource)
    sock.sendall(data)
    assert select.select([source._connection.sock.fileno()], [], [], 5.0)[0]


def test_what_a_source_had_sent_when_it_was_ended_is_fed_and_no_more(node: Node, wait_until: WaitUntil) -> None:
    node.parts.context.pacer.record("a busy node", 1.0)  # so that a source is read ten times a second
    with source(node) as sock:
        assert sock.recv(100) == OK
        mounts = node.parts.context.mounts
        mount, held = mounts.get("/x"), mounts.source("/x")
        assert mount is not None and held is not None
        sock.sendall(b"begin")
        wait_until(lambda: mount.bytes_read == 5, "the first bytes")
        send_unread(sock, held, b"last words")
        held.end("removed by an admin")
        assert mount.ring.read(0, mount.ring.head) == b"beginlast words"
        assert held.output.state is SourceState.OUT
        with suppress(OSError):
            sock.sendall(b"too late")
        wait_until(lambda: mounts.source("/x") is None, "its end")
        assert mount.bytes_read == len(b"beginlast words")


def test_what_sources_had_sent_is_fed_when_the_server_stops(
    node: Node, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    node.parts.context.pacer.record("a busy node", 1.0)
    with source(node) as sock:
        assert sock.recv(100) == OK
        mount = node.parts.context.mounts.get("/x")
        assert mount is not None
        sock.sendall(b"begin")
        wait_until(lambda: mount.bytes_read == 5, "the first bytes")
        send_unread(sock, node.parts.context.mounts.source("/x"), b"last words")
        monkeypatch.setattr(mount, "free", lambda: None)  # it keeps its audio
        node.parts.context.mounts.stop()
        assert mount.ring.read(0, mount.ring.head) == b"beginlast words"


@pytest.mark.parametrize("method", [b"PUT", b"SOURCE"])
def test_a_body_of_no_length_may_be_a_stream(method: bytes, node: Node, wait_until: WaitUntil) -> None:
    with source(node, method=method, more=b"Content-Length: 0\r\n") as sock:
        assert sock.recv(100) == OK
        sock.sendall(b"audio")
        wait_until(lambda: getattr(node.parts.context.mounts.get("/x"), "bytes_read", 0) == 5, "the audio")


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/livez/", b"/status.xsl", b"/status-json.xsl", b"/metrics"])
@pytest.mark.parametrize("is_shoutcast", [False, True])
def test_no_source_can_take_the_place_of_a_page(path: bytes, is_shoutcast: bool, node: Node) -> None:
    if is_shoutcast:
        port = shoutcast_port(node)
        sock = connect(port, path + b":hackme\r\n\r\n")
        assert path == b"/" or sock.recv(20).startswith(b"OK2")
    else:
        sock = source(node, path)
    with sock:
        assert not sock.recv(300).startswith(OK)
    assert len(node.parts.context.mounts) == 0


def test_a_full_node_takes_no_shoutcast_source(wait_until: WaitUntil) -> None:
    node = Node(loads(TOML, {}, "test"), None, None, 1000)
    node.start()
    port = shoutcast_port(node)
    with connect(node.parts.context.site.address.port, b""):
        wait_until(lambda: node.parts.context.admission.open == 1, "a connection that takes the only slot")
        with connect(port, b"hackme\r\n\r\n") as sock:
            assert sock.recv(300).startswith(b"HTTP/1.0 503 ")
    assert len(node.parts.context.mounts) == 0
    node.stop()


def test_an_error_behind_a_shoutcast_password_is_answered_at_once(node: Node) -> None:
    port = shoutcast_port(node)
    with connect(port, b"/../x:hackme\r\nicy-name:x\r\n\r\n") as sock:
        sock.settimeout(2)
        assert sock.recv(20).startswith(b"OK2")
        assert sock.recv(300).startswith(b"HTTP/1.0 400 ")


def describe(head: str, method: str = "SOURCE") -> SourceDescription:
    connection, peer = connect_pair()
    try:
        return describe_source(connection, make_request("/x", method=method, more=head))
    finally:
        connection.close()
        peer.close()


def test_the_description_of_a_source_is_from_its_headers() -> None:
    described = describe("Content-Type: audio/ogg\r\nIce-Name: Radio\r\nIce-Genre: Jazz\r\n")
    assert (described.info.name, described.info.genre) == ("Radio", "Jazz")
    assert (described.content_type, described.ip) == ("audio/ogg", "127.0.0.1")
    assert ("ice-name", "Radio") in described.headers
    assert 0 <= time.monotonic() - described.begun < 60 and 0 <= time.time() - described.started < 60


def test_without_a_content_type_a_source_is_mpeg_and_a_put_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert describe("").content_type == "audio/mpeg"
    assert "names no content type" in caplog.text
    with pytest.raises(Refused) as refused:
        describe("", "PUT")
    assert (refused.value.status, refused.value.public) == (403, "No Content-type given")


def test_a_content_type_that_listeners_are_not_told_is_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    head = b"SOURCE /x HTTP/1.1\r\n" + LOGIN + b"Content-Type: text/html\r\n\r\n"
    with connect(node.parts.context.site.address.port, head) as sock:
        assert sock.recv(100) == OK
        sock.sendall(b"words")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    (line,) = [text for text in caplog.messages if "octet-stream" in text]
    assert "/x" in line and "text/html" in line


def has_had_sources(node: Node, number: int) -> bool:
    return node.parts.context.counters.source_client_connections == number


def test_a_shoutcast_source_that_reconnects_at_once_waits_for_its_former_connection(
    node: Node, wait_until: WaitUntil
) -> None:
    node.parts.context.pacer.record("a busy node", 1.0)  # so that a source is read ten times a second
    for number in (1, 2, 3):
        with connect(shoutcast_port(node), b"hackme\r\ncontent-type:text/plain\r\n\r\n") as sock:
            assert sock.recv(20).startswith(b"OK2")
            sock.sendall(b"audio")
            wait_until(partial(has_had_sources, node, number), "the claim", 1.0)


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_framing_alone_does_not_keep_a_source_alive(node: Node, wait_until: WaitUntil) -> None:
    settings = node.parts.context.settings
    settings.replace(loads(TOML.replace("source_timeout = 5", "source_timeout = 0.3"), {}, "test"))
    with source(node, method=b"PUT", more=CHUNKED) as sock:
        assert sock.recv(100) == OK
        sock.sendall(b"5\r\naudio\r\n5;")
        mounts = node.parts.context.mounts
        wait_until(lambda: mounts.source("/x"), "the source")

        def goes_on() -> bool:
            with suppress(OSError):
                sock.sendall(b"x")  # more often than it is read
            return mounts.source("/x") is None

        wait_until(goes_on, "its end")


def test_chunks_of_one_byte_are_audio_and_keep_a_source_alive(node: Node, wait_until: WaitUntil) -> None:
    settings = node.parts.context.settings
    settings.replace(loads(TOML.replace("source_timeout = 5", "source_timeout = 1"), {}, "test"))
    with source(node, method=b"PUT", more=CHUNKED) as sock:
        assert sock.recv(100) == OK
        for _ in range(14):
            sock.sendall(b"1\r\na\r\n")
            gevent.sleep(0.1)
        mount = node.parts.context.mounts.get("/x")
        assert mount is not None and node.parts.context.mounts.source("/x") is not None
        wait_until(lambda: mount.ring.read(0, mount.ring.head) == b"a" * 14, "the audio")


def test_the_end_of_a_source_that_never_stops_sending_takes_a_moment(
    node: Node, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    with source(node) as sock:
        assert sock.recv(100) == OK
        mounts = node.parts.context.mounts
        held = mounts.source("/x")
        assert isinstance(held, ConnectedSource)
        reads = []

        def read_now() -> bytes:
            reads.append(1)
            assert len(reads) < 10_000, "it was read for ever"
            return b"x" * 65_536

        monkeypatch.setattr(held._connection, "read_now", read_now)
        held.end("removed by an admin")
        assert held.bytes_read <= LAST_BYTES
        wait_until(lambda: mounts.source("/x") is None, "its end")


def test_a_source_that_is_ended_while_others_have_their_turn_loses_no_byte(
    node: Node, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """The rest of what was read comes before what is still in the socket."""
    data, rest = bytes(97 + number % 26 for number in range(5 * PIECE_SIZE)), b"in the socket"
    monkeypatch.setattr(sources, "SLICE_S", 0.0)
    with source(node) as sock:
        assert sock.recv(100) == OK
        mounts = node.parts.context.mounts
        mount, held = mounts.get("/x"), mounts.source("/x")
        assert mount is not None and isinstance(held, ConnectedSource)
        monkeypatch.setattr(mount, "free", lambda: None)  # it keeps its audio
        pieces: list[int] = []

        def end_it() -> None:
            if len(pieces) == 1 and mount.bytes_read < len(data):
                send_unread(sock, held, rest)
                held.end("removed by an admin")
            pieces.append(mount.bytes_read)
            gevent.sleep(0)

        monkeypatch.setattr(sources, "give_turn", end_it)
        sock.sendall(data)
        wait_until(lambda: mounts.source("/x") is None, "its end")
    assert pieces[0] == PIECE_SIZE
    assert mount.ring.read(0, mount.ring.head) == data + rest


@pytest.mark.parametrize("data", [b"12000\r\n" + b"x" * 0x12000 + b"\r\n", b"zz\r\n"], ids=["stream", "chunk"])
def test_a_source_that_waits_for_its_answer_is_told_what_is_wrong_with_its_stream(data: bytes, node: Node) -> None:
    """curl and ffmpeg send `Expect: 100-continue` and chunks; they get the answer at the end of their body."""
    head = (
        b"PUT /told HTTP/1.1\r\n" + LOGIN + b"Content-Type: application/ogg\r\n"
        b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with connect(node.parts.context.site.address.port, head) as sock:
        answer = sock.recv(1000)
        assert answer.startswith(b"HTTP/1.1 100 ")
        sock.sendall(data)
        answer = b"".join(iter(partial(sock.recv, 1000), b""))
    status, reason = (b"415", b"nothing of that in") if len(data) > 10 else (b"400", b"chunk")
    assert answer.startswith(b"HTTP/1.0 " + status) and reason in answer


def test_a_source_that_was_admitted_while_a_drain_moved_the_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would move it before the node ends."""
    bench = make_bench(others=1)
    connection, peer = connect_pair()
    request = make_request("/x", method="SOURCE", more="Content-Type: text/plain\r\n")
    late = ConnectedSource(bench.context, connection, "/x", ("a", "b"), describe_source(connection, request))
    admit = bench.context.ownership.admit

    def admit_late(name: str, one: Source) -> None:
        bench.context.drain.begin()
        admit(name, one)

    monkeypatch.setattr(bench.context.ownership, "admit", admit_late)
    with pytest.raises(Refused) as refused:
        late.run(RawBody(), b"audio", b"", b"")
    assert refused.value.status == 503
    assert (bench.context.mounts.source("/x"), late.output.state) == (None, SourceState.OUT)
    bench.close()
    connection.close()
    peer.close()


def test_where_there_are_many_sources_each_is_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, (connection, peer) = make_bench(), connect_pair()
    described = describe_source(connection, make_request("/x", method="SOURCE", more="Content-Type: text/plain\r\n"))
    one = ConnectedSource(bench.context, connection, "/x", ("a", "b"), described)
    for others, wait in ((1, SHORTEST_S / 2), (20, SHORTEST_S / 2), (100, 0.05), (10_000, LONGEST_READ_WAIT_S)):
        monkeypatch.setattr(type(bench.context.mounts), "sources", others)
        assert one._pause(100) == wait
    for end in (bench, connection, peer):
        end.close()


def test_the_memory_of_sources_and_their_mounts_is_back_when_they_end(node: Node, wait_until: WaitUntil) -> None:
    mounts, seen = node.parts.context.mounts, list[weakref.ref[object]]()
    logging.disable(logging.CRITICAL)  # pytest keeps records, and those of failed connections keep them
    gc.disable()
    try:
        for number in range(10):
            with source(node, b"/%d" % number) as sock:
                assert sock.recv(100) == OK
                sock.sendall(bytes(50_000))
                wait_until(lambda number=number: mounts.get(f"/{number}"), "the mount")
                mount, held = mounts.get(f"/{number}"), mounts.source(f"/{number}")
                assert mount is not None and isinstance(held, ConnectedSource)
                seen += [weakref.ref(one) for one in (mount, mount.ring, held, held._connection)]
                listener = connect(node.parts.context.site.address.port, b"GET /%d HTTP/1.0\r\n\r\n" % number)
                assert listener.recv(10)
                del mount, held
            wait_until(lambda: not mounts.sources, "the end of the source")
            for mount in mounts:
                mounts.close(mount.name)
                del mount
            wait_until(lambda: not mounts.ending, "the end of the mount")
            listener.close()
        wait_until(lambda: not [one for one in seen if one() is not None], "the memory")
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def test_the_memory_of_a_source_that_sent_a_broken_chunk_is_back(node: Node, wait_until: WaitUntil) -> None:
    mounts, seen = node.parts.context.mounts, list[weakref.ref[object]]()
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        with source(node, method=b"PUT", more=CHUNKED) as sock:
            assert sock.recv(100) == OK
            held = mounts.source("/x")
            assert isinstance(held, ConnectedSource)
            seen += [weakref.ref(held), weakref.ref(held._connection)]
            del held
            sock.sendall(b"5\r\naudio\r\nx\r\n")
            wait_until(lambda: not [one for one in seen if one() is not None], "the memory")
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def test_a_source_that_sends_too_much_is_read_more_slowly_and_never_cut(
    monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pycast.server.source_rate.BURST_S", 0.1)
    toml = (
        TOML.replace("source_timeout = 5", "source_timeout = 0.1")
        + '[[mount]]\nmount_name = "/x"\nlimit_rate = "400k"\n'
    )
    node = Node(loads(toml.replace("clients = 1", "clients = 50"), {}, "test"), None, None, 1000)
    node.start()
    begun = time.monotonic()
    with source(node) as sock:
        assert sock.recv(100) == OK
        mount = node.parts.context.mounts.get("/x")
        assert mount is not None
        for _ in range(6):  # 24 kB, half of what may come in a second
            sock.sendall(b"a" * 4000)
            gevent.sleep(0.01)
        wait_until(lambda: node.parts.context.mounts.source("/x") is None, "its timeout, when nothing more came")
        assert mount.bytes_read == 24_000
        assert time.monotonic() - begun >= 24_000 / 50_000 - 0.1, "what it has sent was paid for by waiting"
    assert node.parts.context.counters.slowed_sources == 1
    assert caplog.text.count("sends more than limit_rate, 400000 bit/s: it is read more slowly") == 1
    node.stop()


def test_a_source_within_its_limit_is_read_as_ever(node: Node, wait_until: WaitUntil) -> None:
    node.parts.context.settings.replace(loads('[[mount]]\nmount_name = "/x"\nlimit_rate = "8M"\n', {}, "test"))
    with source(node) as sock:
        assert sock.recv(100) == OK
        sock.sendall(b"a" * 100_000)
        mount = node.parts.context.mounts.get("/x")
        assert mount is not None
        wait_until(lambda: mount.bytes_read == 100_000, "all of it", 1.0)
    assert node.parts.context.counters.slowed_sources == 0
