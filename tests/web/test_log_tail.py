"""The end of a log is shown, or why there is none."""

from pathlib import Path

import pytest

from pycast.web.log_tail import MOST_BYTES, MOST_LINES, last_lines


def test_whole_lines_from_the_end(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"".join(b"%08d %s\n" % (number, b"x" * 400) for number in range(1000)))
    lines = last_lines(str(log), [b"old\n"])
    assert lines[-1].startswith("00000999 ")
    assert len(lines[0]) == 409
    assert len(lines) == MOST_BYTES // 410 or len(lines) == MOST_LINES


def test_a_short_log_is_shown_whole(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("one\ntwo\n")
    assert last_lines(str(log), []) == ["one", "two"]


@pytest.mark.parametrize("path", ["-", "/dev/null", "/no/x"])
def test_of_what_is_no_file_the_lines_in_memory_are_shown(path: str) -> None:
    assert last_lines(path, [b"one\n", b"two\n  of it\n", b"cut"]) == ["one", "two", "  of it", "cut"]
    assert len(last_lines(path, [b"x\n"] * 1000)) == MOST_LINES


@pytest.mark.parametrize(
    ("path", "why"), [("-", "Nothing was"), ("", "turned off"), ("/dev/null", "Nothing was"), ("/no/x", "cannot")]
)
def test_log_without_lines_is_explained(path: str, why: str) -> None:
    (line,) = last_lines(path, [])
    assert why in line
