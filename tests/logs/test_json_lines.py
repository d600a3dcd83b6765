"""Lines of JSON: each is one object in one line, whatever is in it."""

import json

from hypothesis import given, settings

from pycast.logs.access import MAX_LINE, AccessEntry
from pycast.logs.json_lines import json_access, json_playlist
from pycast.logs.playlist import PlaylistEntry
from tests.logs.test_access import ENTRY, any_text, entries


def test_access_has_each_field_by_name() -> None:
    entry = ENTRY._replace(user="dj", referer="http://example.org/")
    assert json.loads(json_access(entry, 3600)) == {
        "time": "2025-11-22T08:00:05.200+01:00",
        "ip": "127.0.0.1",
        "user": "dj",
        "method": "GET",
        "path": "/live.mp3",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 1234567,
        "referer": "http://example.org/",
        "agent": "VLC/3.0.18 LibVLC/3.0.18",
        "duration": 5.9,
    }


def test_empty_fields_are_left_out() -> None:
    assert "user" not in json.loads(json_access(ENTRY)) and b"referer" not in json_access(ENTRY)


def test_playlist_has_the_title() -> None:
    line = json_playlist(PlaylistEntry(1763794860.0, "/live.mp3", 0, "Björk – Jóga"))
    found = json.loads(line)
    assert (found["mount"], found["listeners"], found["title"]) == ("/live.mp3", 0, "Björk – Jóga")
    assert line.isascii()


def test_secrets_are_hidden() -> None:
    entry = ENTRY._replace(path="/x", referer="http://u:geheim@host/", agent="x pass=geheim")
    assert b"geheim" not in json_access(entry)


@settings(max_examples=60)
@given(entries, any_text)
def test_any_text_is_one_line_that_can_be_read(entry: AccessEntry, title: str) -> None:
    for line in (json_access(entry._replace(agent=title * 100)), json_playlist(PlaylistEntry(0.0, title, 1, title))):
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        found = json.loads(line)
        assert all(len(value) <= MAX_LINE for value in found.values() if isinstance(value, str))
