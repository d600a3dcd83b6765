"""Heads as they were sent, and waits for them that have an end."""

import socket
from collections.abc import Iterator

import pytest

from pycast.testing.wire_heads import (
    CLOSED,
    MAX_HEAD,
    ChunkReader,
    ServerAddress,
    as_target,
    begins_tls,
    how_it_failed,
    is_readable,
    read_head,
    reset,
    split_head,
)

HEAD = b"PUT /live.mp3 HTTP/1.1\r\nIce-Name: A\r\nice-name:B \r\nbroken\r\n\r\naudio"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_head_is_kept_as_it_was_sent() -> None:
    found = split_head(HEAD)
    assert found is not None
    head, rest = found
    assert (head.word, head.target, head.status, rest) == ("PUT", "/live.mp3", 0, b"audio")
    assert head.headers.fields == (("Ice-Name", "A"), ("ice-name", "B"), ("broken", ""))
    assert head.headers["ICE-NAME"] == "B" and head.headers.all("ice-name") == ["A", "B"]
    assert list(head.headers) == ["ice-name", "broken"] and len(head.headers) == 2
    assert head.headers.get("none") is None and "Ice-Name: A" in repr(head.headers)
    assert head.raw + rest == HEAD


def test_answers_of_old_servers_have_a_status() -> None:
    found = split_head(b"ICY 200 OK\nicy-name:x\n\n")
    assert found is not None and found[0].status == 200 and found[0].headers["icy-name"] == "x"
    assert split_head(b"HTTP/1.0 200 OK\r\n") is None


def test_read_head_waits_no_longer_than_it_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(HEAD[:10])
    with pytest.raises(TimeoutError):
        read_head(ours, 0.05)
    theirs.sendall(HEAD)
    assert read_head(ours, 5)[1] == b"audio"
    theirs.sendall(bytes(MAX_HEAD + 1))
    with pytest.raises(TimeoutError, match="no complete head"):
        read_head(ours, 5)


def test_read_head_tells_that_the_connection_ended(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert not is_readable(ours, 0)
    theirs.close()
    assert is_readable(ours, 5)
    with pytest.raises(ConnectionError):
        read_head(ours, 5)


def test_a_tls_handshake_is_told_by_its_first_byte_which_stays(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert not begins_tls(ours)
    theirs.sendall(b"\x16\x03")
    assert is_readable(ours, 5) and begins_tls(ours)
    assert ours.recv(2) == b"\x16\x03"


def test_reset_is_seen_as_a_reset() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ServerAddress(*listening.getsockname()).connect() as client,
    ):
        reset(listening.accept()[0])
        with pytest.raises(ConnectionResetError) as caught:
            client.recv(1)
    assert how_it_failed(caught.value) == "the server reset the connection"
    assert how_it_failed(BrokenPipeError()) == CLOSED and "it failed" in how_it_failed(OSError("so"))


@pytest.mark.parametrize("piece", [1, 2, 5, 100])
def test_chunks_are_the_same_however_they_are_cut(piece: int) -> None:
    data, chunks = b"5\r\naudio\r\n  A ;x\r\n0123456789\r\n0\r\n\r\nrest", ChunkReader()
    assert b"".join(chunks.feed(data[at : at + piece]) for at in range(0, len(data), piece)) == b"audio0123456789"


def test_what_is_no_chunk_ends_them() -> None:
    chunks = ChunkReader()
    assert chunks.feed(b"?" * 1001) == b"" and chunks.feed(b"5\r\naudio") == b""


def test_a_mount_with_blanks_and_foreign_letters_stands_in_one_word() -> None:
    assert as_target("/Ein Mount ü.mp3") == "/Ein%20Mount%20%C3%BC.mp3"
    assert as_target("/a%20b?x=1&y=%2F") == "/a%20b?x=1&y=%2F"
