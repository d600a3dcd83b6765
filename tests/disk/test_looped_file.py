"""A file is read round by round in small pieces, and another one of its name takes its place when it is complete."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pycast.disk.looped_file import PIECE, LoopedBytes, LoopedFile, Piece, identity_of, is_settled, read_file
from pycast.errors import ExternalError
from pycast.formats.file_audio import EXPECTED, detect, sound_of
from pycast.formats.silence import StreamShape, silence
from tests.formats.frame_bytes import adts, id3, mpeg
from tests.formats.test_file_audio import ogg_file

LONG_AGO = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "a.mp3"
    put(path, mpeg() * 400)
    yield path


def put(path: Path, data: bytes, at: float = LONG_AGO) -> None:
    """Writes a file in place, as if that had been long ago."""
    path.write_bytes(data)
    os.utime(path, (at, at))


def test_a_file_is_read_in_pieces_and_then_from_its_beginning(file: Path) -> None:
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        assert looped.format == "mpeg"
        pieces = [looped.next_piece() for _ in range(7)]
    sizes = [len(piece.data) for piece in pieces]
    assert max(sizes) == PIECE and sizes[:3] == sizes[3:6]
    assert b"".join(piece.data for piece in pieces[:3]) == file.read_bytes()
    assert [piece.begins for piece in pieces] == [True, False, False, True, False, False, True]


def test_a_new_file_takes_over_at_once_also_in_the_middle_of_a_round(file: Path) -> None:
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        looped.next_piece()
        new = file.with_name("new")
        put(new, mpeg(0xFFFB9004) * 300)
        new.replace(file)
        piece = looped.next_piece()
    assert piece.begins and "has changed" in piece.note
    assert piece.data == file.read_bytes()[:PIECE]


def test_a_file_that_is_being_written_is_left_alone_until_that_is_over(file: Path) -> None:
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        looped.next_piece()
        new = file.with_name("new")
        new.write_bytes(mpeg(0xFFFB9004) * 300)
        new.replace(file)
        piece = looped.next_piece()
        assert (piece.begins, piece.note) == (False, "")
        os.utime(file, (LONG_AGO, LONG_AGO))
        assert looped.next_piece().begins


def test_a_file_that_is_deleted_is_played_on(file: Path) -> None:
    data = file.read_bytes()
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        looped.next_piece()
        file.unlink()
        rest = b"".join(looped.next_piece().data for _ in range(2))
        assert rest == data[PIECE:]
        assert looped.next_piece() == Piece(data[:PIECE], begins=True)


def test_another_format_is_refused_once_and_the_old_file_goes_on(file: Path) -> None:
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        looped.next_piece()
        new = file.with_name("new")
        put(new, adts(100) * 300)
        new.replace(file)
        pieces = [looped.next_piece() for _ in range(2)]
    assert "another format" in pieces[0].note and pieces[1].note == ""
    assert not pieces[0].begins and pieces[0].data == (mpeg() * 400)[PIECE : 2 * PIECE]


def test_a_new_file_that_cannot_be_read_is_refused_once_and_the_old_file_goes_on(file: Path) -> None:
    def detect_or_fail(read: Callable[[int, int], bytes]) -> str:
        if read(0, 1) == b"?":
            raise OSError(errno.EIO, "Input/output error")
        return detect(read)

    with closing(LoopedFile(str(file), detect_or_fail, EXPECTED)) as looped:
        looped.next_piece()
        new = file.with_name("new")
        put(new, b"?" * 1000)
        new.replace(file)
        before = set(os.listdir("/proc/self/fd"))
        pieces = [looped.next_piece() for _ in range(2)]
        assert set(os.listdir("/proc/self/fd")) == before
    assert "Input/output error" in pieces[0].note and pieces[1].note == ""
    assert pieces[0].data == (mpeg() * 400)[PIECE : 2 * PIECE]


def test_a_file_that_nobody_waits_for_any_more_is_closed(file: Path) -> None:
    """As one is that a stalled disk has opened too late."""
    before = set(os.listdir("/proc/self/fd"))
    looped = LoopedFile(str(file), detect, EXPECTED)
    assert set(os.listdir("/proc/self/fd")) != before
    del looped
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_read_that_ends_after_the_file_was_closed_touches_no_other_file(file: Path) -> None:
    closed = False

    def detect_late(read: Callable[[int, int], bytes]) -> str:
        if closed:
            looped.close()
            others.append(os.open(file, os.O_RDONLY))
        return detect(read)

    others: list[int] = []
    looped = LoopedFile(str(file), detect_late, EXPECTED)
    closed = True
    new = file.with_name("new")
    put(new, mpeg(0xFFFB9004) * 300)
    new.replace(file)
    looped.next_piece()
    os.fstat(others[0])  # it has the number of the old file, and is still open
    os.close(others[0])
    looped.close()
    assert looped.next_piece().data == b""


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: None, "No such file"),
    (lambda path: path.mkdir(), "expected a file"),
    (lambda path: os.mkfifo(path), "expected a file"),
    (lambda path: path.write_bytes(bytes(1000)), "expected MP3, AAC"),
    (lambda path: path.write_bytes(b""), "expected MP3, AAC"),
])  # fmt: skip
def test_what_cannot_be_played_is_refused_with_the_reason_and_nothing_stays_open(
    tmp_path: Path, make: object, why: str
) -> None:
    make(tmp_path / "x")  # type: ignore[operator]
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ExternalError, match=why):
        LoopedFile(str(tmp_path / "x"), detect, EXPECTED)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, 100, PIECE // 2])
def test_a_file_that_loses_its_content_in_place_is_played_on_from_what_was_read(file: Path, size: int) -> None:
    data = file.read_bytes()[: 2 * PIECE]
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        for _ in range(2):
            looped.next_piece()
        os.truncate(file, size)
        pieces = [looped.next_piece() for _ in range(5)]
        assert [piece.data for piece in pieces] == [
            data[:PIECE],
            data[PIECE:],
            data[:PIECE],
            data[PIECE:],
            data[:PIECE],
        ]
        assert [piece.begins for piece in pieces] == [True, False, True, False, True]
        assert [bool(piece.note) for piece in pieces] == [True, False, False, False, False]
        put(file, mpeg(0xFFFB9004) * 300)
        piece = looped.next_piece()
    assert piece == Piece(file.read_bytes()[:PIECE], begins=True, note="has changed, and is played from its beginning")


@pytest.mark.parametrize("content", [b"", b"<html>" * 40_000, id3(50_000)])
def test_what_was_read_is_played_on_when_nothing_that_can_be_played_is_written_over_it(
    file: Path, content: bytes
) -> None:
    with closing(LoopedFile(str(file), detect, EXPECTED)) as looped:
        first = looped.next_piece().data
        put(file, content)
        pieces = [looped.next_piece() for _ in range(3)]
    assert [piece.data for piece in pieces] == [first] * 3
    assert [piece.note for piece in pieces][1:] == ["", ""] and "no audio" in pieces[0].note


def test_a_file_with_another_codec_does_not_take_over(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    put(path, silence(StreamShape("ogg", "Opus", 48000, 2)))
    with closing(LoopedFile(str(path), detect, EXPECTED, sound_of)) as looped:
        looped.next_piece()
        put(tmp_path / "new", ogg_file())
        (tmp_path / "new").replace(path)
        assert looped.next_piece().note == "has changed, but is Vorbis, not Opus: the old one goes on"


def test_a_file_that_has_only_the_beginning_of_audio_does_not_take_over(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    put(path, ogg_file())
    with closing(LoopedFile(str(path), detect, EXPECTED, sound_of)) as looped:
        looped.next_piece()
        put(path, ogg_file()[:150])
        piece = looped.next_piece()
    assert (piece.data, piece.begins) == (ogg_file(), True) and "no audio" in piece.note


def test_bytes_in_memory_are_a_round_each_time() -> None:
    looped = LoopedBytes("mpeg", b"abc")
    assert [looped.next_piece() for _ in range(2)] == [Piece(b"abc", begins=True)] * 2
    looped.close()


def test_a_whole_file_is_read_if_it_is_not_too_large(file: Path) -> None:
    data, identity = read_file(str(file), 1 << 20)
    assert data == file.read_bytes() and identity == identity_of(str(file))
    with pytest.raises(ExternalError, match="at most"):
        read_file(str(file), 1000)
    assert identity_of(str(file.parent)) is None and identity_of(str(file.with_name("no"))) is None


def test_a_file_is_settled_some_time_after_the_last_write_or_if_its_time_is_nonsense(file: Path) -> None:
    found = identity_of(str(file))
    assert found is not None and is_settled(found)
    os.utime(file)
    found = identity_of(str(file))
    assert found is not None and not is_settled(found)
    os.utime(file, (1 << 33, 1 << 33))
    found = identity_of(str(file))
    assert found is not None and is_settled(found)
