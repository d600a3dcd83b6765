"""The access log: Icecast's line, and no text ends its field."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.logs.access import (
    MAX_LINE,
    AccessEntry,
    AccessLog,
    format_access,
    format_combined,
    local_utc_offset,
    log_time,
)
from pycast.logs.files import LogFile

ENTRY = AccessEntry(
    ip="127.0.0.1",
    user="",
    ended=1763794805.2,
    method="GET",
    path="/live.mp3",
    protocol="HTTP/1.1",
    status=200,
    bytes_sent=1234567,
    referer="",
    agent="VLC/3.0.18 LibVLC/3.0.18",
    duration_s=5.9,
)
LINE = re.compile(
    rb'([^ "]+) - ([^ "]+) \[([^]"]+)\] "([^ "]+) ([^ "]+) ([^ "]+)" (\d+) (\d+) "([^"]+)" "([^"]+)" (\d+)\n'
)

any_text = st.text(st.characters(exclude_categories=()), max_size=60)
entries = st.builds(
    AccessEntry,
    ip=any_text,
    user=any_text,
    ended=st.floats(0, 4e9),
    method=any_text,
    path=any_text,
    protocol=any_text,
    status=st.integers(100, 599),
    bytes_sent=st.integers(0),
    referer=any_text,
    agent=any_text,
    duration_s=st.floats(-1e6, 1e9),
)


def test_line_is_icecasts() -> None:
    assert format_access(ENTRY) == (
        b'127.0.0.1 - - [22/Nov/2025:07:00:05 +0000] "GET /live.mp3 HTTP/1.1" 200 1234567 "-" '
        b'"VLC/3.0.18 LibVLC/3.0.18" 5\n'
    )


def test_combined_line_is_apaches() -> None:
    assert format_combined(ENTRY) + b" 5" == format_access(ENTRY).replace(b" 5\n", b"\n 5")
    assert format_combined(ENTRY).endswith(b'200 1234567 "-" "VLC/3.0.18 LibVLC/3.0.18"\n')


def test_line_has_user_referer_and_zone_when_there_are_any() -> None:
    entry = ENTRY._replace(user="dj", referer="http://example.org/", agent="")
    assert format_access(entry, 3600) == (
        b'127.0.0.1 - dj [22/Nov/2025:08:00:05 +0100] "GET /live.mp3 HTTP/1.1" 200 1234567 '
        b'"http://example.org/" "-" 5\n'
    )


@pytest.mark.parametrize(
    ("text", "word", "phrase"),
    [
        ('a "b!\\c`d', b"a..b..c.d", b"a .b..c.d"),
        ("x\r\n\t\0", b"x....", b"x...."),
        ("é", b"..", b".."),
        ("\x7f%c3%a9~{|}", b".%c3%a9~{|}", b".%c3%a9~{|}"),
        ("\u2028\x85\x1b[2J", b"......[2J", b"......[2J"),
        ("\ud800", b"?", b"?"),
    ],
)
def test_characters_are_escaped_as_icecast_does(text: str, word: bytes, phrase: bytes) -> None:
    line = format_access(ENTRY._replace(user=text, method=text, path=text, protocol=text, referer=text, agent=text))
    assert line.startswith(b"127.0.0.1 - " + word + b" [")
    assert b'"' + b" ".join([word] * 3) + b'"' in line
    assert b'"' + phrase + b'" "' + phrase + b'"' in line


@pytest.mark.parametrize("field", ["path", "referer", "agent"])
@pytest.mark.parametrize("text", ["http://user:s3cr3t@host/live.mp3", "http://host/x?pass=s3cr3t"])
def test_a_password_in_a_url_is_hidden(field: str, text: str) -> None:
    changed: dict[str, Any] = {field: text}
    line = format_access(ENTRY._replace(**changed))
    assert b"s3cr3t" not in line
    assert b"***" in line and b"host/" in line


@pytest.mark.parametrize("field", ["user", "path", "referer", "agent"])
def test_a_long_text_is_cut_and_not_what_comes_after_it(field: str) -> None:
    changed: dict[str, Any] = {field: "/" + "A" * 5000}
    line = format_access(ENTRY._replace(**changed))
    assert LINE.fullmatch(line) and len(line) <= MAX_LINE + 1
    assert b"A" * 200 in line
    assert line.endswith(b" %d\n" % int(ENTRY.duration_s))
    assert format_combined(ENTRY._replace(**changed)).endswith(b'"\n')


def test_log_writes_lines_in_the_local_zone(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "access.log"))
    AccessLog(file, utc_offset=lambda _: 3600).write(ENTRY)
    file.close()
    assert (tmp_path / "access.log").read_bytes() == format_access(ENTRY, 3600)


def test_log_that_is_off_does_nothing() -> None:
    AccessLog(LogFile("")).write(ENTRY)


@given(entries)
@settings(deadline=None, max_examples=200)
def test_no_text_leaves_its_field_or_line(entry: AccessEntry) -> None:
    line = format_access(entry)
    assert line.isascii() and len(line) <= MAX_LINE + 1
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert LINE.fullmatch(line)


AT = 1763794805.99  # 2025-11-22 07:00:05 UTC


def test_time_is_written_in_the_zone_given() -> None:
    assert log_time(AT, 0) == "22/Nov/2025:07:00:05 +0000"
    assert log_time(AT, 19800) == "22/Nov/2025:12:30:05 +0530"
    assert log_time(AT, -3 * 3600) == "22/Nov/2025:04:00:05 -0300"


def test_local_offset_is_that_of_the_moment() -> None:
    assert local_utc_offset(AT) == time.localtime(AT).tm_gmtoff
