"""The end of a log is shown, or why there is none."""

from pathlib import Path

import pytest

from pycast.web.log_tail import MOST_BYTES, MOST_LINES, last_lines


def test_whole_lines_from_the_end(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"".join(b"%08d %s\n" % (number, b"x" * 400) for number in range(1000)))
    lines = last_lines(str(log))
    assert lines[-1].startswith("00000999 ")
    assert len(lines[0]) == 409
    assert len(lines) == MOST_BYTES // 410 or len(lines) == MOST_LINES


def test_a_short_log_is_shown_whole(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("one\ntwo\n")
    assert last_lines(str(log)) == ["one", "two"]


@pytest.mark.parametrize(
    ("path", "why"), [("-", "standard error"), ("", "turned off"), ("/dev/null", "standard error"), ("/no/x", "cannot")]
)
def test_what_is_no_file_is_explained(path: str, why: str) -> None:
    (line,) = last_lines(path)
    assert why in line
