"""A connection through the door arrives as it was sent, ends as it ended, and is read on the way."""

import socket

import pytest

from tests.e2e.deadline import until
from tests.e2e.wire import Wire
from tests.testing.upstream import AUDIO, HEAD, MOUNT, TAKEN, Upstream

SOURCE = f"SOURCE {MOUNT} HTTP/1.0\r\nContent-Type: audio/mpeg\r\nIce-Name: A\r\n\r\n"


def test_a_source_is_passed_on_and_read() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        for byte in SOURCE.encode():
            client.send(bytes((byte,)))
        assert client.read(len(TAKEN)) == TAKEN
        client.send(b"audio")
        upstream.wait_for(SOURCE.encode() + b"audio")
        visit = upstream.door.sources[MOUNT].wait()
        visit.wait_for_bytes(5)
        assert (visit.method, visit.content_type, visit.headers["ice-name"]) == ("SOURCE", "audio/mpeg", "A")
        assert visit.audio == b"audio" and visit.is_connected and visit.raw_head == SOURCE.encode()
        client.close()
        assert visit.wait_for_end() == "the client closed the connection"


def test_interim_answers_pass_and_do_not_count() -> None:
    put = SOURCE.replace("SOURCE", "PUT").replace("1.0", "1.1").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
    with Upstream() as upstream, Wire(upstream.port) as client:
        both = b"HTTP/1.1 100 Continue\r\n\r\n" + TAKEN
        assert client.send(put).read(len(both)) == both
        assert upstream.door.sources[MOUNT].wait().status == 200


def test_chunks_of_a_source_are_passed_on_and_taken_off() -> None:
    put = SOURCE.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(put + "5\r\naudio\r\n3;x=y\r\n123\r\n0\r\n\r\n")
        upstream.wait_for(b"0\r\n\r\n")
        visit = upstream.door.sources[MOUNT].wait()
        visit.wait_for_bytes(8)
        assert visit.audio == b"audio123"


def test_a_player_gets_each_byte_and_is_counted() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(f"GET {MOUNT}?a=b HTTP/1.1\r\nUser-Agent: P/1\r\nRange: bytes=0-\r\nIcy-MetaData: 0\r\n\r\n")
        head = client.read_to(b"\r\n\r\n")
        assert client.read(1000) and b"200" in head
        visit = upstream.door.listeners[MOUNT].wait()
        visit.wait_for_bytes(1000)
        assert (visit.user_agent, visit.range, visit.wants_titles) == ("P/1", "bytes=0-", False)
        assert visit.target == f"{MOUNT}?a=b" and visit.content_type == "audio/mpeg"


def test_the_servers_end_arrives_after_its_last_byte() -> None:
    with Upstream(stays=False) as upstream, Wire(upstream.port) as client:
        assert client.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n").read_all() == HEAD + AUDIO
        assert "closed" in upstream.door.listeners[MOUNT].last.wait_for_end()


def test_a_reset_is_passed_on_to_the_server() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(SOURCE).read(len(TAKEN))
        client.hang_up()
        assert upstream.door.sources[MOUNT].last.wait_for_end() == "the client reset the connection"


def test_a_shoutcast_source_is_known_by_its_port() -> None:
    with Upstream(shoutcast_mount=MOUNT) as upstream, Wire(upstream.port) as client:
        client.send(b"password\r\n")
        client.send(b"icy-name: B\r\n\r\nsound")
        upstream.wait_for(b"password\r\nicy-name: B\r\n\r\nsound")
        visit = upstream.door.sources[MOUNT].wait()
        visit.wait_for_bytes(5)
        assert (visit.method, visit.headers["icy-name"], visit.audio) == ("SHOUTCAST", "B", b"sound")


def test_a_password_that_comes_in_pieces_arrives_whole() -> None:
    with Upstream(shoutcast_mount=MOUNT) as upstream, Wire(upstream.port) as client:
        client.send(b"pass")
        until(lambda: [bytes(one._asked) for one in upstream.door._passages] == [b"pass"], "the first piece")
        client.send(b"word\r\n")
        client.send(b"icy-name: B\r\n\r\n")
        upstream.wait_for(b"icy-name: B\r\n\r\n")
        assert upstream.got == [b"password\r\nicy-name: B\r\n\r\n"]
        assert upstream.door.sources[MOUNT].wait().method == "SHOUTCAST"


def test_what_is_no_http_passes_once_however_long_it_is_and_ends_as_it_ends() -> None:
    long = b"no HTTP\r\n\r\n" + bytes(range(128, 256)) * 1000
    with Upstream() as upstream, Wire(upstream.port) as client:
        for at in range(0, len(long), 10_000):
            client.send(long[at : at + 10_000])
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all() == TAKEN
        assert upstream.got == [long]


def test_what_is_no_http_passes_all_the_same() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(b"\x00\x01\n\x02")
        client.send(b"\r\n\r\n")
        upstream.wait_for(b"\r\n\r\n")
        assert upstream.got == [b"\x00\x01\n\x02\r\n\r\n"]
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(b"GET / HTTP/1.0\r\nhalf")
        client.sock.shutdown(socket.SHUT_WR)
        client.read_all()


def test_a_server_that_takes_no_connection_resets_the_client() -> None:
    with Upstream() as upstream:
        upstream._listening.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionResetError), Wire(upstream.port) as client:
            client.sock.recv(1)


def test_close_ends_connections_whatever_they_wait_for() -> None:
    with Upstream() as upstream, Wire(upstream.port) as silent, Wire(upstream.port) as client:
        client.send(SOURCE).read(len(TAKEN))
        upstream.door.close("it was enough")
        assert silent.read_all() == b"" and client.read_all() == b""
        assert upstream.door.sources[MOUNT].last.reason == "it was enough"
