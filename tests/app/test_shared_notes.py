"""A note is read as it was written, or not at all."""

import mmap
from collections.abc import Iterator

import pytest

from pycast.app.shared_notes import MOST_NOTE, NOTE_SIZE, SharedNote, lines_of_note, note_of_lines

AT = 100


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, AT + 2 * NOTE_SIZE) as made:
        yield made


def test_a_note_is_replaced_whole_and_the_one_beside_it_stays(memory: mmap.mmap) -> None:
    one, other = SharedNote(memory, AT), SharedNote(memory, AT + NOTE_SIZE)
    assert one.read() == other.read() == b""
    assert one.write(b"a" * MOST_NOTE) and other.write(b"b")
    assert (one.read(), SharedNote(memory, AT + NOTE_SIZE).read()) == (b"a" * MOST_NOTE, b"b")
    assert one.write(b"short") and one.read() == b"short"


def test_a_note_for_which_there_is_no_room_leaves_the_old_one(memory: mmap.mmap) -> None:
    note = SharedNote(memory, AT)
    assert note.write(b"old") and not note.write(bytes(MOST_NOTE + 1))
    assert note.read() == b"old"


@pytest.mark.parametrize("at", [0, 3, 4, 8, 12])
def test_a_note_that_is_half_written_is_none(memory: mmap.mmap, at: int) -> None:
    note = SharedNote(memory, AT)
    note.write(b"a whole note")
    memory[AT + at] ^= 0xFF
    assert note.read() == b""


def test_of_a_log_the_last_lines_are_kept_for_which_there_is_room() -> None:
    lines = [(float(number), b"%d \xc3\xbc " % number + b"x" * 4000 + b"\n") for number in range(50)]
    note = note_of_lines(lines)
    kept = lines_of_note(note)
    assert 10 < len(kept) < 20 and len(note) <= MOST_NOTE and kept == lines[-len(kept) :]
    assert lines_of_note(note_of_lines([])) == lines_of_note(b"") == []
    assert lines_of_note(note_of_lines([(1.5, b"\xff\n")])) == [(1.5, "\ufffd\n".encode())]
