"""What a path stands for is known before anything is written, and no write waits without end."""

import os
import select
import socket
import threading
from pathlib import Path

import pytest

from pycast.disk import appending
from pycast.disk.appending import UNREAD, WriteFailed, is_pipe, open_to_append, write_all
from pycast.errors import ExternalError


def never() -> bool:
    return False


def test_a_file_is_made_with_its_mode_and_appended_to(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        fd = open_to_append(str(tmp_path / "x"), 0o600)
        write_all(fd, data, never)
        os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"onetwo"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExternalError, match=UNREAD):
        open_to_append(str(tmp_path / "pipe"), 0o600)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        with pytest.raises(ExternalError, match="it is a socket"):
            open_to_append(str(tmp_path / "socket"), 0o600)
    with pytest.raises(ExternalError, match="Is a directory"):
        open_to_append(str(tmp_path), 0o600)
    with pytest.raises(ExternalError, match="No such file"):
        open_to_append(str(tmp_path / "none" / "x"), 0o600)


def test_pipes_are_told_from_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert [is_pipe(str(tmp_path / name)) for name in ("pipe", "file", "none")] == [True, False, False]


def test_a_pipe_gets_pieces_that_end_with_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    lines = b"".join(b"%d %s\n" % (number, b"x" * 900) for number in range(20))
    pieces: list[bytes] = []
    write = os.write

    def noted(fd: int, data: bytes) -> int:
        pieces.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", noted)
    write_all(writer, lines, never)
    assert os.read(reader, 1 << 20) == lines == b"".join(pieces)
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces) and len(pieces) > 3
    os.close(reader)
    os.close(writer)


def test_it_waits_for_a_reader_until_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "ROOM_MS", 5)
    reader, writer = os.pipe()
    asked = 0

    def is_given_up() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(WriteFailed, match="did not read in time") as caught:
        write_all(writer, bytes(1 << 20), is_given_up)
    assert asked == 4
    assert caught.value.written == len(os.read(reader, 1 << 21))
    os.close(reader)
    os.close(writer)


def test_it_goes_on_when_the_reader_does() -> None:
    reader, writer = os.pipe()
    data, found = os.urandom(1 << 20), bytearray()

    def read() -> None:
        while len(found) < len(data):
            found.extend(os.read(reader, 10_000))

    thread = threading.Thread(target=read)
    thread.start()
    write_all(writer, data, never)
    thread.join(10)
    assert bytes(found) == data
    os.close(reader)
    os.close(writer)


def test_a_reader_that_is_gone_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(WriteFailed, match="Broken pipe"):
        write_all(writer, b"x", never)
    os.close(writer)
