"""Content types find their format, whatever their spelling."""

import pytest

from pycast.formats.adts import Adts
from pycast.formats.content_types import content_type_for_listeners, family_of, new_format
from pycast.formats.marks import Join
from pycast.formats.mpeg import MpegAudio
from pycast.formats.ogg import Ogg
from pycast.formats.opaque import Opaque
from pycast.formats.webm import WebM


@pytest.mark.parametrize(
    ("content_type", "kind", "family"),
    [
        ("audio/mpeg", MpegAudio, "generic"),
        ("Audio/MPEG; charset=utf-8", MpegAudio, "generic"),
        (" audio/mp3 ", MpegAudio, "generic"),
        ("audio/aac", Adts, "generic"),
        ("audio/aacp", Adts, "generic"),
        ("application/ogg", Ogg, "ogg"),
        ("application/x-ogg", Ogg, "ogg"),
        ("audio/ogg; codecs=opus", Ogg, "ogg"),
        ("video/ogg", Ogg, "ogg"),
        ("audio/webm", WebM, "webm"),
        ("video/x-matroska-3d", WebM, "webm"),
        ("audio/flac", Opaque, "generic"),
        ("", Opaque, "generic"),
        ("no/such;thing", Opaque, "generic"),
    ],
)
def test_a_content_type_decides_format_and_family(content_type: str, kind: type, family: str) -> None:
    stream = new_format(content_type)
    assert type(stream) is kind
    assert stream.family == family_of(content_type) == family
    assert stream.warning == ""


def test_a_new_format_counts_from_its_base() -> None:
    assert new_format("text/plain", 1000).feed(b"x")[1] == [Join(1000, None)]


@pytest.mark.parametrize(
    ("source", "listeners"),
    [
        ("application/x-ogg", "application/ogg"),
        ("Application/X-Ogg; a=b", "application/ogg"),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ("audio/mpeg", "audio/mpeg"),
    ],
)
def test_listeners_get_the_modern_name_of_ogg(source: str, listeners: str) -> None:
    assert content_type_for_listeners(source) == listeners
