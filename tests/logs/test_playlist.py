"""The playlist log: one title, one line."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.logs.access import MAX_LINE
from pycast.logs.files import LogFile
from pycast.logs.playlist import PlaylistEntry, PlaylistLog, format_playlist

ENTRY = PlaylistEntry(at=1763794860.0, mount="/live.mp3", listeners=12, title="Artist - Title")
any_text = st.text(st.characters(exclude_categories=()), max_size=60)


def test_line_is_icecasts() -> None:
    assert format_playlist(ENTRY) == b"22/Nov/2025:07:01:00 +0000|/live.mp3|12|Artist - Title\n"
    assert format_playlist(ENTRY, 19800).startswith(b"22/Nov/2025:12:31:00 +0530|")


def test_titles_stay_readable() -> None:
    line = format_playlist(ENTRY._replace(title="Björk | Jóga 😀"))
    assert line.decode().endswith("|Björk | Jóga 😀\n")


def test_separators_and_marks_of_direction_become_blanks() -> None:
    line = format_playlist(ENTRY._replace(title="a\u2028b\u202ec\x1b[2J\x85d"))
    assert line.decode().endswith("|a b c [2J d\n")


def test_line_is_cut_between_characters() -> None:
    line = format_playlist(ENTRY._replace(title="é" * 2000))
    assert MAX_LINE - 1 <= len(line) - 1 <= MAX_LINE
    assert set(line.decode().rstrip("\n").rpartition("|")[2]) == {"é"}


def test_log_writes_lines(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "playlist.log"))
    PlaylistLog(file, utc_offset=lambda _: 0).write(ENTRY)
    file.close()
    assert (tmp_path / "playlist.log").read_bytes() == format_playlist(ENTRY)


def test_log_that_is_off_does_nothing() -> None:
    PlaylistLog(LogFile("")).write(ENTRY)


@given(any_text, any_text)
@settings(deadline=None, max_examples=200)
def test_no_title_makes_a_second_line_and_no_mount_a_fifth_field(mount: str, title: str) -> None:
    line = format_playlist(ENTRY._replace(mount="/" + mount, title=title)).decode()
    assert len(line.splitlines()) == 1 and line.endswith("\n") and "\r" not in line
    fields = line.rstrip("\n").split("|", 3)
    assert len(fields) == 4 and fields[2] == "12"
