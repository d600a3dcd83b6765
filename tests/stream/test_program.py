"""What belongs to one source: nothing of it is left for the next one, and nothing is lost while it stands by."""

import pytest

from pycast.formats.marks import Info, Tags
from pycast.stream.program import Program
from tests.stream.test_mount import FRAME, description


def program(content_type: str = "audio/mpeg") -> Program:
    return Program("/x", description(content_type, ice_audio_info="channels=2;bitrate=64"), "")


def test_properties_read_from_the_stream_replace_those_that_the_source_sent() -> None:
    made = program()
    assert made.all_stats() == {"channels": "2", "bitrate": "64"}
    made.note(Info(0, 128_000, {"channels": "1"}))
    made.note(Info(9, None, {"samplerate": "44100"}))
    assert (made.bitrate, made.all_stats()) == (
        128_000,
        {"channels": "1", "bitrate": "64", "samplerate": "44100"},
    )


def test_a_source_that_stands_by_brings_its_properties_and_its_title_back() -> None:
    made, again = program(), program()
    made.begin(0, None, "")
    _, marks = made.feed(FRAME * 20)
    for info in (mark for mark in marks if isinstance(mark, Info)):
        made.note(info)
    assert made.bitrate == 128_000
    standby = made.to_standby(20 * len(FRAME), b"", Tags(0, "", "title"))
    again.begin(5000, standby, "")
    out, marks = again.feed(FRAME * 3)
    assert out == FRAME * 3
    assert Info(5000, 128_000, made.stats) in marks
    assert Tags(5000, "", "title") in marks


def test_a_warning_is_not_followed_by_an_empty_one(caplog: pytest.LogCaptureFixture) -> None:
    made = program()
    made.begin(0, None, "")
    for _ in range(20):
        made.feed(b"no frames here " * 1000)
    made.to_standby(0, b"", None)
    made.end()
    assert [record.message.partition(": ")[2] for record in caplog.records].count("") == 0
    assert len(caplog.records) == 1


def test_listeners_get_the_configured_name_in_place_of_the_sources() -> None:
    made = Program("/x", description(ice_name="Source's"), "")
    assert made.listener_lines == b"icy-name:Source's\r\n"
    made.rename("Ours")
    assert made.listener_lines == b"icy-name:Ours\r\n"
